import type { TenantSession } from '../postgres/tenant-session.ts';
import { signalOdoo } from './signal-odoo.ts';

/**
 * Updates an instance's `web.base.url` when its address changes, unless its administrator has set one of their own. A running Odoo, which
 * caches system parameters, uses it from its next request.
 */
export async function renewUrl(
  session: TenantSession,
  given: { readonly from: string; readonly to: string },
): Promise<void> {
  await session.run('BEGIN');
  const renewed = await session.run(
    `UPDATE public.ir_config_parameter SET value = $2
     WHERE key = 'web.base.url' AND value::text = $1`,
    [given.from, given.to],
  );
  if (renewed > 0) await signalOdoo(session);
  await session.run('COMMIT');
}
