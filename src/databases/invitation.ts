import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { TenantSession } from '../postgres/tenant-session.ts';

/** How long the link is valid: it is made when the customer presses the button. */
const VALIDITY_SECONDS = 60 * 60;

/** A one-time link with which the administrator of an instance sets their password. */
export interface Invitation {
  readonly link: string;
  /** Nobody has logged in as that administrator yet. */
  readonly isFirst: boolean;
}

/** Odoo's own secret is a UUID, the sidecar's has 43 characters; a tenant may have put anything there. */
const MAX_SECRET_LENGTH = 256;

const administrator = z.object({ partner: z.int(), user: z.int(), login_at: z.int().nullable() });

/**
 * Makes the link with which the administrator of an instance sets their password, as Odoo's own password mail has it
 * (auth_signup's `_generate_signup_token`). The next login invalidates it. Several links can be valid until one is used.
 * @param url the instance's address by the sidecar's configuration: `web.base.url` in the database is under the tenant's control
 * @param now seconds since the epoch
 * @throws Error when the database has no such administrator or secret
 */
export async function invitationLink(
  session: TenantSession,
  url: string,
  now: number,
): Promise<Invitation> {
  const [admin] = await session.rows(
    administrator,
    `UPDATE public.res_partner p SET signup_type = 'reset'
       FROM public.res_users u JOIN public.ir_model_data d ON d.res_id = u.id
      WHERE d.module = 'base' AND d.name = 'user_admin' AND p.id = u.partner_id
     RETURNING p.id::int AS partner, u.id::int AS "user",
       (SELECT floor(extract(epoch FROM max(l.create_date)))::float8 FROM public.res_users_log l
         WHERE l.create_uid = u.id) AS login_at`,
  );
  const [parameter] = await session.rows(
    z.object({ secret: z.string().min(1).max(MAX_SECRET_LENGTH) }),
    `SELECT pg_catalog.left(value::text, ${MAX_SECRET_LENGTH + 1}) AS secret
       FROM public.ir_config_parameter WHERE key = 'database.secret' LIMIT 1`,
  );
  if (!admin || !parameter) throw new Error('the instance has no administrator, or no secret');
  const loginAt = admin.login_at === null ? 'null' : admin.login_at;
  // Formatted as Python's json.dumps does, since the signature covers the text.
  const message = `[${admin.partner}, [${admin.user}], ${loginAt}, "reset"]`;
  const token = signupToken(parameter.secret, message, now + VALIDITY_SECONDS);
  const link = `${url}/web/reset_password?${new URLSearchParams({ token })}`;
  return { link, isFirst: admin.login_at === null };
}

/** Odoo's `hash_sign` with scope `signup`: version, expiry, HMAC and message. */
function signupToken(secret: string, message: string, expiry: number): string {
  const signed = `('signup', '1:${message}:${expiry}')`; // the repr() of a Python tuple
  const mac = createHmac('sha256', secret).update(signed).digest();
  const until = Buffer.alloc(8);
  until.writeBigUInt64LE(BigInt(expiry));
  return Buffer.concat([Buffer.from([1]), until, mac, Buffer.from(message)]).toString('base64url');
}
