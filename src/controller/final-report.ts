import { removedDataKeptUntil } from '../billing/dunning.ts';
import { paidSinceRemoval } from '../billing/subscription.ts';
import type { SettledReason } from '../instance/reasons.ts';
import type {
  DesiredInstance,
  EffectiveState,
  InstanceState,
  LogLine,
  Report,
} from '../instance/types.ts';
import type { AppliedSubscription } from './apply-subscription.ts';
import type { ControllerContext } from './controller-context.ts';
import { logLine, logReason } from './progress.ts';

const DAY_MS = 24 * 60 * 60_000;

/** How much newer than in Odoo a last request is before it is reported by itself, in seconds. */
export const LAST_REQUEST_SECONDS = 60 * 60;

/** Spreads the daily reviews over the day: neighbours are some minutes apart. */
const SPREAD_MS = 7_919_000;

/**
 * When the sidecar reviews an instance without being asked: on the day that its subscription names, and at least once a day, each
 * instance at its own time. Null: never, for there is no subscription that could change.
 */
export function nextReview(
  { id }: Pick<DesiredInstance, 'id'>,
  reviewAt: Date | null,
  now: Date,
): Date | null {
  if (reviewAt === null) return null;
  const today = now.getTime() - (now.getTime() % DAY_MS) + ((id * SPREAD_MS) % DAY_MS);
  const daily = today > now.getTime() ? today : today + DAY_MS;
  return new Date(Math.min(reviewAt.getTime(), daily));
}

interface Settled {
  readonly state: InstanceState;
  readonly reason: SettledReason | '';
  readonly detail?: string;
}

/**
 * What is reported once the observed state is the desired one. The report of the first answer also begins the subscription.
 * @param state the effectiveState() of `desired`
 * @param durations what the steps were called and how long they took
 */
export function finalReport(
  desired: DesiredInstance,
  state: EffectiveState,
  applied: AppliedSubscription,
  durations: readonly string[],
  context: Pick<ControllerContext, 'activity' | 'engine' | 'now'>,
): Report {
  const now = context.now();
  const settled = settledAs(desired, state);
  const isRunning = state === 'running';
  const isFirstAnswer = isRunning && !desired.wasReady;
  const secondsToReady = Math.max(0.01, now.getTime() / 1000 - desired.requestedAt);
  const log: LogLine[] = [];
  if (desired.state !== settled.state && settled.reason)
    log.push(logReason(now, settled.reason, settled.detail));
  if (isFirstAnswer) {
    const answering = `Answering ${secondsToReady.toFixed(2)} s after the request`;
    log.push(logLine(now, `${[answering, ...durations].join(', ')}.`));
  }
  const { activity } = context;
  const lastRequestAt = activity?.lastRequestSeconds(desired) ?? 0;
  const isChange = desired.isAsleep !== (state === 'asleep') || desired.state !== settled.state;
  // Visits alone are no news, or each look at a busy instance would be a write in Odoo.
  const isNews = lastRequestAt - desired.lastRequestAt >= (isChange ? 1 : LAST_REQUEST_SECONDS);
  const begun = isRunning ? applied.onFirstAnswer : null;
  return {
    id: desired.id,
    revision: desired.revision,
    detail: '',
    ...settled,
    nextReview: nextReview(desired, begun?.reviewAt ?? applied.reviewAt, now),
    ...(log.length > 0 ? { log } : {}),
    ...(isRunning ? { instanceUrl: context.engine.url(desired) } : {}),
    // A copy was not sold: how long it took says nothing of sales.
    ...(isFirstAnswer && !desired.copyOf ? { secondsToReady } : {}),
    ...(desired.isAsleep !== (state === 'asleep') ? { isAsleep: state === 'asleep' } : {}),
    ...(isNews ? { lastRequestAt } : {}),
    ...(begun ? { subscription: begun.change } : {}),
    ...(settled.state === 'removed' ? { active: false, ports: { http: 0, longpolling: 0 } } : {}),
  };
}

function settledAs(
  { companyTimeZone, subscription }: DesiredInstance,
  state: EffectiveState,
): Settled {
  switch (state) {
    case 'draft':
      return { state: 'draft', reason: '' };
    case 'running':
      return { state: 'running', reason: 'Running' };
    case 'asleep':
      return { state: 'running', reason: 'Asleep' };
    case 'stopped':
      return { state: 'stopped', reason: 'Stopped' };
    case 'removed': {
      if (!subscription?.removedAt) return { state: 'removed', reason: 'Removed' };
      const { terms } = subscription;
      const paidUntil = paidSinceRemoval(subscription);
      const until = removedDataKeptUntil(subscription, terms, companyTimeZone, paidUntil);
      return { state: 'removed', reason: 'Removed', detail: until };
    }
    case 'suspended':
      return { state: 'stopped', ...suspendedBecause(subscription?.reason, subscription?.endDay) };
    case 'purged':
      return { state: 'removed', reason: 'Purged' };
    default:
      return state satisfies never;
  }
}

function suspendedBecause(reason = 'Expired', endDay = ''): Omit<Settled, 'state'> {
  if (reason === 'Refunded' || reason === 'Cancelled') return { reason };
  return { reason: 'Expired', detail: endDay };
}
