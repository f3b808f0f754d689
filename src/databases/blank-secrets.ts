import { escapeIdentifier } from 'pg';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import type { TenantSession } from '../postgres/tenant-session.ts';
import { presentOf } from './identity.ts';
import { NOT_SHARED } from './personalise.ts';

/*
 * What Odoo's own neutralisation leaves in a database. Which columns hold secrets is told by their names, so that modules of which nobody
 * here has heard are covered too: many (google_gmail, microsoft_outlook, auth_ldap, base_automation) bring no neutralize.sql.
 */

/** A word in the name of a column that holds a secret, or of a system parameter; words are separated by `_`, `.` or `-`. */
const WORDS =
  'pass|passwd|password|passphrase|pwd|secret|token|rtoken|apikey|hmac|credentials?|webhook_uuid';
const KEYS =
  '(api|app|access|aade|auth|encryption|hmac|migration|notification|payment|pem|private|replacement|secret|server|session|shared|signature|signing|webhook)_key';
const SECRET = `(^|[._-])(${WORDS}|${KEYS})([._-]|$)`;

/** Parameters that are called so and are settings. */
const SETTINGS = ['auth_password_policy.minlength', 'auth_signup.reset_password'];

/** A parameter that every database has, of its own by now: see renewParameters(). */
const OWN_SECRET = 'database.secret';

/** Identifies the subscription of who has a contract with Odoo. */
const CONTRACT = 'database.enterprise_code';

/** Files of these models' fields are private keys and certificates with them. */
const KEY_MODELS = ['certificate.key', 'certificate.certificate'];

/** What waits to be sent, and what stands for "not any more". */
const QUEUES = [
  { table: 'mail_mail', waiting: ['outgoing', 'exception'], cancelled: 'cancel' },
  { table: 'sms_sms', waiting: ['outgoing', 'process', 'error'], cancelled: 'canceled' },
  { table: 'snailmail_letter', waiting: ['pending', 'error'], cancelled: 'canceled' },
  { table: 'mailing_mailing', waiting: ['in_queue', 'sending'], cancelled: 'draft' },
];

/** The only scheduled action that stays, as in Odoo's own neutralisation: it cleans up. */
const OTHER_CRONS = `active AND id NOT IN (
  SELECT res_id FROM public.ir_model_data
   WHERE model = 'ir.cron' AND module = 'base' AND name = 'autovacuum_job')`;

/** Where Odoo's neutralisation has the only mail server that stays send to: a name that nobody has (RFC 6761). */
const NOWHERE = 'invalid';

/** A column that holds secrets by its name. */
const column = z.object({
  table: z.string(),
  name: z.string(),
  isRequired: z.boolean(),
  isText: z.boolean(),
});
type Column = z.infer<typeof column>;

/** Nothing is planned, and nothing that waited to be sent is sent. */
export async function stopSending(session: TenantSession): Promise<void> {
  await session.run(`UPDATE public.ir_cron SET active = false WHERE ${OTHER_CRONS}`);
  await session.run('UPDATE public.ir_mail_server SET active = false WHERE smtp_host <> $1', [
    NOWHERE,
  ]);
  for (const { cancelled, table, waiting } of await presentQueues(session))
    await session.run(`UPDATE public.${table} SET state = $1 WHERE state = ANY($2::text[])`, [
      cancelled,
      waiting,
    ]);
  // Who logs in is asked for at another server, with the password that they give.
  for (const table of await presentOf(session, ['res_company_ldap']))
    await session.run(`DELETE FROM public.${table}`);
}

/**
 * Removes what would let somebody act in the original's name. Users' passwords stay, which are hashes: people log in with what they know.
 * What is required gets a random value.
 */
