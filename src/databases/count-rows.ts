import { z } from 'zod';
import type { TenantSession } from '../postgres/tenant-session.ts';

/** What no company's Odoo is without, and what its customer would miss first. */
export const COUNTED = [
  'res_users',
  'res_partner',
  'ir_attachment',
  'mail_message',
  'account_move_line',
];

/** How many rows the tables have that every Odoo has, and those that matter most, where they are there: by table. */
export async function countRows(session: TenantSession): Promise<Record<string, number>> {
  const found = await session.rows(
    z.object({ name: z.enum(COUNTED) }),
    `SELECT relname::text AS name FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname = ANY($1)`,
    [COUNTED],
  );
  const rows: Record<string, number> = {};
  for (const { name } of found) {
    const counted = z.object({ rows: z.coerce.number().int().nonnegative() });
    const [row] = await session.rows(counted, `SELECT count(*) AS rows FROM public.${name}`);
    rows[name] = row?.rows ?? 0;
  }
  return rows;
}
