/** One whole unit of a paid plan line, which is owed one instance. */
export interface PlanUnit {
  readonly lineId: number;
  /** 1, 2, 3 … up to the line's whole quantity. */
  readonly unit: number;
}

export interface InvoiceLine {
  readonly id: number;
  /** Odoo's display type; only `product` lines sell anything. */
  readonly displayType: string;
  readonly quantity: number;
  readonly productTemplateId: number;
  readonly priceSubtotal: number;
  readonly isPlan: boolean;
  readonly provision: 'automatic' | 'manual';
  /** The day the product became a plan, or ''. */
  readonly planSince: string;
  /** Invoiced since then. The manager knows: it takes days in the company's time zone. */
  readonly isSincePlan: boolean;
  /** Names of the subscriptions that this line, copied from what sold them, may be meant to renew. */
  readonly mayRenew: readonly string[];
  readonly claimedUnits: readonly number[];
  /** Paid units of this plan, over all invoices, that nobody has claimed or held. */
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
  /** In the company's time zone; only of what is paid. */
  readonly paidDay: string;
  readonly partnerId: number;
  /** A person said that the held units may be provisioned. */
  readonly approved: boolean;
  /** Reason of the present hold, or ''. */
  readonly hold: string;
  /** 0 … 1: how much of the total has been credited by posted credit notes. */
  readonly reversedRatio: number;
  /** A credit note of the same plan that settled it without naming an invoice, or ''. */
  readonly unlinkedCredit: string;
  readonly lines: readonly InvoiceLine[];
  /** Instances whose subscriptions it pays for, or did, or a credit note takes the money from. */
  readonly instanceIds: readonly number[];
}
