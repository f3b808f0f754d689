import { isPaid } from './claim-policy.ts';
import { addDays, addMonths, dayIn, daysBetween, laterOf } from './days.ts';
import type { AppliedPeriod, Period, Subscription } from './subscription-types.ts';

export interface PeriodRules {
  readonly now: Date;
  readonly timeZone: string;
  readonly inPaymentIsPaid: boolean;
  /** False: missing money reverses nothing for now, see decideSubscription(). */
  readonly mayReverse: boolean;
}

export interface AppliedPeriods {
  readonly endDay: string;
  readonly periods: readonly Period[];
  /** Whether a period was applied, or a reversed one reinstated. */
  readonly hasAddedDays: boolean;
  /** Renewals applied for the first time. */
  readonly renewed: readonly Period[];
  /** Applied periods whose payment was reversed and that the plan does not reverse. */
  readonly unpaid: readonly Period[];
  /** When the reconsideration time of the first period with missing money ends. */
  readonly reconsiderUntil: Date | null;
}

const HOUR_MS = 3_600_000;

/** The last paid day and the periods, updated while they are applied. */
interface Ledger {
  endDay: string;
  readonly periods: Period[];
}

/**
 * Moves the last paid day by the payments: a paid line adds its months once; a line that was reversed, in full or in part, takes
 * days away in proportion; paid again it is reinstated. Idempotent: however often it is applied, each line counts once.
 */
export function applyPeriods(subscription: Subscription, rules: PeriodRules): AppliedPeriods {
  const ledger: Ledger = { endDay: subscription.endDay, periods: [...subscription.periods] };
  // Reversals first, so that a correction finds its original reversed.
  const missing = reverseMissing(ledger, subscription, rules);
  const paid = applyPaid(ledger, subscription, rules);
  return { ...ledger, ...missing, ...paid };
}

/** Reverses periods whose money has been missing for the reconsideration time, and notes since when it is missing for others. */
function reverseMissing(
  ledger: Ledger,
  { startDay, terms }: Subscription,
  { inPaymentIsPaid, mayReverse, now, timeZone }: PeriodRules,
): Pick<AppliedPeriods, 'unpaid' | 'reconsiderUntil'> {
  const unpaid: Period[] = [];
  const waits: number[] = [];
  for (const [index, period] of ledger.periods.entries()) {
    if (!isMissing(period, startDay, inPaymentIsPaid)) {
      if (period.missingSince) ledger.periods[index] = { ...period, missingSince: null };
      continue;
    }
    if (!mayReverse) continue;
    const missingSince = period.missingSince ?? now;
    ledger.periods[index] = { ...period, missingSince };
    const until = missingSince.getTime() + terms.reconsider * HOUR_MS;
    const isReconsidered = isGoneForGood(period) || until <= now.getTime();
    if (!isReconsidered) waits.push(until);
    else if (terms.refund !== 'suspend') unpaid.push(period);
    else if (period.applied) {
      const excess =
        daysInEffect(period.applied) - paidDays(period, period.applied, inPaymentIsPaid);
      const today = dayIn(timeZone, now);
      const { applied, endDay } = reverse(period.applied, excess, ledger.endDay, today);
      ledger.endDay = endDay;
      ledger.periods[index] = { ...period, missingSince: null, applied };
    }
  }
  return { unpaid, reconsiderUntil: waits.length > 0 ? new Date(Math.min(...waits)) : null };
}

