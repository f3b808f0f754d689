import { createHmac } from 'node:crypto';
import type { ClientBase } from 'pg';

/** How long the customer has to choose their password, in seconds: the link is made when they press the button. */
const VALIDITY = 60 * 60;

/** A one-time link with which the administrator of an instance sets their password. */
export interface Invitation {
  readonly link: string;
  /** Nobody has logged in as that administrator yet. */
  readonly isFirst: boolean;
}

/**
 * Makes the link with which the administrator of an instance sets their password: the one that Odoo itself mails
 * (auth_signup's `_generate_signup_token`). It ends with the next login, so whoever has it later has nothing.
 * Asking again makes another link; each works until one is used.
 * @param url where the instance is: what its database says of that is the tenant's, who could lead elsewhere
 * @param now seconds since the epoch @throws Error when `auth_signup` is not installed
 */
export async function invitationLink(
  client: ClientBase,
  url: string,
  now: number,
): Promise<Invitation> {
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
  const secret = await databaseSecret(client);
  const loginAt = admin.login_at === null ? 'null' : admin.login_at;
  // Written as Python's json.dumps does, since the signature covers the text.
  const message = `[${admin.partner}, [${admin.user}], ${loginAt}, "reset"]`;
  const token = signupToken(secret, message, now + VALIDITY);
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

async function databaseSecret(client: ClientBase): Promise<string> {
  const found = await client.query<{ value: string }>(
    `SELECT value FROM ir_config_parameter WHERE key = 'database.secret'`,
  );
  return found.rows[0]?.value ?? '';
}
