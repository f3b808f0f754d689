import { addDays, dayIn, daysBetween, startOfDay } from './days.ts';
import { DUNNING_STAGES, nextStage, REMOVAL_STAGES, type StageRule } from './dunning.ts';
import {
  type AppliedPeriods,
  applyPeriods,
  firstPeriod,
  isApplied,
  isGoneForGood,
  monthsAfter,
  paidShare,
} from './periods.ts';
import { changeFrom } from './subscription-change.ts';
import { stateOf } from './subscription-state.ts';
import {
  type Moments,
  type Notice,
  noticeKey,
  type Period,
  type Stage,
  type Subscription,
  type SubscriptionChange,
  type SuspensionReason,
} from './subscription-types.ts';

export interface SubscriptionView {
  readonly now: Date;
  /** The instance answers for the first time: the subscription begins now unless it has begun, and they are welcomed. */
  readonly isFirstAnswer: boolean;
  /** False while nobody can tell the day: then only money that came changes anything. */
  readonly isDayCertain: boolean;
}

export interface Verdict {
  /** What to write to the manager, in one transaction there; null: nothing. */
  readonly change: SubscriptionChange | null;
  /** The rung that is due. `change` marks it as taken, but for `archive`: that is marked once it is verified. */
  readonly stage: Stage | null;
  /** When the calendar will change something by itself; null: never. */
  readonly reviewAt: Date | null;
}

/** What of an instance its subscription depends on. */
export interface BilledInstance {
  /** What people want: what is stopped by hand is paused, what is removed is not billed on. */
  readonly desiredState: 'draft' | 'running' | 'stopped' | 'removed';
  readonly companyTimeZone: string;
  /** Whether an invoice whose payment the bank has not confirmed yet counts as paid. */
  readonly inPaymentIsPaid: boolean;
}

/** What one look is about: the facts, and the day it is. */
interface Look extends SubscriptionView {
  readonly desired: BilledInstance;
  /** As the manager has it. */
  readonly subscription: Subscription;
  readonly today: string;
  readonly isRemoved: boolean;
  readonly isCancelled: boolean;
}

/** The subscription after the first phase. */
interface Settled {
  readonly subscription: Subscription;
  readonly appliedPeriods: AppliedPeriods;
  /** Until the last paid day, which counts; below zero after it, infinite where there is none. */
  readonly daysLeft: number;
}

/** The subscription after the second phase. */
interface Placed {
  readonly subscription: Subscription;
  /** The rung that is taken now, or null. */
  readonly stage: StageRule | null;
  /** When the next one is due, '' for none. */
  readonly nextStageDay: string;
  readonly isAdvancing: boolean;
}

/**
 * The whole policy of time and money: what a subscription becomes and what that means for its instance. Pure.
 * However often it is asked, each payment counts once, each rung is taken once and each notice is sent once.
 */
export function decideSubscription(
  desired: BilledInstance,
  subscription: Subscription,
  view: SubscriptionView,
): Verdict {
  const look: Look = {
    ...view,
    desired,
    subscription,
    today: dayIn(desired.companyTimeZone, view.now),
    isRemoved: desired.desiredState === 'removed',
    isCancelled: subscription.state === 'cancelled',
  };
  if (subscription.dataRemovedAt) return afterRemoval(look);
  const settled = settleMoney(look);
  const placed = takeStage(look, settled);
  return {
    change: changeFrom(subscription, placed.subscription, noticesOf(look, settled, placed)),
    stage: placed.stage?.stage ?? null,
    reviewAt: reviewOf(look, settled, placed),
  };
}

// -- first phase: until when it is paid -------------------------------------------------------------

function settleMoney(look: Look): Settled {
  const { desired, isDayCertain, now, today } = look;
  const begun = prolongFree(begin(look), look);
  const appliedPeriods = applyPeriods(begun, {
    now,
    timeZone: desired.companyTimeZone,
    inPaymentIsPaid: desired.inPaymentIsPaid,
    mayTakeBack: isDayCertain,
  });
  const { endDay, periods } = appliedPeriods;
  const hasEnd = begun.startDay !== '' && endDay !== '';
  const daysLeft = hasEnd ? daysBetween(today, endDay) : Number.POSITIVE_INFINITY;
  return { subscription: { ...begun, endDay, periods }, appliedPeriods, daysLeft };
}

