const HALF_A_DAY_MS = 12 * 60 * 60_000;

/** Settings with which no night begins while tests or benchmarks run: whatever the time is, backups are made when somebody asks. */
export function noNight(): { readonly backups: { readonly schedule: string } } {
  const away = new Date(Date.now() + HALF_A_DAY_MS);
  return { backups: { schedule: away.toISOString().slice(11, 16) } };
}
