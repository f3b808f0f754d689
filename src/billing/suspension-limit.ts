/** How many instances have gone down by themselves lately. */
export interface RecentSuspensions {
  /** Suspended, or removed with their data, within the last hour. */
  readonly taken: number;
  /** All that have data. */
  readonly fleet: number;
  /** A person has seen that this very instance waits, and said that it may go down. */
  readonly isApproved: boolean;
}

const MOST = 10;
const LARGEST_SHARE = 0.1;

/** Whether one more would be too many within an hour: then a person must say that it is right. */
export function isTooMany({ taken, fleet, isApproved }: RecentSuspensions): boolean {
  const after = taken + 1;
  return !isApproved && after > MOST && after > LARGEST_SHARE * fleet;
}