/** The first period begins on the first day on which the instance runs; days that a person has written stay. */
function begin({ isFirstAnswer, subscription, today }: Look): Subscription {
  const first = subscription.periods.find((period) => period.isFirst);
  if (!first || first.applied || !(isFirstAnswer || subscription.startDay)) return subscription;
  const startDay = subscription.startDay || today;
  // Without a plan nothing says for how long: it has no end unless a person writes one.
  if (first.months === 0) return { ...subscription, startDay };
  const period = { ...firstPeriod(first, startDay, subscription.endDay), missingSince: null };
  const periods = subscription.periods.map((it) => (it === first ? period : it));
  return { ...subscription, startDay, endDay: period.applied?.after ?? '', periods };
}

/** What costs nothing goes on by itself, where its plan says so, in terms that begin on its own day of the month. */
function prolongFree(subscription: Subscription, look: Look): Subscription {
  const { endDay, periods, startDay, terms } = subscription;
  const months = periods.find((period) => period.isFirst)?.months ?? 0;
  const continues =
    terms.free === 'continue' && !look.isCancelled && !look.isRemoved && look.isDayCertain;
  const isOver = startDay !== '' && endDay !== '' && endDay < look.today;
  if (!continues || !isOver || months === 0) return subscription;
  const eve = addDays(startDay, -1);
  let end = endDay;
  for (let term = 1; end < look.today; term++) end = monthsAfter(eve, term * months);
  return { ...subscription, endDay: end };
}

// -- second phase: whether it may run, and which rung is due ------------------------------------------

function takeStage(look: Look, { daysLeft, appliedPeriods, subscription }: Settled): Placed {
  const { desired, isCancelled, isDayCertain, isRemoved, now, today } = look;
  const { terms } = subscription;
  const reason = whyLapsed(subscription, look, daysLeft);
  // Whoever is suspended while the day is uncertain stays so, unless money has come.
  const isLapsed = isDayCertain
    ? reason !== ''
    : subscription.suspendedAt !== null && !(appliedPeriods.hasGiven && reason === '');
  const isSuspended = isLapsed && !isRemoved;
  const isDescending = isRemoved || isLapsed;

  const moments = momentsNow(look, isLapsed, appliedPeriods);
  const stages = isRemoved ? REMOVAL_STAGES : DUNNING_STAGES;
  const paidUntil = isRemoved ? paidSinceRemoval(subscription, appliedPeriods.renewed) : '';
  const next = nextStage(stages, moments, terms, desired.companyTimeZone, paidUntil);
  const stage = isDayCertain && isDescending && next && next.day <= today ? next.rule : null;
  if (stage && stage.stage !== 'archive') moments[stage.mark] = now;
  const state = stateOf({
    isCancelled,
    isRemoved: isRemoved || moments.dataRemovedAt !== null,
    isSuspended,
    hasBegun: subscription.startDay !== '',
    isStoppedByHand: desired.desiredState === 'stopped',
    daysLeft,
    noticeDays: terms.notice,
  });
  return {
    subscription: {
      ...subscription,
      ...moments,
      state,
      reason: isSuspended ? reason || subscription.reason : '',
    },
    stage: stage,
    nextStageDay: next?.day ?? '',
    isAdvancing: isDescending,
  };
}

/** Why the instance may not run, '' when it may. */
function whyLapsed(
  { endDay, periods, startDay, terms }: Subscription,
  { desired: { inPaymentIsPaid }, isCancelled, now }: Look,
  daysLeft: number,
): SuspensionReason {
  if (!startDay) {
    const isPaid = periods.some((period) => paidShare(period, inPaymentIsPaid) > 0);
    if (isPaid || terms.refund !== 'suspend') return '';
    const first = periods.find((period) => period.isFirst);
    return !first || isGoneForGood(first) || isReconsidered(first, terms, now) ? 'Refunded' : '';
  }
  if (daysLeft >= 0) return '';
  if (isCancelled) return 'Cancelled';
  // On the day on which the money went back nothing else was left.
  const isRefunded = periods.some(({ applied }) => applied && applied.reversedOn > endDay);
  if (isRefunded) return 'Refunded';
  return daysLeft < -terms.grace ? 'Expired' : '';
}

function isReconsidered({ missingSince }: Period, terms: Subscription['terms'], now: Date) {
  const waited = missingSince === null ? -1 : now.getTime() - missingSince.getTime();
  return waited >= terms.reconsider * 3_600_000;
}

