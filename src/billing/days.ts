/*
 * Days are ISO dates ('YYYY-MM-DD') in a company's time zone, '' while not set; they sort and compare as text.
 */

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const formats = new Map<string, Intl.DateTimeFormat>();

/** The day that `now` is in an IANA time zone; an unknown zone counts as UTC. */
export function dayIn(timeZone: string, now: Date): string {
  return formatOf(timeZone).format(now);
}

/** Cached: constructing a DateTimeFormat costs far more than using it. */
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

/** The moment, to the minute, at which a day begins in a time zone, also where daylight saving skips midnight. */
export function startOfDay(timeZone: string, day: string): Date {
  const noonInUtc = Date.parse(`${day}T12:00:00Z`);
  let before = noonInUtc - 28 * 60 * MINUTE_MS;
  let after = noonInUtc + 16 * 60 * MINUTE_MS;
  while (after - before > MINUTE_MS) {
    const middle = before + Math.floor((after - before) / MINUTE_MS / 2) * MINUTE_MS;
    if (dayIn(timeZone, new Date(middle)) < day) before = middle;
    else after = middle;
  }
  return new Date(after);
}

/**
 * The same day of the month `months` later, or the last day of a shorter month: 2026-01-31 and 1 → 2026-02-28.
 * @param anchor the day of the month to return to: 2026-02-28, 1 and 31 → 2026-03-31. Used only where `day` is the anchor
 *   as its month has it; 0: none.
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
  return new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);
}

/** How many days `to` is after `from`; below zero when it is before. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);
}

export function laterOf(a: string, b: string): string {
  return a > b ? a : b;
}
