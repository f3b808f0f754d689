import { z } from 'zod';
import type { TenantSession } from '../postgres/tenant-session.ts';

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
  if (renewed > 0) await clearCache(session);
  await session.run('COMMIT');
}

/**
 * Has every process of a running Odoo forget its system parameters. Before each request Odoo compares the highest id of some tables with
 * what it saw last (`get_sequences` in odoo/orm/registry.py); up to Odoo 18 these were sequences, and parameters were in the default cache.
 */
async function clearCache(session: TenantSession): Promise<void> {
  const [found] = await session.rows(
    z.object({ table: z.boolean(), sequence: z.boolean() }),
    `SELECT to_regclass('public.orm_signaling_stable') IS NOT NULL AS "table",
            to_regclass('public.base_cache_signaling_default') IS NOT NULL AS sequence`,
  );
  if (found?.table) await session.run('INSERT INTO public.orm_signaling_stable DEFAULT VALUES');
  else if (found?.sequence)
    await session.run(`SELECT nextval('public.base_cache_signaling_default')`);
}