/** Applies what is paid and not applied yet, and reinstates what is paid again. */
function applyPaid(
  ledger: Ledger,
  subscription: Subscription,
  { inPaymentIsPaid, now, timeZone }: PeriodRules,
): Pick<AppliedPeriods, 'hasAddedDays' | 'renewed'> {
  const { startDay, terms } = subscription;
  const { periods } = ledger;
  const today = dayIn(timeZone, now);
  const renewed: Period[] = [];
  let hasAddedDays = false;

  const applyPeriod = (index: number, period: Period, { applied, endDay }: Application): Period => {
    const withApplied = { ...period, applied };
    ledger.endDay = endDay;
    periods[index] = withApplied;
    hasAddedDays = true;
    return withApplied;
  };

  for (const [index, period] of periods.entries()) {
    if (paidShare(period, inPaymentIsPaid) === 0) continue;
    const { applied } = period;
    if (applied) {
      const again = paidDays(period, applied, inPaymentIsPaid) - daysInEffect(applied);
      if (again > 0) applyPeriod(index, period, reinstate(applied, again, ledger.endDay, today));
      continue;
    }
    if (period.months === 0 || startDay === '') continue;
    const original = periods.find((it) => it.lineId === period.replaces && it.applied);
    if (!original?.applied) {
      const before = { ...subscription, ...ledger };
      const renewal = applyPeriod(index, period, newPeriod(period, before, today, timeZone));
      if (!period.isFirst) renewed.push(renewal);
    } else if (terms.refund !== 'suspend' || !isMissing(original, startDay, inPaymentIsPaid))
      // Else the correction waits until its original is reversed.
      applyPeriod(index, period, correctionOf(original.applied, period.months, ledger, today));
  }
  return { hasAddedDays, renewed };
}

interface Application {
  readonly endDay: string;
  readonly applied: AppliedPeriod;
}

/** The first period, from the day on which the instance runs for the first time; an end day that a person wrote is kept. */
export function firstPeriod(period: Period, startDay: string, endDay: string): Period {
  const before = addDays(startDay, -1);
  const after = endDay || monthsAfter(before, period.months);
  const days = daysBetween(before, after);
  return { ...period, applied: { before, after, days, reversedDays: 0, reversedOn: '' } };
}

/** The last day of `months` that begin the day after `lastDay`. */
export function monthsAfter(lastDay: string, months: number, anchor = 0): string {
  return addDays(addMonths(addDays(lastDay, 1), months, anchor), -1);
}

/** The share of this period's price that is paid and not reversed, from 0 to 1. */
export function paidShare({ money, sold }: Period, inPaymentIsPaid: boolean): number {
  if (money === null) return 1;
  if (!isPaid(money, inPaymentIsPaid)) return 0;
  if (sold === null) return 1 - money.reversedRatio;
  if (sold.unit > sold.quantity) return 0;
  // A partial credit counts against units whose instances people have removed, then against the last ones.
  const isCreditedBefore = (other: number) =>
    sold.removed.includes(other) === sold.removed.includes(sold.unit)
      ? other > sold.unit
      : sold.removed.includes(other);
  const units = Array.from({ length: Math.floor(sold.quantity) }, (_, index) => index + 1);
  const rank = units.filter(isCreditedBefore).length;
  const credited = money.reversedRatio * sold.quantity;
  return 1 - Math.min(1, Math.max(0, credited - rank));
}

/** Whether the line was applied and some of its days are still in effect. */
export function isApplied({ applied }: Period): boolean {
  return applied !== null && (applied.reversedOn === '' || daysInEffect(applied) > 0);
}

/** Whether there is nothing to reconsider: all of it was credited or refunded. */
export function isGoneForGood({ money }: Period): boolean {
  return money !== null && money.reversedRatio >= 1;
}

/** Whether days of this period are in effect that are not paid. */
function isMissing(period: Period, startDay: string, inPaymentIsPaid: boolean): boolean {
  const { applied, isFirst } = period;
  if (applied) return paidDays(period, applied, inPaymentIsPaid) < daysInEffect(applied);
  return isFirst && startDay === '' && paidShare(period, inPaymentIsPaid) === 0;
}

function daysInEffect({ days, reversedDays: taken }: AppliedPeriod): number {
  return days - taken;
}

/** The paid days, rounded up. The ratios are quotients of amounts, hence the tolerance. */
function paidDays(period: Period, { days }: AppliedPeriod, inPaymentIsPaid: boolean): number {
  return Math.ceil(days * paidShare(period, inPaymentIsPaid) - 1e-3);
}

