import {
  type Moments,
  type Notice,
  noticeKey,
  type Period,
  type Subscription,
  type SubscriptionChange,
} from './subscription-types.ts';

const MOMENTS = [
  'suspendedAt',
  'finalNoticeAt',
  'archivedAt',
  'dataRemovedAt',
  'removedAt',
] as const satisfies ReadonlyArray<keyof Moments>;

/** What to write to turn `before` into `after` and to send the notices not sent yet; null: nothing. */
export function changeFrom(
  before: Subscription,
  after: Subscription,
  notices: readonly Notice[],
): SubscriptionChange | null {
  const periods = after.periods.filter((period, index) =>
    hasChanged(before.periods[index], period),
  );
  const unsent = notices.filter((notice) => !before.sentNotices.includes(noticeKey(notice)));
  const moments = MOMENTS.filter((name) => before[name]?.getTime() !== after[name]?.getTime());
  const change: SubscriptionChange = {
    ...(after.state === before.state ? {} : { state: after.state }),
    ...(after.startDay === before.startDay ? {} : { startDay: after.startDay }),
    ...(after.endDay === before.endDay ? {} : { endDay: after.endDay }),
    ...(after.reason === before.reason ? {} : { reason: after.reason }),
    ...Object.fromEntries(moments.map((name) => [name, after[name]])),
    ...(periods.length === 0 ? {} : { periods: periods.map(writtenOf) }),
    ...(unsent.length === 0 ? {} : { notices: unsent }),
  };
  return Object.keys(change).length === 0 ? null : change;
}

function hasChanged(before: Period | undefined, after: Period): boolean {
  return (
    after.applied !== before?.applied ||
    after.missingSince?.getTime() !== before?.missingSince?.getTime()
  );
}

function writtenOf({ applied, isFirst, lineId, missingSince }: Period) {
  return { lineId, isFirst, applied, missingSince };
}
