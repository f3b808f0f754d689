import { isPaid } from './claim-policy.ts';
import { addDays, addMonths, dayIn, daysBetween, laterOf } from './days.ts';
import type { AppliedPeriod, Period, Subscription } from './subscription-types.ts';

export interface PeriodRules {
  readonly now: Date;
  readonly timeZone: string;
  readonly inPaymentIsPaid: boolean;
  /** False: money that is missing is left for later, see decideSubscription(). */
  readonly mayTakeBack: boolean;
}

export interface AppliedPeriods {
  readonly endDay: string;
  readonly periods: readonly Period[];
  /** Whether a period was counted, or money that went back came again. */
  readonly hasGiven: boolean;
  /** Renewals counted for the first time. */
  readonly renewed: readonly Period[];
  /** Counted periods whose money went back and that the plan does not take back. */
  readonly unpaid: readonly Period[];
  /** When the first of those whose money is missing will have been reconsidered for long enough. */
  readonly reconsiderUntil: Date | null;
}

const HOUR = 3_600_000;

/** The last paid day and the periods, as they become while they are gone through. */
interface Ledger {
  endDay: string;
  readonly periods: Period[];
}

/**
 * Moves the last paid day by what became of the money: a paid line adds its months once; a line whose money went back,
 * or a part of it, takes days away in proportion; paid again gives them back. However often it is asked, each line
 * counts once.
 */
export function applyPeriods(subscription: Subscription, rules: PeriodRules): AppliedPeriods {
  const ledger: Ledger = { endDay: subscription.endDay, periods: [...subscription.periods] };
  // What goes back goes first, so that a correction finds its original out of the way.
  const missing = settleMissing(ledger, subscription, rules);
  const paid = countPaid(ledger, subscription, rules);
  return { ...ledger, ...missing, ...paid };
}

/** Takes days back whose money has been missing for long enough, and remembers since when the others' is. */
function settleMissing(
  ledger: Ledger,
  { startDay, terms }: Subscription,
  { inPaymentIsPaid, mayTakeBack, now, timeZone }: PeriodRules,
): Pick<AppliedPeriods, 'unpaid' | 'reconsiderUntil'> {
  const unpaid: Period[] = [];
  const waits: number[] = [];
  for (const [index, period] of ledger.periods.entries()) {
    if (!isMissing(period, startDay, inPaymentIsPaid)) {
      if (period.missingSince) ledger.periods[index] = { ...period, missingSince: null };
      continue;
    }
    if (!mayTakeBack) continue;
    const missingSince = period.missingSince ?? now;
    ledger.periods[index] = { ...period, missingSince };
    const until = missingSince.getTime() + terms.reconsider * HOUR;
    const isReconsidered = isGoneForGood(period) || until <= now.getTime();
    if (!isReconsidered) waits.push(until);
    else if (terms.refund !== 'suspend') unpaid.push(period);
    else if (period.applied) {
      const excess = given(period.applied) - paidDays(period, period.applied, inPaymentIsPaid);
      const today = dayIn(timeZone, now);
      const { applied, endDay } = takeBack(period.applied, excess, ledger.endDay, today);
      ledger.endDay = endDay;
      ledger.periods[index] = { ...period, missingSince: null, applied };
    }
  }
  return { unpaid, reconsiderUntil: waits.length > 0 ? new Date(Math.min(...waits)) : null };
}

