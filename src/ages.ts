const MINUTE_S = 60;
const HOUR_S = 3_600;
const DAY_S = 86_400;

/** How long something lasts, as an operator reads it: `40 s`, `12 min`, `5 h`, `3 days`. */
export function inWords(seconds: number): string {
  if (seconds < 2 * MINUTE_S) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 2 * HOUR_S) return `${Math.floor(seconds / MINUTE_S)} min`;
  if (seconds < 2 * DAY_S) return `${Math.floor(seconds / HOUR_S)} h`;
  return `${Math.floor(seconds / DAY_S)} days`;
}

/** A moment in UTC, to the minute. @param seconds since the epoch; 0: there is none */
export function momentInWords(seconds: number, now: Date): string {
  if (seconds === 0) return 'never';
  const text = new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ');
  const age = now.getTime() / 1000 - seconds;
  return age < 0 ? `${text} UTC` : `${text} UTC, ${inWords(age)} ago`;
}

export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`;
}
