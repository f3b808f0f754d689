import { z } from 'zod';
import type { TenantSession } from '../postgres/tenant-session.ts';

/**
 * Has every process of a running Odoo forget, at its next request, what it has cached of the database: system parameters, users, languages.
 * Compiled pages, styles and routes stay, and the registry is not loaded again. Before each request Odoo compares the highest id of some
 * tables with what it saw last (`check_signaling` in odoo/orm/registry.py); up to Odoo 18 these were sequences.
 */
export async function signalOdoo(session: TenantSession): Promise<void> {
  const [found] = await session.rows(
    z.object({ table: z.boolean(), sequence: z.boolean() }),
    `SELECT to_regclass('public.orm_signaling_stable') IS NOT NULL AS "table",
            to_regclass('public.base_cache_signaling_default') IS NOT NULL AS sequence`,
  );
  if (found?.table) await session.run('INSERT INTO public.orm_signaling_stable DEFAULT VALUES');
  else if (found?.sequence)
    await session.run(`SELECT nextval('public.base_cache_signaling_default')`);
}
