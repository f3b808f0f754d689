/** What the subscription's policy is about: the manager's facts, and what is written back. */

export type SubscriptionState =
  | 'draft'
  | 'active'
  | 'paused'
  | 'expiring_soon'
  | 'expired'
  | 'cancelled'
  | 'removed';

/** What becomes of a period when its money is given back. */
export type RefundPolicy = 'suspend' | 'warn' | 'ignore';

/** What becomes of a subscription that costs nothing when its term ends; '' for one that costs something. */
export type FreePolicy = '' | 'continue' | 'end';

/** In days, where nothing else is said. The plan's own where it has them, else its company's. */
export interface Terms {
  /** Before the last paid day, when the customer is told that it comes. */
  readonly notice: number;
  /** After the last paid day, during which the instance still runs. */
  readonly grace: number;
  /** From the suspension, or from the removal by a person, until the data go. */
  readonly retention: number;
  /** Before the data go, when the customer is told for the last time. */
  readonly finalNotice: number;
  readonly refund: RefundPolicy;
  /** In hours: how long missing money may be missing before anything is done about it. */
  readonly reconsider: number;
  readonly free: FreePolicy;
}

/** What became of the money for one invoice line. */
export interface Money {
  readonly moveType: string;
  readonly state: string;
  readonly paymentState: string;
  /** 0 … 1: how much of the line was credited or sent back. */
  readonly reversedRatio: number;
}

/** Which of a line's units pays for this subscription; the first sale may be of several. */
export interface SoldUnit {
  readonly unit: number;
  readonly quantity: number;
  /** Units whose instances people have removed. */
  readonly removed: readonly number[];
}

/** What an invoice line has added to the last paid day. */
export interface AppliedPeriod {
  /** The last paid day before and after. */
  readonly before: string;
  readonly after: string;
  /** How many days the line gives when all of it is paid; fewer than lie between the two when the service had lapsed. */
  readonly days: number;
  /** How many of them went back with the money. `after` does not show it. */
  readonly taken: number;
  /** The day on which the last of them were taken back, or ''. */
  readonly reversedOn: string;
}

/** One invoice line that pays, or paid, or will pay for a stretch of service. */
export interface Period {
  /** The invoice line; 0 for a first period that nobody was invoiced. */
  readonly lineId: number;
  readonly isFirst: boolean;
  /** As sold. 0: no end, for an instance without a plan; a renewal of 0 months gives nothing. */
  readonly months: number;
  /** When the invoice was paid, null where nobody knows. */
  readonly paidAt: Date | null;
  /** Null when nobody was invoiced: it is given. */
  readonly money: Money | null;
  /** Null for a renewal: all of the line is for this subscription. */
  readonly sold: SoldUnit | null;
  /** The line of the reversed invoice that this one corrects, or 0. */
  readonly replaces: number;
  readonly applied: AppliedPeriod | null;
  /** Since when its money has been missing, null while it is there or once the days were taken back. */
  readonly missingSince: Date | null;
}

/** The rungs of the ladder that each instance takes at most once; the moment it did is kept in the manager. */
export type Stage = 'suspend' | 'finalNotice' | 'archive' | 'remove';

/** When each rung was taken, and when a person removed the instance. */
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
  /** The last paid day, as counted or as a person wrote it. */
  readonly endDay: string;
  /** Why it is suspended. */
  readonly reason: SuspensionReason;
  readonly terms: Terms;
  /** The first sale, its corrections and the renewals, in the order of the invoices. */
  readonly periods: readonly Period[];
  /** What the customer was told already, see noticeKey(). */
  readonly sentNotices: readonly string[];
}

/** Why a container does not run although people want it to; '' when it may. */
export type SuspensionReason = '' | 'Expired' | 'Refunded' | 'Cancelled';

/**
 * Told to the customer by mail, but for `refundWarning`, `paidThoughRemoved` (the data are there still) and
 * `paidAfterRemoval` (they are gone): a person must look at these.
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

/** Sent once for each subscription, kind and period, however often it is reported. */
export interface Notice {
  readonly kind: NoticeKind;
  /** Tells two of one kind apart: a day, an invoice line. */
  readonly period: string;
}

/** What is written to the manager; only the given members. */
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
