/** Why an invoice is held for a person's approval; the addon has a sentence for each (`models/reason_sentences.py`). */
export const HOLD_REASONS = [
  'UnlinkedCredit',
  'PartOfAUnit',
  'TooManyUnits',
  'Duplicate',
  'TrialAgain',
  'TooManyClaims',
  'PlanSince',
] as const;

export interface Hold {
  readonly reason: (typeof HOLD_REASONS)[number];
  /** What the sentence names, in its order. */
  readonly detail: ReadonlyArray<string | number>;
}

/** One whole unit of a paid plan line, for which one instance is owed. */
export interface PlanUnit {
  readonly lineId: number;
  /** 1, 2, 3 … up to the line's whole quantity. */
  readonly unit: number;
}

export interface InvoiceLine {
  readonly id: number;
  /** Odoo's display type; only `product` lines are sales. */
  readonly displayType: string;
  readonly quantity: number;
  readonly priceSubtotal: number;
  readonly isPlan: boolean;
  readonly provision: 'automatic' | 'manual';
  /** The day the product became a plan, or ''. */
  readonly planSince: string;
  /** Invoiced since then, by the manager's reckoning in the company's time zone. */
  readonly isSincePlan: boolean;
  /** Names of the subscriptions that this line may be meant to renew: it is a copy of the line that sold them. */
  readonly mayRenew: readonly string[];
  /** A trial: the documents by which this customer has had it already, or the line's own where it is of several units. */
  readonly triedBefore: readonly string[];
  readonly claimedUnits: readonly number[];
  /** Paid units of this plan, over all invoices, that are neither claimed nor held. */
  readonly backlog: number;
}

/** What the manager says about one invoice. */
export interface Invoice {
  readonly id: number;
  readonly name: string;
  readonly moveType: string;
  readonly state: string;
  readonly paymentState: string;
  /** Whether one whose payment the bank has not confirmed yet counts as paid. */
  readonly inPaymentIsPaid: boolean;
  readonly invoiceDay: string;
  /** In the company's time zone; '' while it is not paid. */
  readonly paidDay: string;
  readonly partnerId: number;
  /** A person has approved the held units. */
  readonly approved: boolean;
  /** Reason of the present hold, or ''. */
  readonly hold: string;
  /** 0 … 1: the share of the total that posted credit notes have credited. */
  readonly reversedRatio: number;
  /** A credit note of the same plan that is reconciled with it and names no invoice, or ''. */
  readonly unlinkedCredit: string;
  readonly lines: readonly InvoiceLine[];
  /** Instances whose subscriptions it pays for, has paid for, or credits as a credit note. */
  readonly instanceIds: readonly number[];
}