export async function removeSecrets(session: TenantSession): Promise<void> {
  for (const table of await presentOf(session, NOT_SHARED))
    await session.run(`DELETE FROM public.${table}`);
  await session.run(
    `DELETE FROM public.ir_config_parameter
      WHERE key = $1 OR (key ~ $2 AND key <> $3 AND key <> ALL($4::text[]))`,
    [CONTRACT, SECRET, OWN_SECRET, SETTINGS],
  );
  await session.run(
    `DELETE FROM public.ir_attachment
      WHERE res_field IS NOT NULL AND (res_field ~ $1 OR res_model = ANY($2::text[]))`,
    [SECRET, KEY_MODELS],
  );
  for (const [table, columns] of byTable(await secretColumns(session))) {
    const values = columns.map(
      ({ isRequired, name }) =>
        `${escapeIdentifier(name)} = ${isRequired ? 'gen_random_uuid()::text' : 'NULL'}`,
    );
    const filled = columns.map(({ name }) => `${escapeIdentifier(name)} IS NOT NULL`);
    await session.run(
      `UPDATE public.${escapeIdentifier(table)} SET ${values.join(', ')} WHERE ${filled.join(' OR ')}`,
    );
  }
}

/**
 * Looks whether the database is as it should be by now: a trigger or a rule of the tenant's may have made nothing of it.
 * @throws TerminalError('NeutraliseFailed') naming what is left
 */
export async function checkBlank(session: TenantSession): Promise<void> {
  const left = async (what: string, query: string, values: readonly unknown[] = []) => {
    const found = await session.rows(z.object({ one: z.int() }), `${query} LIMIT 1`, values);
    if (found.length > 0)
      throw new TerminalError('NeutraliseFailed', `${what} is left`, { detail: what });
  };
  const [flag] = await session.rows(
    z.object({ value: z.string() }),
    `SELECT value::text FROM public.ir_config_parameter WHERE key = 'database.is_neutralized'`,
  );
  if (flag?.value.toLowerCase() !== 'true')
    throw new TerminalError('NeutraliseFailed', 'it is not marked', {
      detail: 'database.is_neutralized',
    });
  await left('ir_cron', `SELECT 1 AS one FROM public.ir_cron WHERE ${OTHER_CRONS}`);
  await left(
    'ir_mail_server',
    'SELECT 1 AS one FROM public.ir_mail_server WHERE active AND smtp_host IS DISTINCT FROM $1',
    [NOWHERE],
  );
  for (const { table, waiting } of await presentQueues(session))
    await left(table, `SELECT 1 AS one FROM public.${table} WHERE state::text = ANY($1::text[])`, [
      waiting,
    ]);
  for (const table of await presentOf(session, NOT_SHARED))
    await left(table, `SELECT 1 AS one FROM public.${table}`);
  for (const { isRequired, name, table } of await secretColumns(session))
    if (!isRequired)
      await left(
        `${table}.${name}`,
        `SELECT 1 AS one FROM public.${escapeIdentifier(table)} WHERE ${escapeIdentifier(name)} IS NOT NULL`,
      );
}

async function presentQueues(session: TenantSession) {
  const present = await presentOf(
    session,
    QUEUES.map(({ table }) => table),
  );
  return QUEUES.filter(({ table }) => present.includes(table));
}

/** The columns of tables that hold secrets by their names; a required one that holds no text cannot be made random, and is left. */
async function secretColumns(session: TenantSession): Promise<Column[]> {
  const found = await session.rows(
    column,
    `SELECT c.relname::text AS "table", a.attname::text AS name, a.attnotnull AS "isRequired",
            t.typname IN ('varchar', 'text', 'bpchar') AS "isText"
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        AND t.typname IN ('varchar', 'text', 'bpchar', 'bytea', 'json', 'jsonb')
        AND a.attname::text ~ $1 AND NOT (c.relname = 'res_users' AND a.attname = 'password')
      ORDER BY 1, 2`,
    [SECRET],
  );
  return found.filter(({ isRequired, isText }) => !isRequired || isText);
}

function byTable(columns: readonly Column[]): Map<string, Column[]> {
  const tables = new Map<string, Column[]>();
  for (const one of columns) tables.set(one.table, [...(tables.get(one.table) ?? []), one]);
  return tables;
}
