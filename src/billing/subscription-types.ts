/** What the subscription policy works on: the manager's records, and what is written back. */

export type SubscriptionState =
  | 'draft'
  | 'active'
  | 'paused'
  | 'expiring_soon'
  | 'expired'
  | 'cancelled'
  | 'removed';

/** What happens to a period when its payment is refunded or reversed. */
export type RefundPolicy = 'suspend' | 'warn' | 'ignore';

/** What happens to a free subscription when its term ends; '' for one that costs something. */
export type FreePolicy = '' | 'continue' | 'end';

/** In days, where no other unit is given. The plan's own where it has them, else its company's. */
export interface Terms {
  /** Before the last paid day, when the customer is notified of it. */
  readonly notice: number;
  /** After the last paid day, during which the instance still runs. */
  readonly grace: number;
  /** From the suspension, or from the removal by a person, until the data are removed. */
  readonly retention: number;
  /** Before the data are removed, when the customer is notified for the last time. */
  readonly finalNotice: number;
  readonly refund: RefundPolicy;
  /** In hours: how long money may be missing before the period is reversed. */
  readonly reconsider: number;
  readonly free: FreePolicy;
}

/** The payment status of one invoice line. */
export interface Money {
  readonly moveType: string;
  readonly state: string;
  readonly paymentState: string;
  /** 0 … 1: the share of the line that was credited or refunded. */
  readonly reversedRatio: number;
}

/** Which unit of a line pays for this subscription; the first sale may be of several units. */
export interface SoldUnit {
  readonly unit: number;
  readonly quantity: number;
  /** Units whose instances people have removed. */
  readonly removed: readonly number[];
}

/** How an invoice line has moved the last paid day. */
export interface AppliedPeriod {
  /** The last paid day before and after. */
  readonly before: string;
  readonly after: string;
  /** The days the line adds when all of it is paid; fewer than there are between the two when the service had lapsed. */
  readonly days: number;
  /** How many of them were reversed. `after` does not include that. */
  readonly reversedDays: number;
  /** The day of the latest reversal, or ''. */
  readonly reversedOn: string;
}

/** One invoice line that pays, has paid or will pay for a period of service. */
export interface Period {
  /** The invoice line; 0 for a first period without an invoice. */
  readonly lineId: number;
  readonly isFirst: boolean;
  /** As sold. 0: no end, for an instance without a plan; a renewal of 0 months adds nothing. */
  readonly months: number;
  /** When the invoice was paid; null where that is not known. */
  readonly paidAt: Date | null;
  /** Null without an invoice: the period counts as paid. */
  readonly money: Money | null;
  /** Null for a renewal: the whole line is for this subscription. */
  readonly sold: SoldUnit | null;
  /** The line of the reversed invoice that this one corrects, or 0. */
  readonly replaces: number;
  readonly applied: AppliedPeriod | null;
  /** Since when its money has been missing; null while it is paid, and once the days are reversed. */
  readonly missingSince: Date | null;
}

/** The dunning stages. Each instance enters each at most once in a run; the moment is kept in the manager. */
export type Stage = 'suspend' | 'finalNotice' | 'archive' | 'remove';

/** When each stage was entered, and when a person removed the instance. */
export interface Moments {
  readonly suspendedAt: Date | null;
  readonly finalNoticeAt: Date | null;
  readonly archivedAt: Date | null;
  readonly dataRemovedAt: Date | null;
  readonly removedAt: Date | null;
}

export interface Subscription extends Moments {
  readonly id: number;
  readonly state: SubscriptionState;
  /** '' while the instance has not run. */
  readonly startDay: string;
  /** The last paid day, as calculated or as a person wrote it. */
  readonly endDay: string;
  /** Why it is suspended. */
  readonly reason: SuspensionReason;
  readonly terms: Terms;
  /** The first sale, its corrections and the renewals, in the order of the invoices. */
  readonly periods: readonly Period[];
  /** The notices already sent, see noticeKey(). */
  readonly sentNotices: readonly string[];
}

/** Why an instance is suspended; '' when it may run. */
export type SuspensionReason = '' | 'Expired' | 'Refunded' | 'Cancelled';

/**
 * Mailed to the customer, except `refundWarning`, `paidThoughRemoved` (the data are still there) and `paidAfterRemoval` (they are
 * gone): those become an activity for a person.
 */
export type NoticeKind =
  | 'welcome'
  | 'expiring'
  | 'suspended'
  | 'renewed'
  | 'finalNotice'
  | 'removed'
  | 'refundWarning'
  | 'paidThoughRemoved'
  | 'paidAfterRemoval';

/** Sent once per subscription, kind and period, however often it is reported. */
export interface Notice {
  readonly kind: NoticeKind;
  /** Distinguishes two of one kind: a day, or an invoice line. */
  readonly period: string;
}

/** What is written to the manager; only the given fields. */
export interface SubscriptionChange extends Partial<Moments> {
  readonly state?: SubscriptionState;
  readonly startDay?: string;
  readonly endDay?: string;
  readonly reason?: SuspensionReason;
  readonly archive?: string;
  readonly periods?: ReadonlyArray<Pick<Period, 'lineId' | 'isFirst' | 'applied' | 'missingSince'>>;
  readonly notices?: readonly Notice[];
}

export function noticeKey({ kind, period }: Notice): string {
  return `${kind} ${period}`;
}
