import { type DatedBackup, isProven, type Proof } from './backup-retention.ts';

/** What a manager knows of an instance's backups. Moments are seconds since the epoch; 0: never. */
export interface BackupFacts {
  /** When the newest backup was made. */
  readonly lastBackupAt: number;
  /** When the newest backup was made that was restored and found whole. */
  readonly lastProofAt: number;
  /** When a backup or its proof last failed. */
  readonly lastFailureAt: number;
}

/** What is due for an instance: a backup and its proof, or the proof alone. */
export type DueBackup = 'backup' | 'prove';

const HOUR_S = 60 * 60;
const DAY_S = 24 * HOUR_S;

/** How long after its time a night's work may begin, in seconds: what was missed for longer waits for the next night. */
const NIGHT_S = 6 * HOUR_S;

/** A backup older than this is made by day too, in seconds: the host was off at night. */
const OVERDUE_S = 26 * HOUR_S;

/** How long after a failure it is tried again, in seconds. */
const RETRY_S = HOUR_S;

/** What is dated later than this was dated by a clock that was wrong, in seconds. */
const CLOCK_S = 5 * 60;

/**
 * What is due for an instance that has data, or null. Pure: the whole memory of what was done is the manager's record of backups.
 * @param night when the last night's backups were to begin, in seconds since the epoch: see lastNight()
 * @param now in seconds since the epoch
 * @param since when there were data, in seconds since the epoch: what is sold by day waits for its first night
 */
export function dueBackup(
  facts: BackupFacts,
  night: number,
  now: number,
  since = 0,
): DueBackup | null {
  const past = (at: number) => (at > now + CLOCK_S ? 0 : at);
  const lastBackupAt = past(facts.lastBackupAt);
  if (now - past(facts.lastFailureAt) < RETRY_S) return null;
  if (lastBackupAt < night) {
    const isNight = now - night < NIGHT_S;
    const isOverdue = lastBackupAt > 0 ? now - lastBackupAt > OVERDUE_S : since < night;
    return isNight || isOverdue ? 'backup' : null;
  }
  return past(facts.lastProofAt) < lastBackupAt ? 'prove' : null;
}

/** What a repository holds, which is newer than what any manager knows. @param lastFailureAt see BackupFacts */
export function factsOf(known: readonly DatedBackup[], lastFailureAt: number): BackupFacts {
  return {
    lastBackupAt: Math.max(0, ...datesOf(known)),
    lastProofAt: Math.max(0, ...datesOf(known.filter(isProven))),
    lastFailureAt,
  };
}

/**
 * What is due by what a repository holds: see dueBackup(). A backup that has failed its proof fails it again: the next is another one.
 * @param known oldest first
 */
export function dueByRepository(
  known: readonly DatedBackup[],
  lastFailureAt: number,
  night: number,
  now: number,
  since: number,
): DueBackup | null {
  const due = dueBackup(factsOf(known, lastFailureAt), night, now, since);
  return due === 'prove' && known.at(-1)?.proof === 'failed' ? null : due;
}

/** Each instance's Odoo is started with its backup once in so many nights. */
const BOOT_NIGHTS = 7;

/**
 * Whether Odoo is to be started with this night's backup too: in its instance's turn, one night of seven, and in whichever night where the
 * last time is longer ago.
 * @param night see dueBackup()
 */
export function isBootDue(
  id: number,
  backups: ReadonlyArray<{ readonly date: Date; readonly proof: Proof }>,
  night: number,
): boolean {
  if ((Math.floor(night / DAY_S) + id) % BOOT_NIGHTS === 0) return true;
  const booted = backups.filter(({ proof }) => proof === 'boot');
  // Where there is none, it has had no turn since the first.
  const since = booted.length > 0 ? Math.max(...datesOf(booted)) : Math.min(...datesOf(backups));
  return night - since > BOOT_NIGHTS * DAY_S;
}

function datesOf(backups: ReadonlyArray<{ readonly date: Date }>): number[] {
  return backups.map(({ date }) => date.getTime() / 1000);
}

/**
 * The last moment before `now` at which this host's clock showed a time of day.
 * @param time `HH:MM`
 */
export function lastNight(time: string, now: Date): Date {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  const night = new Date(now);
  night.setHours(hours, minutes, 0, 0);
  if (night > now) night.setDate(night.getDate() - 1);
  return night;
}

/** How old the proofs of many instances' backups are. */
export interface BackupAges {
  /** When the oldest of their newest proven backups was made, in seconds since the epoch; null: there is none. */
  readonly oldestProof: number | null;
  readonly neverProven: number;
}

export function backupAges(facts: readonly BackupFacts[]): BackupAges {
  const proven = facts.map(({ lastProofAt }) => lastProofAt).filter((at) => at > 0);
  return {
    oldestProof: proven.length > 0 ? Math.min(...proven) : null,
    neverProven: facts.length - proven.length,
  };
}
