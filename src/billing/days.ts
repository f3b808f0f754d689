/*
 * Days are 'YYYY-MM-DD' in somebody's time zone, '' while not set; as text they compare like the days they name.
 */

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const formats = new Map<string, Intl.DateTimeFormat>();

/** The day that `now` is in an IANA time zone; an unknown zone counts as UTC. */
export function dayIn(timeZone: string, now: Date): string {
  return formatOf(timeZone).format(now);
}

/** Making a format costs far more than using it. */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known) return known;
  const made = makeFormat(timeZone);
  formats.set(timeZone, made);
  return made;
}

function makeFormat(timeZone: string): Intl.DateTimeFormat {
  const day = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;
  try {
    return new Intl.DateTimeFormat('en-CA', { timeZone, ...day });
  } catch {
    return new Intl.DateTimeFormat('en-CA', { timeZone: 'UTC', ...day });
  }
}

/** The moment, to the minute, at which a day begins in a time zone, also where that is not at midnight. */
export function startOfDay(timeZone: string, day: string): Date {
  const noonInUtc = Date.parse(`${day}T12:00:00Z`);
  let before = noonInUtc - 28 * 60 * MINUTE;
  let after = noonInUtc + 16 * 60 * MINUTE;
  while (after - before > MINUTE) {
    const middle = before + Math.floor((after - before) / MINUTE / 2) * MINUTE;
    if (dayIn(timeZone, new Date(middle)) < day) before = middle;
    else after = middle;
  }
  return new Date(after);
}

/**
 * The same day of the month `months` later, or the last day of a shorter month: 2026-01-31 and 1 → 2026-02-28.
 * @param anchor the day of the month to come back to: 2026-02-28, 1 and 31 → 2026-03-31. It counts where `day` is
 *   what a month has of it.
 */
export function addMonths(day: string, months: number, anchor = 0): string {
  const [year = 0, month = 0, dayOfMonth = 0] = day.split('-').map(Number);
  const lastOf = (index: number) => new Date(Date.UTC(year, index + 1, 0)).getUTCDate();
  const isAnchored = dayOfMonth === Math.min(anchor, lastOf(month - 1));
  const target = month - 1 + months;
  const wanted = Math.min(isAnchored ? anchor : dayOfMonth, lastOf(target));
  return new Date(Date.UTC(year, target, wanted)).toISOString().slice(0, 10);
}

export function addDays(day: string, days: number): string {
  return new Date(Date.parse(day) + days * DAY).toISOString().slice(0, 10);
}

/** How many days `to` is after `from`; below zero when it is before. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / DAY);
}

export function laterOf(a: string, b: string): string {
  return a > b ? a : b;
}
