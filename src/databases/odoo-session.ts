import { createHmac, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { OdooSession } from '../interfaces.ts';
import type { TenantSession } from '../postgres/tenant-session.ts';
import { columnsOf } from './columns.ts';

/** Odoo's session ids: 84 characters of URL-safe base64. */
const SID_BYTES = 63;

/** Odoo's own secret is a UUID, hashes of passwords have some hundred characters; a tenant may have put anything there. */
const MAX_TEXT_LENGTH = 512;

/** What of a user goes into the signature of their sessions beside the usual, if they have it: by it they log in in another way. */
const OTHER_WAYS = ['totp_secret', 'oauth_access_token'];

const text = z.string().max(MAX_TEXT_LENGTH);
const user = z.object({
  uid: z.int().positive(),
  login: text,
  password: text,
  secret: text.min(1),
  lang: text.nullable(),
  tz: text.nullable(),
  has_other_way: z.boolean(),
});

/** Odoo gives a session another id after three hours, and forgets then that it was to end: how long one that ends may last, in seconds. */
const LONGEST_ENDING = 2 * 60 * 60;

/** Whose session it is to be. */
export interface SessionWanted {
  /** The name of their Odoo's database. */
  readonly database: string;
  /** The user's. */
  readonly login: string;
  /** See Databases.odooSession(). */
  readonly endsAt: number | null;
  /** Seconds since the epoch. */
  readonly now: number;
}

/**
 * A session of an internal user of an Odoo, as its own login makes one (http.py, `Session.finalize`, and res_users.py,
 * `_session_token_hash_compute`, of 19). Nothing is written: where it is not put into that Odoo's store, it is good for nothing.
 * @returns null where there is no such user, or a password alone does not let them in: two factors, a passkey, a login elsewhere; who has no
 * password here is known elsewhere (LDAP)
 */
export async function odooSession(
  session: TenantSession,
  { database, endsAt, login, now }: SessionWanted,
): Promise<OdooSession | null> {
  const columns = await columnsOf(session, 'res_users');
  const otherWays = OTHER_WAYS.filter((name) => columns.has(name)).map(
    (name) => `u.${name} IS NOT NULL`,
  );
  if ((await columnsOf(session, 'auth_passkey_key')).has('create_uid'))
    otherWays.push('EXISTS (SELECT FROM public.auth_passkey_key k WHERE k.create_uid = u.id)');
  const [found] = await session.rows(
    user,
    `SELECT u.id::int AS uid, ${short('u.login')} AS login, ${short('u.password')} AS password,
       ${short('p.lang')} AS lang, ${short('p.tz')} AS tz, ${short('s.value')} AS secret,
       ${[...otherWays, POLICY].join(' OR ')} AS has_other_way
       FROM public.res_users u JOIN public.res_partner p ON p.id = u.partner_id
       JOIN public.ir_config_parameter s ON s.key = 'database.secret'
      WHERE u.login::text = $1 AND u.active AND NOT u.share AND u.password IS NOT NULL LIMIT 1`,
    [login],
  );
  if (!found || found.has_other_way) return null;
  const sid = randomBytes(SID_BYTES).toString('base64url');
  const key = sessionKey(found);
  if (key === null) return null;
  return {
    sid,
    content: {
      context: { lang: found.lang ?? 'en_US', tz: found.tz ?? false, uid: found.uid },
      create_time: now,
      db: database,
      debug: '',
      login: found.login,
      uid: found.uid,
      session_token: createHmac('sha256', key).update(sid).digest('hex'),
      _trace: [],
      ...(endsAt === null ? {} : { deletion_time: Math.min(endsAt, now + LONGEST_ENDING) }),
    },
  };
}

/** A second factor is asked of everybody, or of all employees (auth_totp_mail). */
const POLICY = `EXISTS (SELECT FROM public.ir_config_parameter t WHERE t.key = 'auth_totp.policy')`;

/** One character more than the schema takes. */
function short(column: string): string {
  return `pg_catalog.left(${column}::text, ${MAX_TEXT_LENGTH + 1})`;
}

/** With what Odoo signs a user's sessions: Python's repr() of pairs. Null where that is not known. */
function sessionKey({ login, password, secret, uid }: z.infer<typeof user>): string | null {
  const [quotedSecret, quotedLogin, quotedPassword] = [secret, login, password].map(quoted);
  if (!(quotedSecret && quotedLogin && quotedPassword)) return null;
  const pairs = [
    `('database_secret', ${quotedSecret})`,
    `('active', True)`,
    `('id', ${uid})`,
    `('login', ${quotedLogin})`,
    `('password', ${quotedPassword})`,
  ];
  return `(${pairs.join(', ')})`;
}

/** Python's repr() of a text; null for one that it would escape. */
function quoted(value: string): string | null {
  if (/[\\\p{C}\p{Z}]/u.test(value) || (value.includes("'") && value.includes('"'))) return null;
  return value.includes("'") ? `"${value}"` : `'${value}'`;
}
