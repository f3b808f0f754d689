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
  /** The instance answers for the first time: the subscription begins now unless it has begun, and the welcome mail is due. */
  readonly isFirstAnswer: boolean;
  /** False while the clock guard cannot tell the day: then only new payments change anything. */
  readonly isDayCertain: boolean;
}

export interface Verdict {
  /** What to write to the manager, in one transaction there; null: nothing. */
  readonly change: SubscriptionChange | null;
  /** The stage that is due. `change` marks it as entered, except `archive`: that is marked once the archive is verified. */
  readonly stage: Stage | null;
  /** When time alone will change something; null: never. */
  readonly reviewAt: Date | null;
}

/** The fields of an instance that its subscription depends on. */
export interface BilledInstance {
  /** As people set it: *stopped* pauses the subscription, *removed* ends its billing. */
  readonly desiredState: 'draft' | 'running' | 'stopped' | 'removed';
  readonly companyTimeZone: string;
  /** Whether an invoice whose payment the bank has not confirmed yet counts as paid. */
  readonly inPaymentIsPaid: boolean;
}

/** What one decision is made from. */
interface Facts extends SubscriptionView {
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
  /** Days until the last paid day, inclusive; below zero after it, infinite where there is none. */
  readonly daysLeft: number;
}

/** The subscription after the second phase. */
interface Staged {
  readonly subscription: Subscription;
  /** The stage that is entered now, or null. */
  readonly stage: StageRule | null;
  /** When the next one is due, '' for none. */
  readonly nextStageDay: string;
  readonly isAdvancing: boolean;
}

/**
 * The whole billing policy: what becomes of a subscription and what that means for its instance. Pure and idempotent:
 * however often it is asked, each payment counts once, each stage is entered once and each notice is sent once.
 */
export function decideSubscription(
  desired: BilledInstance,
  subscription: Subscription,
  view: SubscriptionView,
): Verdict {
  const facts: Facts = {
    ...view,
    desired,
    subscription,
    today: dayIn(desired.companyTimeZone, view.now),
    isRemoved: desired.desiredState === 'removed',
    isCancelled: subscription.state === 'cancelled',
  };
  if (subscription.dataRemovedAt) return afterRemoval(facts);
  const settled = settleMoney(facts);
  const staged = takeStage(facts, settled);
  return {
    change: changeFrom(subscription, staged.subscription, noticesOf(facts, settled, staged)),
    stage: staged.stage?.stage ?? null,
    reviewAt: reviewOf(facts, settled, staged),
  };
}

// -- first phase: until when it is paid ------------------------------------------------------------------

function settleMoney(facts: Facts): Settled {
  const { desired, isDayCertain, now, today } = facts;
  const begun = prolongFree(begin(facts), facts);
  const appliedPeriods = applyPeriods(begun, {
    now,
    timeZone: desired.companyTimeZone,
    inPaymentIsPaid: desired.inPaymentIsPaid,
    mayReverse: isDayCertain,
  });
  const { endDay, periods } = appliedPeriods;
  const hasEnd = begun.startDay !== '' && endDay !== '';
  const daysLeft = hasEnd ? daysBetween(today, endDay) : Number.POSITIVE_INFINITY;
  return { subscription: { ...begun, endDay, periods }, appliedPeriods, daysLeft };
}

/** The first period begins on the first day on which the instance runs; dates that a person wrote are kept. */
function begin({ isFirstAnswer, subscription, today }: Facts): Subscription {
  const first = subscription.periods.find((period) => period.isFirst);
  if (!first || first.applied || !(isFirstAnswer || subscription.startDay)) return subscription;
  const startDay = subscription.startDay || today;
  // Without a plan there is no term: it has no end unless a person writes one.
  if (first.months === 0) return { ...subscription, startDay };
  const period = { ...firstPeriod(first, startDay, subscription.endDay), missingSince: null };
  const periods = subscription.periods.map((it) => (it === first ? period : it));
  return { ...subscription, startDay, endDay: period.applied?.after ?? '', periods };
}

/** A free subscription is prolonged automatically where its plan says so, in terms that begin on its own day of the month. */
function prolongFree(subscription: Subscription, facts: Facts): Subscription {
  const { endDay, periods, startDay, terms } = subscription;
  const months = periods.find((period) => period.isFirst)?.months ?? 0;
  const continues =
    terms.free === 'continue' && !facts.isCancelled && !facts.isRemoved && facts.isDayCertain;
  const isOver = startDay !== '' && endDay !== '' && endDay < facts.today;
  if (!continues || !isOver || months === 0) return subscription;
  const eve = addDays(startDay, -1);
  let end = endDay;
  for (let term = 1; end < facts.today; term++) end = monthsAfter(eve, term * months);
  return { ...subscription, endDay: end };
}

// -- second phase: whether it may run, and which dunning stage is due --------------------------------------

