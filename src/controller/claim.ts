import { decideClaim } from '../billing/claim-policy.ts';
import type { ControllerContext } from './controller-context.ts';

/**
 * Claims what one invoice has paid for: the rows that must exist, created once under Odoo's UNIQUE constraint.
 * May be repeated by anybody at any time. @returns the ids of the instances that its money is about, old and new.
 */
export async function claim(invoiceId: number, context: ControllerContext): Promise<number[]> {
  const { manager, managerCheck, limits, log } = context;
  // Together, so that it costs a customer no time.
  const [isTrusted, invoice] = await Promise.all([
    managerCheck.isTrusted(),
    manager.invoice(invoiceId),
  ]);
  if (!isTrusted || invoice === null) return [];
  const { units, hold } = decideClaim(invoice, limits);
  if (hold) {
    log.warn({ invoice: invoice.name, reason: hold.reason }, 'waits for a person');
    await manager.hold(invoiceId, hold.reason, hold.message);
  }
  if (units.length === 0) return [...invoice.instanceIds];
  const ids = await manager.claim(units, managerCheck.highestInstance);
  managerCheck.recordClaimed(ids);
  log.info({ invoice: invoice.name, units: units.length, instances: ids }, 'claimed');
  return [...invoice.instanceIds, ...ids];
}
