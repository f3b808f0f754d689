import {
  noticeKey,
  type Subscription,
  type SubscriptionChange,
} from '../../src/instance/subscription-types.ts';

/** What the manager's records are after a change, as the addon's `microsaas_report` writes it. */
export function applyChange(before: Subscription, change: SubscriptionChange): Subscription {
  const { notices = [], periods = [], archive: _archive, ...written } = change;
  return {
    ...before,
    ...written,
    periods: before.periods.map((period) => {
      const counted = periods.find(({ lineId }) => lineId === period.lineId);
      if (!counted) return period;
      const { after, before: last, days, takenBackOn } = counted;
      return { ...period, counted: { after, before: last, days, takenBackOn } };
    }),
    told: [...before.told, ...notices.map(noticeKey)],
  };
}
