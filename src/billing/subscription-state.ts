import type { SubscriptionState } from './subscription-types.ts';

/** What the state is derived from. */
export interface StateFacts {
  readonly isCancelled: boolean;
  readonly isRemoved: boolean;
  readonly isSuspended: boolean;
  readonly hasBegun: boolean;
  readonly isStoppedByHand: boolean;
  /** Days until the last paid day, inclusive; below zero after it. */
  readonly daysLeft: number;
  readonly noticeDays: number;
}

/** The first row that holds is the state; docs/subscription.md is generated from this table. */
export const STATES: ReadonlyArray<{
  readonly state: SubscriptionState;
  readonly when: string;
  readonly holds: (facts: StateFacts) => boolean;
}> = [
  { state: 'cancelled', when: 'a person has cancelled it', holds: (it) => it.isCancelled },
  {
    state: 'removed',
    when: 'a person has removed the instance, or its data are removed',
    holds: (it) => it.isRemoved,
  },
  {
    state: 'expired',
    when: 'the instance is suspended: grace is over, or the payment was reversed',
    holds: (it) => it.isSuspended,
  },
  { state: 'draft', when: 'the instance has never run', holds: (it) => !it.hasBegun },
  {
    state: 'paused',
    when: 'a person has stopped the instance',
    holds: (it) => it.isStoppedByHand,
  },
  {
    state: 'expiring_soon',
    when: 'the days of notice have begun, or those of grace',
    holds: (it) => it.daysLeft <= it.noticeDays,
  },
  { state: 'active', when: 'otherwise', holds: () => true },
];

export function stateOf(facts: StateFacts): SubscriptionState {
  return STATES.find(({ holds }) => holds(facts))?.state ?? 'draft';
}
