/** Why a backup is kept: the first that applies. */
export type Kept = 'end' | 'newest' | 'proven' | 'by_hand' | 'daily' | 'weekly' | 'monthly';

/** How many days, weeks and months have a backup kept, counted in those that have one. */
const DAYS = 7;
const WEEKS = 4;
const MONTHS = 12;

/** How long one is kept that a person has asked for, in milliseconds, whatever else there is of that day. */
const BY_HAND_MS = 7 * 24 * 60 * 60_000;

/** Whether a backup was restored and found whole. `none`: nobody has tried. */
export type Proof = 'none' | 'data' | 'boot' | 'failed';

export function isProven({ proof }: { readonly proof: Proof }): boolean {
  return proof === 'data' || proof === 'boot';
}

/** What is known of a backup to decide whether it is kept. */
export interface DatedBackup {
  /** Its id. */
  readonly snapshot: string;
  readonly date: Date;
  readonly proof: Proof;
  /** A person has asked for it. */
  readonly isByHand: boolean;
  /** Of the last one before the instance's data are removed: which end that is, should it come back and end again. By default it is none. */
  readonly ending?: string;
}

/**
 * The backups that are kept, and why. Never empty where there is one: the newest and the newest proven one stay whatever their age, and so does
 * the last one of each end of the instance, which only a person removes.
 * What a person has asked for stays for 7 days. Of each of the last 7 days, 4 weeks and 12 months that have any, the last proven one stays, else the
 * last.
 * @returns by the backup's snapshot; what is missing may be forgotten
 */
export function keptBackups(backups: readonly DatedBackup[], now: Date): Map<string, Kept> {
  const newestFirst = [...backups].sort((one, other) => other.date.getTime() - one.date.getTime());
  const kept = new Map<string, Kept>();
  const keep = (backup: DatedBackup | undefined, why: Kept) => {
    if (backup && !kept.has(backup.snapshot)) kept.set(backup.snapshot, why);
  };
  for (const ending of new Set(newestFirst.flatMap((one) => one.ending ?? []))) {
    const ofIt = newestFirst.filter((one) => one.ending === ending);
    keep(ofIt.find(isProven) ?? ofIt[0], 'end');
  }
  keep(newestFirst[0], 'newest');
  keep(newestFirst.find(isProven), 'proven');
  for (const backup of newestFirst)
    if (backup.isByHand && now.getTime() - backup.date.getTime() < BY_HAND_MS)
      keep(backup, 'by_hand');
  const periods: ReadonlyArray<readonly [Kept, number, (date: Date) => string]> = [
    ['daily', DAYS, dayOf],
    ['weekly', WEEKS, weekOf],
    ['monthly', MONTHS, (date) => dayOf(date).slice(0, 7)],
  ];
  for (const [why, count, periodOf] of periods) {
    const lastOf = new Map<string, DatedBackup>();
    for (const backup of newestFirst) {
      const period = periodOf(backup.date);
      const last = lastOf.get(period);
      // In its place in the order: a Map keeps that of the first.
      if (!last || (isProven(backup) && !isProven(last))) lastOf.set(period, backup);
    }
    for (const backup of [...lastOf.values()].slice(0, count)) keep(backup, why);
  }
  return kept;
}

/**
 * Backups, each with why it is kept. What is forgotten next, or cannot be on a server that keeps everything, is kept as the others of its
 * month are.
 */
export function withKept<T extends DatedBackup>(
  backups: readonly T[],
  now: Date,
): Array<T & { readonly kept: Kept }> {
  const kept = keptBackups(backups, now);
  return backups.map((one) => ({ ...one, kept: kept.get(one.snapshot) ?? 'monthly' }));
}

/** Days are UTC's, as in restic's own list. */
function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

/** Its Monday. */
function weekOf(date: Date): string {
  const monday = new Date(date);
  monday.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  return dayOf(monday);
}
