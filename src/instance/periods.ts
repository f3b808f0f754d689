import { addDays, addMonths, daysBetween, laterOf } from './days.ts';
import { isPaid } from './from-invoices.ts';
import type { CountedPeriod, Period, Subscription } from './subscription-types.ts';

export interface PeriodRules {
  readonly today: string;
  readonly inPaymentIsPaid: boolean;
  /** False: money that went back is left for later, see decideSubscription(). */
  readonly mayTakeBack: boolean;
}

export interface CountedPeriods {
  readonly endDay: string;
  readonly periods: readonly Period[];
  /** Those that changed. */
  readonly changed: readonly Period[];
  /** Renewals counted for the first time. */
  readonly renewed: readonly Period[];
  /** Counted periods whose money went back and that the plan does not take back. */
  readonly unpaid: readonly Period[];
}

/**
 * Moves the last paid day by what became of the money: a paid line adds its months once, a line whose money went
 * back takes them away, and paid again gives them back. However often it is asked, each line counts once.
 */
export function countPeriods(subscription: Subscription, rules: PeriodRules): CountedPeriods {
  const { today, inPaymentIsPaid } = rules;
  const periods = [...subscription.periods];
  let { endDay } = subscription;
  const changed = new Set<number>();
  const renewed = new Set<number>();
  const unpaid: Period[] = [];

  const book = (index: number, period: Period, counted: CountedPeriod) => {
    periods[index] = { ...period, counted };
    endDay = counted.takenBackOn ? takenBack(endDay, counted) : counted.after;
    changed.add(index);
  };

  // What goes back goes first, so that a correction finds its original out of the way.
  for (const [index, period] of periods.entries()) {
    if (!isCounted(period) || hasItsMoney(period, inPaymentIsPaid)) continue;
    if (subscription.terms.refund !== 'suspend') unpaid.push(period);
    else if (rules.mayTakeBack) book(index, period, { ...period.counted, takenBackOn: today });
  }
  for (const [index, period] of periods.entries()) {
    if (isCounted(period) || period.months === 0 || !hasItsMoney(period, inPaymentIsPaid)) continue;
    const original = period.counted ? period : periods.find((it) => it.lineId === period.replaces);
    if (!period.isFirst && !original?.counted) renewed.add(index);
    book(index, period, counted(period, original ?? null, endDay, today));
  }
  return {
    endDay,
    periods,
    changed: [...changed].map((index) => periods[index] as Period),
    renewed: [...renewed].map((index) => periods[index] as Period),
    unpaid,
  };
}

/** The first period, on the day on which the instance runs for the first time; a last day that a person wrote stays. */
export function firstPeriod(period: Period, startDay: string, endDay: string): Period {
  const after = endDay || addMonths(startDay, period.months);
  const days = daysBetween(startDay, after);
  return { ...period, counted: { before: addDays(startDay, -1), after, days, takenBackOn: '' } };
}

/** Whether the line has moved the last paid day and still does. */
function isCounted(period: Period): period is Period & { counted: CountedPeriod } {
  return period.counted !== null && period.counted.takenBackOn === '';
}

/** Whether the money for this period is here and has stayed. */
export function hasItsMoney({ money, sold }: Period, inPaymentIsPaid: boolean): boolean {
  if (money === null) return true;
  if (sold === null || money.reversedRatio >= 1) return isPaid(money, inPaymentIsPaid);
  const credited = Math.floor(money.reversedRatio * sold.quantity + 1e-6);
  // Of several units those are credited that people have removed, then the last ones.
  const isCreditedBefore = (other: number) =>
    sold.removed.includes(other) === sold.removed.includes(sold.unit)
      ? other > sold.unit
      : sold.removed.includes(other);
  const units = Array.from({ length: Math.floor(sold.quantity) }, (_, index) => index + 1);
  const rank = units.filter(isCreditedBefore).length;
  return isPaid(money, inPaymentIsPaid) && sold.unit <= sold.quantity && rank >= credited;
}

/** What a paid line gives: anew, or in the place of what was taken back. */
function counted(
  period: Period,
  original: Period | null,
  endDay: string,
  today: string,
): CountedPeriod {
  const before = original?.counted ?? null;
  if (before === null) {
    const from = laterOf(today, endDay);
    const after = addMonths(from, period.months);
    return { before: endDay, after, days: daysBetween(from, after), takenBackOn: '' };
  }
  // The plan does not take money's way back into account, so the correction has nothing to give.
  if (!before.takenBackOn) return { before: endDay, after: endDay, days: 0, takenBackOn: '' };
  const from = addDays(before.after, -before.days);
  const days =
    period === original ? before.days : daysBetween(from, addMonths(from, period.months));
  // Days during which the customer was down are not hers to lose.
  const down = endDay < today ? daysBetween(laterOf(before.takenBackOn, endDay), today) : 0;
  const base = endDay === before.before ? from : endDay;
  return { before: endDay, after: addDays(base, days + down), days: days + down, takenBackOn: '' };
}

/** The last paid day without what the line gave: as it was before, unless something else has moved it since. */
function takenBack(endDay: string, { before, after, days }: CountedPeriod): string {
  return endDay === after ? before : addDays(endDay, -days);
}
