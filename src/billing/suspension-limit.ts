/** How many instances the dunning has suspended or removed lately. */
export interface RecentSuspensions {
  /** Suspended, or removed with their data, within the last hour. */
  readonly taken: number;
  /** All instances that have data. */
  readonly fleet: number;
  /** A person has approved this instance's suspension or removal. */
  readonly isApproved: boolean;
}

const MAX_PER_HOUR = 10;
const MAX_SHARE = 0.1;

/** Whether one more within the hour exceeds the suspension limit: then a person must approve it. */
export function isTooMany({ taken, fleet, isApproved }: RecentSuspensions): boolean {
  const after = taken + 1;
  return !isApproved && after > MAX_PER_HOUR && after > MAX_SHARE * fleet;
}