function takeStage(facts: Facts, { daysLeft, appliedPeriods, subscription }: Settled): Staged {
  const { desired, isCancelled, isDayCertain, isRemoved, now, today } = facts;
  const { terms } = subscription;
  const reason = whyLapsed(subscription, facts, daysLeft);
  // While the day is uncertain a suspension stays, unless a payment has come.
  const isLapsed = isDayCertain
    ? reason !== ''
    : subscription.suspendedAt !== null && !(appliedPeriods.hasAddedDays && reason === '');
  const isSuspended = isLapsed && !isRemoved;
  const isAdvancing = isRemoved || isLapsed;

  const moments = momentsNow(facts, isLapsed, appliedPeriods);
  const stages = isRemoved ? REMOVAL_STAGES : DUNNING_STAGES;
  const paidUntil = isRemoved ? paidSinceRemoval(subscription, appliedPeriods.renewed) : '';
  const next = nextStage(stages, moments, terms, desired.companyTimeZone, paidUntil);
  const stage = isDayCertain && isAdvancing && next && next.day <= today ? next.rule : null;
  if (stage && stage.stage !== 'archive') moments[stage.moment] = now;
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
    stage,
    nextStageDay: next?.day ?? '',
    isAdvancing,
  };
}

/** Why the instance may not run, '' when it may. */
function whyLapsed(
  { endDay, periods, startDay, terms }: Subscription,
  { desired: { inPaymentIsPaid }, isCancelled, now }: Facts,
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

/** A resumption, by payment or by a person, resets the stages: the next dunning begins with the first. */
function momentsNow(
  { isRemoved, now, subscription }: Facts,
  isLapsed: boolean,
  { renewed }: AppliedPeriods,
): { -readonly [K in keyof Moments]: Moments[K] } {
  const isRestored = subscription.removedAt !== null && !isRemoved;
  const isBack = isRestored || !(isRemoved || isLapsed);
  // Removed by a person, or paid since: the customer gets another final notice before the data are removed.
  const beginsAnew = isRemoved && (subscription.removedAt === null || renewed.length > 0);
  const removedAt = isRemoved ? (subscription.removedAt ?? now) : null;
  if (isBack)
    return {
      suspendedAt: null,
      finalNoticeAt: null,
      archivedAt: null,
      dataRemovedAt: null,
      removedAt,
    };
  const { suspendedAt, dataRemovedAt } = subscription;
  return {
    suspendedAt,
    finalNoticeAt: beginsAnew ? null : subscription.finalNoticeAt,
    archivedAt: beginsAnew ? null : subscription.archivedAt,
    dataRemovedAt,
    removedAt,
  };
}

/** The last paid day by payments since a person removed the instance, '' if there were none. */
export function paidSinceRemoval(
  { endDay, periods, sentNotices }: Subscription,
  renewed: readonly Period[] = [],
): string {
  const isSince = (period: Period) =>
    renewed.includes(period) || sentNotices.includes(noticeKey(about('paidThoughRemoved', period)));
  return periods.some((period) => isApplied(period) && isSince(period)) ? endDay : '';
}

// -- third phase: which notices are due, and when the next review is --------------------------------------

function noticesOf(facts: Facts, { daysLeft, appliedPeriods }: Settled, staged: Staged): Notice[] {
  const { isCancelled, isDayCertain, isRemoved, subscription: before, today } = facts;
  const { endDay, startDay, terms } = staged.subscription;
  const isFree = terms.free !== '';
  const stage = staged.stage?.stage;
  const notices: Notice[] = [];
  if (isRemoved)
    notices.push(...appliedPeriods.renewed.map((it) => about('paidThoughRemoved', it)));
  else if (!isFree) notices.push(...appliedPeriods.renewed.map((it) => about('renewed', it)));
  if (terms.refund === 'warn')
    notices.push(...appliedPeriods.unpaid.map((it) => about('refundWarning', it)));
  if (facts.isFirstAnswer) notices.push({ kind: 'welcome', period: '' });
  const mayExpire = isDayCertain && !isFree && !isCancelled && !staged.isAdvancing;
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
  facts: Facts,
  { appliedPeriods, subscription }: Settled,
  staged: Staged,
): Date | null {
  const { endDay, startDay, terms } = subscription;
  const lapseDays = [-terms.notice, 1, terms.grace + 1];
  const hasEnd = startDay !== '' && endDay !== '';
  const days = staged.isAdvancing
    ? [staged.nextStageDay]
    : lapseDays.map((wait) => (hasEnd ? addDays(endDay, wait) : ''));
  const [first] = days.filter((day) => day > facts.today).sort();
  const moments = [
    ...(first ? [startOfDay(facts.desired.companyTimeZone, first)] : []),
    ...(appliedPeriods.reconsiderUntil ? [appliedPeriods.reconsiderUntil] : []),
  ];
  return moments.length > 0 ? new Date(Math.min(...moments.map(Number))) : null;
}

/** Only a person can restore the data; later payments are reported to one. */
function afterRemoval({ desired, subscription }: Facts): Verdict {
  const late = subscription.periods.filter(
    (period) => period.applied === null && paidShare(period, desired.inPaymentIsPaid) > 0,
  );
  const notices = late.map((period) => about('paidAfterRemoval', period));
  const state = subscription.state === 'cancelled' ? 'cancelled' : 'removed';
  const change = changeFrom(subscription, { ...subscription, state }, notices);
  return { change, stage: null, reviewAt: null };
}
