import { createHmac } from 'node:crypto';
import type { ClientBase } from 'pg';

/** How long the customer has to choose her password, in seconds. */
const VALIDITY = 7 * 24 * 60 * 60;

/**
 * Makes the link with which the administrator of an instance sets her password: the one that Odoo itself mails
 * (auth_signup's `_generate_signup_token`). It ends with the first login, so whoever has it later has nothing.
 * Asking again makes another link; each works until one is used.
 * @param now seconds since the epoch @throws Error when `auth_signup` is not installed
 */
export async function invitationLink(client: ClientBase, now: number): Promise<string> {
  const found = await client.query<{ partner: number; user: number; login_at: string | null }>(
    `UPDATE res_partner p SET signup_type = 'reset'
       FROM res_users u JOIN ir_model_data d ON d.res_id = u.id
      WHERE d.module = 'base' AND d.name = 'user_admin' AND p.id = u.partner_id
     RETURNING p.id AS partner, u.id AS "user",
       (SELECT floor(extract(epoch FROM max(l.create_date)))::bigint FROM res_users_log l
         WHERE l.create_uid = u.id) AS login_at`,
  );
  const [admin] = found.rows;
  if (!admin) throw new Error('the instance has no administrator');
  const { secret, url } = await parameters(client);
  const loginAt = admin.login_at === null ? 'null' : admin.login_at;
  // Written as Python's json.dumps does, since the signature covers the text.
  const message = `[${admin.partner}, [${admin.user}], ${loginAt}, "reset"]`;
  const token = signupToken(secret, message, now + VALIDITY);
  return `${url}/web/reset_password?${new URLSearchParams({ token })}`;
}

/** Odoo's `hash_sign` with scope `signup`: version, expiry, HMAC and message. */
function signupToken(secret: string, message: string, expiry: number): string {
  const signed = `('signup', '1:${message}:${expiry}')`; // the repr() of a Python tuple
  const mac = createHmac('sha256', secret).update(signed).digest();
  const until = Buffer.alloc(8);
  until.writeBigUInt64LE(BigInt(expiry));
  return Buffer.concat([Buffer.from([1]), until, mac, Buffer.from(message)]).toString('base64url');
}

async function parameters(client: ClientBase): Promise<{ secret: string; url: string }> {
  const rows = await client.query<{ key: string; value: string }>(
    `SELECT key, value FROM ir_config_parameter WHERE key IN ('database.secret', 'web.base.url')`,
  );
  const value = (name: string) => rows.rows.find(({ key }) => key === name)?.value ?? '';
  return { secret: value('database.secret'), url: value('web.base.url') };
}
