import { decideClaim } from '../billing/claim-policy.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { ControllerContext } from './controller-context.ts';

/** The instances that an invoice concerns. */
export interface Concerned {
  /** The ids of those that it had before. */
  readonly known: readonly number[];
  readonly claimed: readonly DesiredInstance[];
}

/** Claims what one invoice has paid for: its instances' rows, each created once under Odoo's UNIQUE constraint. Idempotent. */
export async function claim(invoiceId: number, context: ControllerContext): Promise<Concerned> {
  const { manager, managerCheck, limits, log } = context;
  // In parallel, so that the check costs no sale any time.
  const [isTrusted, invoice] = await Promise.all([
    managerCheck.isTrusted(),
    manager.invoice(invoiceId),
  ]);
  if (!isTrusted || invoice === null) return { known: [], claimed: [] };
  const { units, hold } = decideClaim(invoice, limits);
  if (hold) {
    log.warn({ invoice: invoice.name, reason: hold.reason }, 'waits for a person');
    await manager.hold(invoiceId, hold);
  }
  if (units.length === 0) return { known: invoice.instanceIds, claimed: [] };
  const above = managerCheck.highestInstance;
  const claimed = await manager.claim(units, above);
  const ids = claimed.map(({ id }) => id);
  managerCheck.recordClaimed(ids, above);
  log.info({ invoice: invoice.name, units: units.length, instances: ids }, 'claimed');
  return { known: invoice.instanceIds, claimed };
}
