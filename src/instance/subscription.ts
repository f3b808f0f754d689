import { addDays, dayIn, daysBetween, startOfDay } from './days.ts';
import { LADDER, nextRung, REMOVAL_LADDER } from './ladder.ts';
import { type CountedPeriods, countPeriods, firstPeriod, hasItsMoney } from './periods.ts';
import { changeFrom } from './subscription-change.ts';
import { stateOf } from './subscription-state.ts';
import type {
  Moments,
  Notice,
  Rung,
  Subscription,
  SubscriptionChange,
  SuspensionReason,
} from './subscription-types.ts';
import type { DesiredInstance } from './types.ts';

export interface SubscriptionView {
  readonly now: Date;
  /** The instance answers for the first time: the subscription begins now unless it has begun, and she is welcomed. */
  readonly isRunning: boolean;
  readonly inPaymentIsPaid: boolean;
  /** False while nobody can tell the day: then only money that came changes anything. */
  readonly isDayCertain: boolean;
}

export interface Verdict {
  /** What to write to the manager, in one transaction there; null: nothing. */
  readonly change: SubscriptionChange | null;
  /** The rung that is due. `change` marks it as taken, but for `archive`: that is marked once it is verified. */
  readonly rung: Rung | null;
  /** When the calendar will change something by itself; null: never. */
  readonly reviewAt: Date | null;
}

/**
 * The whole policy of time and money: what a subscription becomes and what that means for its instance. Pure.
 * However often it is asked, each payment counts once, each rung is taken once and each notice is sent once.
 */
export function decideSubscription(
  desired: DesiredInstance,
  subscription: Subscription,
  view: SubscriptionView,
): Verdict {
  if (subscription.dataRemovedAt) return afterRemoval(subscription, view);
  const { isDayCertain, now } = view;
  const { terms } = subscription;
  const zone = desired.companyTimeZone;
  const today = dayIn(zone, now);
  const isRemoved = desired.desiredState === 'removed';
  const isCancelled = subscription.state === 'cancelled';

  const begun = begin(subscription, view, today);
  const hasBegun = begun.startDay !== '';
  const money = count(begun, view, today);
  const { endDay, periods } = money;
  const daysLeft = hasBegun ? daysBetween(today, endDay) : Number.POSITIVE_INFINITY;
  const reason = whyLapsed({ ...begun, endDay, periods }, view, daysLeft);
  // Whoever is suspended while the day is uncertain stays so, unless money has come.
  const isLapsed = isDayCertain
    ? reason !== ''
    : subscription.suspendedAt !== null && !(money.changed.length > 0 && reason === '');

  const moments = momentsNow(subscription, { isRemoved, isLapsed, now });
  const next = nextRung(isRemoved ? REMOVAL_LADDER : LADDER, moments, terms, zone);
  const isDescending = isRemoved || isLapsed;
  const rung = isDayCertain && isDescending && next && next.day <= today ? next.rule : null;
  if (rung && rung.rung !== 'archive') moments[rung.mark] = now;
  const isSuspended = isLapsed && !isRemoved;
  const isStoppedByHand = isRemoved || desired.desiredState === 'stopped';
  const standing = { isCancelled, isSuspended, hasBegun, isStoppedByHand, daysLeft };
  const after: Subscription = {
    ...begun,
    ...moments,
    endDay,
    periods,
    state: stateOf({ ...standing, noticeDays: terms.notice }),
    reason: isSuspended ? reason || subscription.reason : '',
  };
  const isNear =
    isDayCertain && daysLeft <= terms.notice && !isDescending && !isCancelled && endDay !== '';
  const notices: Notice[] = moneyNotices(after, money);
  if (view.isRunning) notices.push({ kind: 'welcome', period: '' });
  if (isNear) notices.push({ kind: 'expiring', period: endDay });
  if (rung?.rung === 'suspend' && !isCancelled) notices.push({ kind: 'suspended', period: today });
  if (rung?.rung === 'finalNotice') notices.push({ kind: 'finalNotice', period: today });

  const lapseDays = [-terms.notice, 1, terms.grace + 1];
  const days = isDescending
    ? [next?.day ?? '']
    : lapseDays.map((wait) => (hasBegun ? addDays(endDay, wait) : ''));
  return {
    change: changeFrom(subscription, after, notices),
    rung: rung?.rung ?? null,
    reviewAt: soonest(days, today, zone),
  };
}

