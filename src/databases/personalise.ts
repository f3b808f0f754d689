import { randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { TenantSession } from '../postgres/tenant-session.ts';
import { columnsOf } from './columns.ts';
import { type OutgoingMail, setUpMail } from './outgoing-mail.ts';

/** What is individual about a clone of a template database. */
export interface TenantIdentity {
  readonly url: string;
  readonly login: string;
  readonly passwordHash: string;
  readonly name: string;
  readonly companyName: string;
  readonly email: string;
  readonly lang: string;
  readonly countryCode: string;
  /** Null: it gets no mail server. */
  readonly mail: OutgoingMail | null;
}

/** Tables whose rows no two clones may share; they are emptied where the module set has them. The bus has the template's name. */
const NOT_SHARED = [
  'res_users_apikeys',
  'auth_totp_device',
  'auth_passkey_key',
  'iap_account',
  'bus_bus',
];

/** Parameters that Odoo generates when they are missing. */
const REMADE_BY_ODOO = [
  'mail.web_push_vapid_public_key',
  'mail.web_push_vapid_private_key',
  'mail.sfu_server_key',
  'mail.sfu_server_url',
];

/** Where Odoo reaches itself for the styles and images of PDF reports: its public address may not be reachable from its container. */
const REPORT_URL = 'http://127.0.0.1:8069';

/**
 * Gives a fresh clone the customer's identity, in one transaction and before any Odoo has read it: Odoo caches system parameters
 * (`_get_param` in base/models/ir_config_parameter.py), and no two clones may share their UUID or secret.
 */
export async function personalise(session: TenantSession, who: TenantIdentity): Promise<void> {
  const { admin, company } = await records(session);
  await session.run('BEGIN');
  await renewParameters(session, who.url);
  await renewAdministrator(session, admin, who);
  await renewCompany(session, company, who);
  await renewPartners(session);
  await renewChatLinks(session);
  if (who.mail) await setUpMail(session, company, who.mail);
  for (const table of await presentOf(session, NOT_SHARED))
    await session.run(`DELETE FROM public.${table}`);
  // Odoo's own default is free sign-up; the customer may allow it again.
  await session.run(
    `UPDATE public.ir_config_parameter SET value = 'b2b' WHERE key = 'auth_signup.invitation_scope'`,
  );
  // Otherwise the crons of all clones would run in the same second. The daily ones of one clone have the same moment: while it is
  // asleep, it is woken once a day for all of them.
  await session.run(
    `UPDATE public.ir_cron SET nextcall = (now() AT TIME ZONE 'UTC') + interval '10 minutes' + interval '50 minutes'
       * CASE WHEN interval_type IN ('minutes', 'hours') THEN random() ELSE (SELECT random()) END`,
  );
  await session.run('COMMIT');
}

/** Regenerates what identifies a database and signs its sessions and links: no two databases may share it. */
export async function renewParameters(session: TenantSession, url: string): Promise<void> {
  const values: Record<string, string> = {
    'database.uuid': randomUUID(),
    'database.secret': randomBytes(32).toString('base64url'),
    'database.create_date': new Date().toISOString().slice(0, 19).replace('T', ' '),
    'web.base.url': url,
    // Without it Odoo overwrites the base URL when an administrator logs in.
    'web.base.url.freeze': 'True',
    'report.url': REPORT_URL,
  };
  await session.run(
    `INSERT INTO public.ir_config_parameter (key, value, create_date, write_date)
     SELECT key, value, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
       FROM unnest($1::text[], $2::text[]) AS given (key, value)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, write_date = excluded.write_date`,
    [Object.keys(values), Object.values(values)],
  );
  await session.run('DELETE FROM public.ir_config_parameter WHERE key = ANY($1::text[])', [
    REMADE_BY_ODOO,
  ]);
}

async function renewAdministrator(
  session: TenantSession,
  admin: number,
  who: TenantIdentity,
): Promise<void> {
  await session.run(
    'UPDATE public.res_users SET login = $2, password = $3, signature = $4, active = true WHERE id = $1',
    [admin, who.login, who.passwordHash, signatureOf(who.name)],
  );
  await session.run(
    `UPDATE public.res_partner p SET name = $2, email = nullif($3, ''), lang = $4, complete_name = $2
     FROM public.res_users u WHERE u.id = $1 AND p.id = u.partner_id`,
    [admin, who.name, who.email, who.lang],
  );
}

/** As Odoo makes it of a name (`_compute_signature` in base/models/res_users.py). */
function signatureOf(name: string): string {
  return `<div>${name.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)}</div>`;
}

async function renewCompany(
  session: TenantSession,
  company: number,
  who: TenantIdentity,
): Promise<void> {
  await session.run(
    "UPDATE public.res_company SET name = $2, email = nullif($3, '') WHERE id = $1",
    [company, who.companyName, who.email],
  );
  await session.run(
    `UPDATE public.res_partner p SET name = $2, complete_name = $2, email = nullif($3, ''), lang = $4,
       country_id = coalesce((SELECT id FROM public.res_country WHERE code = $5), p.country_id)
     FROM public.res_company c WHERE c.id = $1 AND p.id = c.partner_id`,
    [company, who.companyName, who.email, who.lang, who.countryCode],
  );
}

/** Brings what Odoo keeps beside names and e-mail addresses in line with them, where the module set has it. */
async function renewPartners(session: TenantSession): Promise<void> {
  const columns = await columnsOf(session, 'res_partner');
  const kept = {
    commercial_company_name: 'CASE WHEN is_company THEN name ELSE commercial_company_name END',
    email_normalized: 'email',
  };
  for (const [column, value] of Object.entries(kept))
    if (columns.has(column))
      await session.run(
        `UPDATE public.res_partner SET ${column} = ${value} WHERE ${column} IS DISTINCT FROM ${value}`,
      );
}

/** Who has the link of a channel (`/chat/<id>/<uuid>`) may read it. */
async function renewChatLinks(session: TenantSession): Promise<void> {
  if ((await columnsOf(session, 'discuss_channel')).has('uuid'))
    await session.run('UPDATE public.discuss_channel SET uuid = gen_random_uuid()::text');
}

async function records(session: TenantSession): Promise<{ admin: number; company: number }> {
  const [found] = await session.rows(
    z.object({ admin: z.int(), company: z.int() }),
    `SELECT max(res_id) FILTER (WHERE name = 'user_admin') AS admin,
            max(res_id) FILTER (WHERE name = 'main_company') AS company
     FROM public.ir_model_data WHERE module = 'base' AND name IN ('user_admin', 'main_company')`,
  );
  if (!found) throw new Error('the template database has no administrator');
  return found;
}

/** Those of the tables that exist. */
async function presentOf(session: TenantSession, tables: readonly string[]): Promise<string[]> {
  const found = await session.rows(
    z.object({ name: z.enum(tables as [string, ...string[]]) }),
    `SELECT name FROM unnest($1::text[]) AS asked (name) WHERE to_regclass('public.' || name) IS NOT NULL`,
    [tables],
  );
  return found.map(({ name }) => name);
}