/** Counts what is paid and was not counted yet, and gives back what is paid again. */
function countPaid(
  ledger: Ledger,
  subscription: Subscription,
  { inPaymentIsPaid, now, timeZone }: PeriodRules,
): Pick<AppliedPeriods, 'hasGiven' | 'renewed'> {
  const { startDay, terms } = subscription;
  const { periods } = ledger;
  const today = dayIn(timeZone, now);
  const renewed: Period[] = [];
  let hasGiven = false;

  const applyPeriod = (index: number, period: Period, { applied, endDay }: Application): Period => {
    const withApplied = { ...period, applied };
    ledger.endDay = endDay;
    periods[index] = withApplied;
    hasGiven = true;
    return withApplied;
  };

  for (const [index, period] of periods.entries()) {
    if (paidShare(period, inPaymentIsPaid) === 0) continue;
    const { applied } = period;
    if (applied) {
      const again = paidDays(period, applied, inPaymentIsPaid) - given(applied);
      if (again > 0) applyPeriod(index, period, giveBack(applied, again, ledger.endDay, today));
      continue;
    }
    if (period.months === 0 || startDay === '') continue;
    const original = periods.find((it) => it.lineId === period.replaces && it.applied);
    if (!original?.applied) {
      const before = { ...subscription, ...ledger };
      const renewal = applyPeriod(index, period, fresh(period, before, today, timeZone));
      if (!period.isFirst) renewed.push(renewal);
    } else if (terms.refund !== 'suspend' || !isMissing(original, startDay, inPaymentIsPaid))
      // Else the correction waits until what it corrects is out of the way.
      applyPeriod(index, period, inPlaceOf(original.applied, period.months, ledger, today));
  }
  return { hasGiven, renewed };
}

interface Application {
  readonly endDay: string;
  readonly applied: AppliedPeriod;
}

/** The first period, on the day on which the instance runs for the first time; a last day that a person wrote stays. */
export function firstPeriod(period: Period, startDay: string, endDay: string): Period {
  const before = addDays(startDay, -1);
  const after = endDay || monthsAfter(before, period.months);
  const days = daysBetween(before, after);
  return { ...period, applied: { before, after, days, taken: 0, reversedOn: '' } };
}

/** The last day of `months` that begin the day after `lastDay`. */
export function monthsAfter(lastDay: string, months: number, anchor = 0): string {
  return addDays(addMonths(addDays(lastDay, 1), months, anchor), -1);
}

/** How much of what this period costs is here and has stayed, from 0 to 1. */
export function paidShare({ money, sold }: Period, inPaymentIsPaid: boolean): number {
  if (money === null) return 1;
  if (!isPaid(money, inPaymentIsPaid)) return 0;
  if (sold === null) return 1 - money.reversedRatio;
  if (sold.unit > sold.quantity) return 0;
  // Of several units those are credited that people have removed, then the last ones.
  const isCreditedBefore = (other: number) =>
    sold.removed.includes(other) === sold.removed.includes(sold.unit)
      ? other > sold.unit
      : sold.removed.includes(other);
  const units = Array.from({ length: Math.floor(sold.quantity) }, (_, index) => index + 1);
  const rank = units.filter(isCreditedBefore).length;
  const credited = money.reversedRatio * sold.quantity;
  return 1 - Math.min(1, Math.max(0, credited - rank));
}

/** Whether the line has moved the last paid day and, for some of its days, still does. */
export function isApplied({ applied }: Period): boolean {
  return applied !== null && (applied.reversedOn === '' || given(applied) > 0);
}

/** Whether there is nothing to reconsider: all of it was credited or sent back. */
export function isGoneForGood({ money }: Period): boolean {
  return money !== null && money.reversedRatio >= 1;
}

/** Whether the subscription lives on days of this period for which the money is not here. */
function isMissing(period: Period, startDay: string, inPaymentIsPaid: boolean): boolean {
  const { applied, isFirst } = period;
  if (applied) return paidDays(period, applied, inPaymentIsPaid) < given(applied);
  return isFirst && startDay === '' && paidShare(period, inPaymentIsPaid) === 0;
}

function given({ days, taken }: AppliedPeriod): number {
  return days - taken;
}

/** The days for which the money is here, rounded up. Ratios come with the noise of divided amounts. */
function paidDays(period: Period, { days }: AppliedPeriod, inPaymentIsPaid: boolean): number {
  return Math.ceil(days * paidShare(period, inPaymentIsPaid) - 1e-3);
}

