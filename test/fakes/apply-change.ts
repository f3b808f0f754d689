import {
  noticeKey,
  type Subscription,
  type SubscriptionChange,
} from '../../src/billing/subscription-types.ts';

/** The manager's records after a change, as the addon's `microsaas_report` writes it. */
export function applyChange(before: Subscription, change: SubscriptionChange): Subscription {
  const { notices = [], periods = [], archive: _archive, ...written } = change;
  return {
    ...before,
    ...written,
    periods: before.periods.map((period) => {
      const booked = periods.find(({ lineId }) => lineId === period.lineId);
      if (!booked) return period;
      return { ...period, applied: booked.applied, missingSince: booked.missingSince };
    }),
    sentNotices: [...before.sentNotices, ...notices.map(noticeKey)],
  };
}
