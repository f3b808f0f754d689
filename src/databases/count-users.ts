import { z } from 'zod';
import type { TenantSession } from '../postgres/tenant-session.ts';

/** What Odoo can write down. */
const MAX_USERS = 1_000_000_000;

/** How many people may work in an instance's Odoo: its internal users that are not archived. Portal users are none. */
export async function countUsers(session: TenantSession): Promise<number> {
  const [row] = await session.rows(
    z.object({ users: z.coerce.number().int().min(0).max(MAX_USERS) }),
    'SELECT count(*) AS users FROM public.res_users WHERE active AND share IS NOT TRUE',
  );
  return row?.users ?? 0;
}
