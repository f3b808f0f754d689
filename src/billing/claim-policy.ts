import type { Hold, Invoice, InvoiceLine, PlanUnit } from './invoice-types.ts';
import type { Money } from './subscription-types.ts';

export interface ClaimLimits {
  /** More paid units than this on one line need a person's approval. */
  readonly unitsPerLine: number;
  /** More unclaimed paid units of one plan than this need a person's approval. */
  readonly claimsPerPlan: number;
}

export interface ClaimDecision {
  /** The units that are owed an instance now, in line and unit order. */
  readonly units: readonly PlanUnit[];
  /** Why the rest is held for a person's approval, or null. */
  readonly hold: Hold | null;
}

const NOTHING: ClaimDecision = { units: [], hold: null };

/**
 * Which units of an invoice are owed an instance and have none. Pure: the whole policy of claiming.
 * An invoice that is not (or no longer) paid, or was credited in full, owes nothing.
 */
export function decideClaim(invoice: Invoice, limits: ClaimLimits): ClaimDecision {
  if (invoice.partnerId === 0) return NOTHING;
  // Held units no longer count as backlog, so the reason may be gone: only a person ends a hold.
  if (invoice.hold !== '' && !invoice.approved) return NOTHING;
  if (!isPaid(invoice, invoice.inPaymentIsPaid))
    return { units: [], hold: unlinkedCreditHold(invoice) };
  const units: PlanUnit[] = [];
  for (const line of invoice.lines.filter(isSellable)) {
    const hold = invoice.approved ? null : reasonToHold(line, invoice, limits);
    if (hold) return { units: [], hold };
    if (line.isSincePlan || invoice.approved) units.push(...unclaimedUnits(line));
  }
  return { units, hold: null };
}

/** Whether an invoice, or one line of it, is paid and not reversed. */
export function isPaid(money: Money, inPaymentIsPaid: boolean): boolean {
  const { moveType, paymentState, reversedRatio, state } = money;
  const paid = paymentState === 'paid' || (inPaymentIsPaid && paymentState === 'in_payment');
  // A credit note on a paid invoice leaves it `paid` (account.move, `_compute_payment_state`), so the reversals are counted.
  return moveType === 'out_invoice' && state === 'posted' && paid && reversedRatio < 1;
}

function isSellable(line: InvoiceLine): boolean {
  const sells = line.displayType === 'product' && line.isPlan && line.provision === 'automatic';
  return sells && line.priceSubtotal >= 0 && line.planSince !== '';
}

function unclaimedUnits(line: InvoiceLine): PlanUnit[] {
  const claimed = new Set(line.claimedUnits);
  const missing: PlanUnit[] = [];
  for (let unit = 1; unit <= wholeUnits(line.quantity); unit++)
    if (!claimed.has(unit)) missing.push({ lineId: line.id, unit });
  return missing;
}

/** Whole units only: 2.7 sells two, and anything below one sells nothing. */
export function wholeUnits(quantity: number): number {
  return quantity >= 1 ? Math.floor(quantity) : 0;
}

/** A credit note that names no invoice is reconciled with this one: it may reverse the sale, or pay for it. */
function unlinkedCreditHold(invoice: Invoice): Hold | null {
  const sells = invoice.lines.some((line) => isSellable(line) && unclaimedUnits(line).length > 0);
  if (invoice.unlinkedCredit === '' || invoice.approved || !sells) return null;
  return { reason: 'UnlinkedCredit', detail: [invoice.unlinkedCredit] };
}

function reasonToHold(line: InvoiceLine, invoice: Invoice, limits: ClaimLimits): Hold | null {
  if (line.quantity > 0 && line.quantity < 1)
    return { reason: 'PartOfAUnit', detail: [line.quantity] };
  if (unclaimedUnits(line).length === 0) return null;
  if (!line.isSincePlan) return olderThanPlan(line, invoice);
  const units = wholeUnits(line.quantity);
  if (units > limits.unitsPerLine)
    return { reason: 'TooManyUnits', detail: [units, limits.unitsPerLine] };
  if (line.mayRenew.length > 0) return { reason: 'Duplicate', detail: [line.mayRenew.join(', ')] };
  if (line.triedBefore.length > 0)
    return { reason: 'TrialAgain', detail: [line.triedBefore.join(', ')] };
  if (line.backlog > limits.claimsPerPlan)
    return { reason: 'TooManyClaims', detail: [line.backlog, limits.claimsPerPlan] };
  return null;
}

/** Invoiced and paid before the product became a plan: sells nothing. Paid since: a person decides whether it was meant as a sale. */
function olderThanPlan(line: InvoiceLine, invoice: Invoice): Hold | null {
  if (invoice.paidDay < line.planSince) return null;
  return { reason: 'PlanSince', detail: [invoice.invoiceDay, line.planSince] };
}