/** Coming back, by payment or by a person, ends the way down: the next one begins at its top. */
function momentsNow(
  { isRemoved, now, subscription }: Look,
  isLapsed: boolean,
  { renewed }: AppliedPeriods,
): { -readonly [K in keyof Moments]: Moments[K] } {
  const isRestored = subscription.removedAt !== null && !isRemoved;
  const isBack = isRestored || !(isRemoved || isLapsed);
  // Removed by a person, or paid since: the customer is told anew before the data go.
  const beginsAnew = isRemoved && (subscription.removedAt === null || renewed.length > 0);
  const removedAt = isRemoved ? (subscription.removedAt ?? now) : null;
  if (isBack)
    return {
      suspendedAt: null,
      finalNoticeAt: null,
      archivedAt: null,
      dataRemovedAt: null,
      removedAt: removedAt,
    };
  const { suspendedAt, dataRemovedAt } = subscription;
  return {
    suspendedAt,
    finalNoticeAt: beginsAnew ? null : subscription.finalNoticeAt,
    archivedAt: beginsAnew ? null : subscription.archivedAt,
    dataRemovedAt,
    removedAt: removedAt,
  };
}

/** The day until which a removed instance was paid since a person removed it, '' if it was not. */
export function paidSinceRemoval(
  { endDay, periods, sentNotices }: Subscription,
  renewed: readonly Period[] = [],
): string {
  const isSince = (period: Period) =>
    renewed.includes(period) || sentNotices.includes(noticeKey(about('paidThoughRemoved', period)));
  return periods.some((period) => isApplied(period) && isSince(period)) ? endDay : '';
}

// -- third phase: what people are told, and when it is looked at again -----------------------------------

function noticesOf(look: Look, { daysLeft, appliedPeriods }: Settled, placed: Placed): Notice[] {
  const { isCancelled, isDayCertain, isRemoved, subscription: before, today } = look;
  const { endDay, startDay, terms } = placed.subscription;
  const isFree = terms.free !== '';
  const stage = placed.stage?.stage;
  const notices: Notice[] = [];
  if (isRemoved)
    notices.push(...appliedPeriods.renewed.map((it) => about('paidThoughRemoved', it)));
  else if (!isFree) notices.push(...appliedPeriods.renewed.map((it) => about('renewed', it)));
  if (terms.refund === 'warn')
    notices.push(...appliedPeriods.unpaid.map((it) => about('refundWarning', it)));
  if (look.isFirstAnswer) notices.push({ kind: 'welcome', period: '' });
  const mayExpire = isDayCertain && !isFree && !isCancelled && !placed.isAdvancing;
  if (mayExpire && endDay !== '' && daysLeft <= terms.notice)
    notices.push({ kind: 'expiring', period: endDay });
  if (isRemoved && before.removedAt === null && startDay !== '')
    notices.push({ kind: 'removed', period: today });
  if (stage === 'suspend' && !isFree && !isCancelled)
    notices.push({ kind: 'suspended', period: today });
  if (stage === 'finalNotice' && startDay !== '')
    notices.push({ kind: 'finalNotice', period: today });
  return notices;
}

function about(kind: Notice['kind'], { lineId }: Period): Notice {
  return { kind, period: String(lineId) };
}

function reviewOf(
  look: Look,
  { appliedPeriods, subscription }: Settled,
  placed: Placed,
): Date | null {
  const { endDay, startDay, terms } = subscription;
  const lapseDays = [-terms.notice, 1, terms.grace + 1];
  const hasEnd = startDay !== '' && endDay !== '';
  const days = placed.isAdvancing
    ? [placed.nextStageDay]
    : lapseDays.map((wait) => (hasEnd ? addDays(endDay, wait) : ''));
  const [first] = days.filter((day) => day > look.today).sort();
  const moments = [
    ...(first ? [startOfDay(look.desired.companyTimeZone, first)] : []),
    ...(appliedPeriods.reconsiderUntil ? [appliedPeriods.reconsiderUntil] : []),
  ];
  return moments.length > 0 ? new Date(Math.min(...moments.map(Number))) : null;
}

/** Nothing brings the data back but a person, who is told of money that still comes. */
function afterRemoval({ desired, subscription }: Look): Verdict {
  const late = subscription.periods.filter(
    (period) => period.applied === null && paidShare(period, desired.inPaymentIsPaid) > 0,
  );
  const notices = late.map((period) => about('paidAfterRemoval', period));
  const state = subscription.state === 'cancelled' ? 'cancelled' : 'removed';
  const change = changeFrom(subscription, { ...subscription, state }, notices);
  return { change, stage: null, reviewAt: null };
}
