import type { Money } from './subscription-types.ts';
import type { Invoice, InvoiceLine, PlanUnit } from './types.ts';

export interface ClaimLimits {
  /** More paid units than this on one line wait for a person's word. */
  readonly unitsPerLine: number;
  /** More unclaimed paid units of one plan than this wait for a person's word. */
  readonly claimsPerPlan: number;
}

export interface ClaimDecision {
  /** The units that are owed an instance now, in line and unit order. */
  readonly units: readonly PlanUnit[];
  /** Why the rest waits for a person, or null. */
  readonly hold: { readonly reason: string; readonly message: string } | null;
}

const NOTHING: ClaimDecision = { units: [], hold: null };

/**
 * Which units of an invoice are owed an instance and have none. Pure: the whole policy of claiming.
 * An invoice that is not (or no longer) paid, or was credited in full, owes nothing.
 */
export function decideClaim(invoice: Invoice, limits: ClaimLimits): ClaimDecision {
  if (invoice.partnerId === 0 || !isPaid(invoice, invoice.inPaymentIsPaid)) return NOTHING;
  // Held units no longer count as backlog, so the reason may be gone: only a person ends a hold.
  if (invoice.hold !== '' && !invoice.approved) return NOTHING;
  const units: PlanUnit[] = [];
  for (const line of invoice.lines) {
    const missing = unclaimedUnits(line, invoice.invoiceDay);
    if (missing.length === 0) continue;
    const hold = invoice.approved ? null : reasonToHold(line, limits);
    if (hold) return { units: [], hold };
    units.push(...missing);
  }
  return { units, hold: null };
}

/** Whether the customer's money for an invoice, or for one line of it, is here and has stayed. */
export function isPaid(money: Money, inPaymentIsPaid: boolean): boolean {
  const { moveType, paymentState, reversedRatio, state } = money;
  const paid = paymentState === 'paid' || (inPaymentIsPaid && paymentState === 'in_payment');
  // A credit note on a paid invoice leaves it `paid` (odoo.md §2.2), so the reversals are counted.
  return moveType === 'out_invoice' && state === 'posted' && paid && reversedRatio < 1;
}

function unclaimedUnits(line: InvoiceLine, invoiceDay: string): PlanUnit[] {
  const sells = line.displayType === 'product' && line.isPlan && line.provision === 'automatic';
  // What was invoiced before the product became a plan was never a sale of hosting.
  if (!sells || line.priceSubtotal < 0 || line.planSince === '' || invoiceDay < line.planSince)
    return [];
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

function reasonToHold(line: InvoiceLine, limits: ClaimLimits): ClaimDecision['hold'] {
  const units = wholeUnits(line.quantity);
  if (units > limits.unitsPerLine)
    return {
      reason: 'TooManyUnits',
      message: `One line asks for ${units} instances; more than ${limits.unitsPerLine} need a person's approval.`,
    };
  if (line.backlog > limits.claimsPerPlan)
    return {
      reason: 'TooManyClaims',
      message: `${line.backlog} paid units of this plan are waiting at once; more than ${limits.claimsPerPlan} need a person's approval.`,
    };
  return null;
}
