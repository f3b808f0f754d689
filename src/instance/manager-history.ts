/** Why a manager is distrusted. `older`: its database was restored from an older backup. `other`: it is another database, perhaps a copy. */
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
 * Whether a manager's database is the one that this host has worked for, and not an older state of it (ADR 12). Its checkpoint
 * and its highest instance id only grow, so one that knows less than the host was restored from an older backup. Distrust lasts
 * until a person confirms. Pure.
 * @param known null: this host has worked for none yet
 * @param highestOnHost the highest instance id of which anything is on the host
 * @returns null when it may be trusted
 */
export function checkManagerHistory(
  known: KnownManager | null,
  reported: ReportedManager,
  highestOnHost: number,
): Distrust | null {
  if (known?.distrust) return known.distrust;
  if (known && known.databaseUuid !== reported.databaseUuid) return 'other';
  const highest = Math.max(highestOnHost, known?.highestInstance ?? 0);
  const isOlder =
    reported.checkpoint < (known?.checkpoint ?? 0) || reported.highestInstance < highest;
  return isOlder ? 'older' : null;
}

/** For the log, `/readyz` and the command line. */
export const DISTRUST_MESSAGES: Readonly<Record<Distrust, string>> = {
  older:
    "the manager's database is older than what this host has seen: nothing is sold, suspended or removed until a person confirms (microsaas reconcile-host)",
  other:
    'this is another manager database than the one this host has worked for: nothing is sold, suspended or removed until a person confirms (microsaas reconcile-host)',
};