/** The first period begins on the first day on which the instance runs; days that a person has written stay. */
function begin(subscription: Subscription, view: SubscriptionView, today: string): Subscription {
  const first = subscription.periods.find((period) => period.isFirst);
  if (!first || first.counted || !(view.isRunning || subscription.startDay)) return subscription;
  const startDay = subscription.startDay || today;
  const period = firstPeriod(first, startDay, subscription.endDay);
  const periods = subscription.periods.map((it) => (it === first ? period : it));
  return { ...subscription, startDay, endDay: period.counted?.after ?? '', periods };
}

function count(begun: Subscription, view: SubscriptionView, today: string): CountedPeriods {
  const { endDay, periods, startDay } = begun;
  if (!startDay) return { endDay, periods, changed: [], renewed: [], unpaid: [] };
  const { inPaymentIsPaid, isDayCertain } = view;
  return countPeriods(begun, { today, inPaymentIsPaid, mayTakeBack: isDayCertain });
}

/** Why the instance may not run, '' when it may. */
function whyLapsed(
  { endDay, periods, startDay, state, terms }: Subscription,
  { inPaymentIsPaid }: SubscriptionView,
  daysLeft: number,
): SuspensionReason {
  if (!startDay) {
    const isPaid = periods.some((period) => hasItsMoney(period, inPaymentIsPaid));
    return isPaid || terms.refund !== 'suspend' ? '' : 'Refunded';
  }
  if (daysLeft >= 0) return '';
  if (state === 'cancelled') return 'Cancelled';
  // On the day on which the money went back nothing else was left.
  const isRefunded = periods.some(
    ({ counted }) => counted?.takenBackOn && counted.takenBackOn > endDay,
  );
  if (isRefunded) return 'Refunded';
  return daysLeft < -terms.grace ? 'Expired' : '';
}

/** Coming back, by payment or by a person, ends the way down: the next one begins at its top. */
function momentsNow(
  subscription: Subscription,
  it: { readonly isRemoved: boolean; readonly isLapsed: boolean; readonly now: Date },
): { -readonly [K in keyof Moments]: Moments[K] } {
  const isRestored = subscription.hiddenAt !== null && !it.isRemoved;
  const isBack = isRestored || !(it.isRemoved || it.isLapsed);
  const { suspendedAt, finalNoticeAt, archivedAt, dataRemovedAt } = isBack
    ? { suspendedAt: null, finalNoticeAt: null, archivedAt: null, dataRemovedAt: null }
    : subscription;
  const hiddenAt = it.isRemoved ? (subscription.hiddenAt ?? it.now) : null;
  return { suspendedAt, finalNoticeAt, archivedAt, dataRemovedAt, hiddenAt };
}

function moneyNotices(after: Subscription, { renewed, unpaid }: CountedPeriods): Notice[] {
  const of = (kind: Notice['kind']) => (period: { readonly lineId: number }) => ({
    kind,
    period: String(period.lineId),
  });
  return [
    ...renewed.map(of('renewed')),
    ...(after.terms.refund === 'warn' ? unpaid.map(of('refundWarning')) : []),
  ];
}

/** Nothing brings the data back but a person: she is told of money that still comes. */
function afterRemoval(subscription: Subscription, { inPaymentIsPaid }: SubscriptionView): Verdict {
  const late = subscription.periods.filter(
    (period) => period.counted === null && hasItsMoney(period, inPaymentIsPaid),
  );
  const notices = late.map(
    ({ lineId }) => ({ kind: 'paidAfterRemoval', period: `${lineId}` }) as const,
  );
  return { change: changeFrom(subscription, subscription, notices), rung: null, reviewAt: null };
}

function soonest(days: readonly string[], today: string, timeZone: string): Date | null {
  const [first] = days.filter((day) => day > today).sort();
  return first ? startOfDay(timeZone, first) : null;
}
