import { decideClaim } from '../billing/claim-policy.ts';
import type { ControllerContext } from './controller-context.ts';

/**
 * Claims what one invoice has paid for: its instances' rows, each created once under Odoo's UNIQUE constraint. Idempotent.
 * @returns the ids of all instances that the invoice concerns, old and new
 */
export async function claim(invoiceId: number, context: ControllerContext): Promise<number[]> {
  const { manager, managerCheck, limits, log } = context;
  // In parallel, so that the check costs no sale any time.
  const [isTrusted, invoice] = await Promise.all([
    managerCheck.isTrusted(),
    manager.invoice(invoiceId),
  ]);
  if (!isTrusted || invoice === null) return [];
  const { units, hold } = decideClaim(invoice, limits);
  if (hold) {
    log.warn({ invoice: invoice.name, reason: hold.reason }, 'waits for a person');
    await manager.hold(invoiceId, hold);
  }
  if (units.length === 0) return [...invoice.instanceIds];
  const above = managerCheck.highestInstance;
  const ids = await manager.claim(units, above);
  managerCheck.recordClaimed(ids, above);
  log.info({ invoice: invoice.name, units: units.length, instances: ids }, 'claimed');
  return [...invoice.instanceIds, ...ids];
}