/** What a paid line gives. Grace is no gift: the time begins when the last one ended, or the service did. */
function fresh(
  period: Period,
  subscription: Subscription,
  today: string,
  timeZone: string,
): Application {
  const { endDay, periods } = subscription;
  const from = beginsAfter(period, subscription, today, timeZone);
  const after = monthsAfter(from, period.months, anchorOf(periods, from));
  const days = daysBetween(from, after);
  return { endDay: after, applied: { before: endDay, after, days, taken: 0, reversedOn: '' } };
}

function beginsAfter(
  { paidAt }: Period,
  { endDay, suspendedAt, terms }: Subscription,
  today: string,
  timeZone: string,
): string {
  if (endDay >= today) return endDay;
  if (suspendedAt) return addDays(today, -1); // it comes back today
  const paidDay = paidAt ? dayIn(timeZone, paidAt) : today;
  const day = paidDay < today ? paidDay : today;
  const isInTime = endDay !== '' && daysBetween(endDay, day) <= terms.grace;
  return isInTime ? endDay : addDays(day, -1);
}

/**
 * The day of the month on which the unbroken run of periods up to `lastDay` began, so that who began on the 31st is
 * paid until the 30th again after February.
 */
function anchorOf(periods: readonly Period[], lastDay: string): number {
  let start = addDays(lastDay, 1);
  for (;;) {
    const before = addDays(start, -1);
    const earlier = periods.find(
      ({ applied }) => applied && given(applied) > 0 && endOf(applied) === before,
    )?.applied;
    if (!earlier) return Number(start.slice(8));
    start = addDays(earlier.after, 1 - earlier.days);
    if (earlier.before !== addDays(start, -1)) return Number(start.slice(8));
  }
}

/** The last day that a line has led to, as long as nothing else has moved it since. */
function endOf({ after, taken }: AppliedPeriod): string {
  return addDays(after, -taken);
}

/** As it was before when nothing is left of the line, unless something else has moved the last paid day since. */
function takeBack(
  applied: AppliedPeriod,
  days: number,
  endDay: string,
  today: string,
): Application {
  const taken = applied.taken + days;
  const isUntouched = endDay === endOf(applied);
  return {
    endDay: taken === applied.days && isUntouched ? applied.before : addDays(endDay, -days),
    applied: { ...applied, taken, reversedOn: today },
  };
}

/** Days during which the customer was down for it are not theirs to lose. */
function giveBack(
  applied: AppliedPeriod,
  days: number,
  endDay: string,
  today: string,
): Application {
  const wasAll = given(applied) === 0;
  const from = addDays(applied.after, -applied.days);
  const down = endDay < today ? daysBetween(laterOf(applied.reversedOn, endDay), today) : 0;
  const base = wasAll && endDay === applied.before ? from : endDay;
  const end = addDays(base, days + down);
  const taken = applied.taken - days;
  return {
    endDay: end,
    applied: {
      before: wasAll ? endDay : applied.before,
      after: addDays(end, taken),
      days: applied.days + down,
      taken,
      reversedOn: taken > 0 ? applied.reversedOn : '',
    },
  };
}

/** What corrects a reversed line takes its place. */
function inPlaceOf(
  original: AppliedPeriod,
  months: number,
  { endDay, periods }: Ledger,
  today: string,
): Application {
  // The plan does not take money's way back into account, so the correction has nothing to give.
  if (given(original) > 0 || original.reversedOn === '')
    return {
      endDay,
      applied: { before: endDay, after: endDay, days: 0, taken: 0, reversedOn: '' },
    };
  const from = addDays(original.after, -original.days);
  const after = monthsAfter(from, months, anchorOf(periods, from));
  const days = daysBetween(from, after);
  return giveBack({ ...original, after, days, taken: days }, days, endDay, today);
}
