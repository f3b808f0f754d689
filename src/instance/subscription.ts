import type { DesiredInstance, Subscription } from './types.ts';

/**
 * What the subscription becomes, given whether the instance runs; null when nothing changes.
 * A subscription starts on the day its instance first runs, and paused days are not given back.
 */
export function nextSubscription(
  desired: DesiredInstance,
  isRunning: boolean,
  now: Date,
): Subscription | null {
  const { subscription } = desired;
  if (subscription === null) return null;
  if (isRunning && subscription.state === 'draft') {
    const startDay = subscription.startDay || dayIn(desired.companyTimeZone, now);
    return {
      ...subscription,
      state: 'active',
      startDay,
      endDay: subscription.endDay || addMonths(startDay, subscription.months),
    };
  }
  if (isRunning && subscription.state === 'paused') return { ...subscription, state: 'active' };
  if (!isRunning && subscription.state === 'active' && desired.desiredState === 'stopped')
    return { ...subscription, state: 'paused' };
  return null;
}

/** The day 'YYYY-MM-DD' that `now` is in an IANA time zone; an unknown zone counts as UTC. */
export function dayIn(timeZone: string, now: Date): string {
  const format = (zone: string) =>
    new Intl.DateTimeFormat('en-CA', {
      timeZone: zone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
    }).format(now);
  try {
    return format(timeZone);
  } catch {
    return format('UTC');
  }
}

/** The same day of the month `months` later, or the last day of a shorter month: 2026-01-31 and 1 → 2026-02-28. */
export function addMonths(day: string, months: number): string {
  const [year = 0, month = 0, dayOfMonth = 0] = day.split('-').map(Number);
  const lastOfMonth = new Date(Date.UTC(year, month + months, 0)).getUTCDate();
  const date = new Date(Date.UTC(year, month - 1 + months, Math.min(dayOfMonth, lastOfMonth)));
  return date.toISOString().slice(0, 10);
}