/** What a paid line adds. Days of grace are not free: the period begins when the previous one, or the service, ended. */
function newPeriod(
  period: Period,
  subscription: Subscription,
  today: string,
  timeZone: string,
): Application {
  const { endDay, periods } = subscription;
  const from = beginsAfter(period, subscription, today, timeZone);
  const after = monthsAfter(from, period.months, anchorOf(periods, from));
  const days = daysBetween(from, after);
  return {
    endDay: after,
    applied: { before: endDay, after, days, reversedDays: 0, reversedOn: '' },
  };
}

function beginsAfter(
  { paidAt }: Period,
  { endDay, suspendedAt, terms }: Subscription,
  today: string,
  timeZone: string,
): string {
  if (endDay >= today) return endDay;
  if (suspendedAt) return addDays(today, -1); // it is resumed today
  const paidDay = paidAt ? dayIn(timeZone, paidAt) : today;
  const day = paidDay < today ? paidDay : today;
  const isInTime = endDay !== '' && daysBetween(endDay, day) <= terms.grace;
  return isInTime ? endDay : addDays(day, -1);
}

/**
 * The day of the month on which the unbroken run of periods up to `lastDay` began, so that a subscription begun on the 31st is
 * paid until the 30th again after February.
 */
function anchorOf(periods: readonly Period[], lastDay: string): number {
  let start = addDays(lastDay, 1);
  for (;;) {
    const before = addDays(start, -1);
    const earlier = periods.find(
      ({ applied }) => applied && daysInEffect(applied) > 0 && endOf(applied) === before,
    )?.applied;
    if (!earlier) return Number(start.slice(8));
    start = addDays(earlier.after, 1 - earlier.days);
    if (earlier.before !== addDays(start, -1)) return Number(start.slice(8));
  }
}

/** The last paid day after this line, unless something else has moved it since. */
function endOf({ after, reversedDays: taken }: AppliedPeriod): string {
  return addDays(after, -taken);
}

/** Takes days away. Nothing left of the line: the last paid day is the one before it, unless something else has moved it since. */
function reverse(applied: AppliedPeriod, days: number, endDay: string, today: string): Application {
  const taken = applied.reversedDays + days;
  const isUntouched = endDay === endOf(applied);
  return {
    endDay: taken === applied.days && isUntouched ? applied.before : addDays(endDay, -days),
    applied: { ...applied, reversedDays: taken, reversedOn: today },
  };
}

/** Adds reversed days again, and those on which the instance was suspended for the reversal. */
function reinstate(
  applied: AppliedPeriod,
  days: number,
  endDay: string,
  today: string,
): Application {
  const wasAll = daysInEffect(applied) === 0;
  const from = addDays(applied.after, -applied.days);
  const down = endDay < today ? daysBetween(laterOf(applied.reversedOn, endDay), today) : 0;
  const base = wasAll && endDay === applied.before ? from : endDay;
  const end = addDays(base, days + down);
  const taken = applied.reversedDays - days;
  return {
    endDay: end,
    applied: {
      before: wasAll ? endDay : applied.before,
      after: addDays(end, taken),
      days: applied.days + down,
      reversedDays: taken,
      reversedOn: taken > 0 ? applied.reversedOn : '',
    },
  };
}

/** A line that corrects a reversed one takes over its period. */
function correctionOf(
  original: AppliedPeriod,
  months: number,
  { endDay, periods }: Ledger,
  today: string,
): Application {
  // The plan ignores the reversal, so the original is still in effect and the correction adds nothing.
  if (daysInEffect(original) > 0 || original.reversedOn === '')
    return {
      endDay,
      applied: { before: endDay, after: endDay, days: 0, reversedDays: 0, reversedOn: '' },
    };
  const from = addDays(original.after, -original.days);
  const after = monthsAfter(from, months, anchorOf(periods, from));
  const days = daysBetween(from, after);
  return reinstate({ ...original, after, days, reversedDays: days }, days, endDay, today);
}
