import { z } from 'zod';
import type { TenantSession } from '../postgres/tenant-session.ts';

/** Odoo's column takes any length; an e-mail address has at most 254 characters. */
const MAX_LENGTH = 254;

/**
 * The present login of an instance's administrator; '' when there is none.
 * @returns a tenant's text, safe for a terminal: one line without control characters
 */
export async function adminLogin(session: TenantSession): Promise<string> {
  const [found] = await session.rows(
    z.object({ login: z.string().max(MAX_LENGTH).nullable() }),
    `SELECT pg_catalog.left(u.login::text, ${MAX_LENGTH}) AS login
       FROM public.res_users u JOIN public.ir_model_data d ON d.res_id = u.id
      WHERE d.module = 'base' AND d.name = 'user_admin' LIMIT 1`,
  );
  return (found?.login ?? '').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '�');
}
