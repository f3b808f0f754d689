import type { SubscriptionState } from './subscription-types.ts';

/** What the state is read from. */
export interface Standing {
  readonly isCancelled: boolean;
  readonly isRemoved: boolean;
  readonly isSuspended: boolean;
  readonly hasBegun: boolean;
  readonly isStoppedByHand: boolean;
  /** Until the last paid day, which counts; below zero after it. */
  readonly daysLeft: number;
  readonly noticeDays: number;
}

/** The first that holds is the state; docs/subscription.md is made from this table. */
export const STATES: ReadonlyArray<{
  readonly state: SubscriptionState;
  readonly when: string;
  readonly holds: (standing: Standing) => boolean;
}> = [
  { state: 'cancelled', when: 'a person has cancelled it', holds: (it) => it.isCancelled },
  {
    state: 'removed',
    when: 'a person has removed the instance, or its data are gone',
    holds: (it) => it.isRemoved,
  },
  {
    state: 'expired',
    when: 'the instance is suspended: grace is over, or the money went back',
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

export function stateOf(standing: Standing): SubscriptionState {
  return STATES.find(({ holds }) => holds(standing))?.state ?? 'draft';
}
