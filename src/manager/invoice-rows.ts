import { z } from 'zod';
import type { Invoice } from '../billing/invoice-types.ts';
import { day, id } from './odoo-values.ts';

/* The shape that the addon gives an invoice, and what it means here. */

const invoiceLine = z
  .object({
    id,
    display_type: z.string(),
    quantity: z.number(),
    price_subtotal: z.number(),
    is_plan: z.boolean(),
    provision: z.enum(['automatic', 'manual']),
    desde: day,
    since_plan: z.boolean(),
    may_renew: z.array(z.string()),
    tried_before: z.array(z.string()),
    claimed: z.array(z.int()),
    backlog: z.int(),
  })
  .transform((row) => ({
    id: row.id,
    displayType: row.display_type,
    quantity: row.quantity,
    priceSubtotal: row.price_subtotal,
    isPlan: row.is_plan,
    provision: row.provision,
    planSince: row.desde,
    isSincePlan: row.since_plan,
    mayRenew: row.may_renew,
    triedBefore: row.tried_before,
    claimedUnits: row.claimed,
    backlog: row.backlog,
  }));

const existingInvoice = z
  .object({
    id,
    name: z.string(),
    move_type: z.string(),
    state: z.string(),
    payment_state: z.string(),
    in_payment_is_paid: z.boolean(),
    invoice_date: day,
    paid_day: day,
    partner_id: z.int(),
    approved: z.boolean(),
    hold: z.string(),
    reversed_ratio: z.number(),
    unlinked_credit: z.string(),
    lines: z.array(invoiceLine),
    instance_ids: z.array(id),
  })
  .transform(
    (row): Invoice => ({
      id: row.id,
      name: row.name,
      moveType: row.move_type,
      state: row.state,
      paymentState: row.payment_state,
      inPaymentIsPaid: row.in_payment_is_paid,
      invoiceDay: row.invoice_date,
      paidDay: row.paid_day,
      partnerId: row.partner_id,
      approved: row.approved,
      hold: row.hold,
      reversedRatio: Math.min(1, Math.max(0, row.reversed_ratio)),
      unlinkedCredit: row.unlinked_credit,
      lines: row.lines,
      instanceIds: row.instance_ids,
    }),
  );

/** An invoice that does not exist is `{}`. */
export const invoice = z.union([existingInvoice, z.strictObject({}).transform(() => null)]);
