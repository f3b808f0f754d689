/** `older`: the manager's database was restored from an older copy. `other`: it is another one than before, a copy of it perhaps. */
export type Distrust = 'older' | 'other';

interface KnownManager {
  readonly databaseUuid: string;
  readonly checkpoint: number;
  readonly highestInstance: number;
  readonly distrust: Distrust | null;
}

interface ReportedManager {
  readonly databaseUuid: string;
  readonly checkpoint: number;
  readonly highestInstance: number;
}

/**
 * Whether a manager's database is the one that this host has worked for, and as young. Checkpoints and numbers of instances only
 * ever grow in it, so one that knows less than the host was restored from an older copy. Once in doubt it stays so until a
 * person confirms. Pure.
 * @param remembered null: this host has worked for none yet
 * @param highestHere the highest number of an instance of which something is on the host
 * @returns null when it may be trusted
 */
export function checkManagerHistory(
  remembered: KnownManager | null,
  said: ReportedManager,
  highestHere: number,
): Distrust | null {
  if (remembered?.distrust) return remembered.distrust;
  if (remembered && remembered.databaseUuid !== said.databaseUuid) return 'other';
  const highest = Math.max(highestHere, remembered?.highestInstance ?? 0);
  const isOlder = said.checkpoint < (remembered?.checkpoint ?? 0) || said.highestInstance < highest;
  return isOlder ? 'older' : null;
}

/** What the operator reads. */
export const DISTRUST_MESSAGES: Readonly<Record<Distrust, string>> = {
  older:
    "the manager's database is older than what this host has seen: nothing is sold, suspended or removed until a person confirms (microsaas reconcile-host)",
  other:
    'this is another manager database than the one this host has worked for: nothing is sold, suspended or removed until a person confirms (microsaas reconcile-host)',
};
