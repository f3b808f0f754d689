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

/** The language that every database of Odoo has, and keeps. */
const ALWAYS_ACTIVE = 'en_US';

/** Makes names, login, language and mail server of a database its customer's. Within the caller's transaction. */
export async function giveIdentity(session: TenantSession, who: TenantIdentity): Promise<void> {
  const { admin, company } = await records(session);
  await renewAdministrator(session, admin, who);
  await renewCompany(session, company, who);
  await renewPartners(session);
  await giveLanguage(session, who.lang, [ALWAYS_ACTIVE]);
  if (who.mail) await setUpMail(session, company, who.mail);
}

/** Schedules all jobs anew, within the hour. Within the caller's transaction. */
export async function scheduleJobs(session: TenantSession): Promise<void> {
  // Otherwise the crons of all clones would run in the same second. The daily ones of one clone have the same moment: while it is
  // asleep, it is woken once a day for all of them.
  await session.run(
    `UPDATE public.ir_cron SET nextcall = (now() AT TIME ZONE 'UTC') + interval '10 minutes' + interval '50 minutes'
       * CASE WHEN interval_type IN ('minutes', 'hours') THEN random() ELSE (SELECT random()) END`,
  );
}

/** Sets system parameters. Within the caller's transaction. */
export async function setParameters(
  session: TenantSession,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  await session.run(
    `INSERT INTO public.ir_config_parameter (key, value, create_date, write_date)
     SELECT key, value, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
       FROM unnest($1::text[], $2::text[]) AS given (key, value)
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, write_date = excluded.write_date`,
    [Object.keys(values), Object.values(values)],
  );
}

/** Empties those of the tables that exist. Within the caller's transaction. */
export async function empty(session: TenantSession, tables: readonly string[]): Promise<void> {
  for (const table of await presentOf(session, tables))
    await session.run(`DELETE FROM public.${table}`);
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
  for (const table of await presentOf(session, ['website']))
    await session.run(`UPDATE public.${table} SET name = $2 WHERE company_id = $1`, [
      company,
      who.companyName,
    ]);
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

/**
 * Makes a language that of everybody, of partners that are added later (English otherwise, in a database that was made with a country) and
 * of the website, where the module set has one. Within the caller's transaction.
 * @param others what people can choose beside it: all other languages are switched off
 */
export async function giveLanguage(
  session: TenantSession,
  lang: string,
  others: readonly string[],
): Promise<void> {
  await session.run(
    `UPDATE public.res_lang SET active = code = ANY($1::text[])
      WHERE active IS DISTINCT FROM (code = ANY($1::text[]))`,
    [[lang, ...others]],
  );
  await session.run('UPDATE public.res_partner SET lang = $1 WHERE lang IS DISTINCT FROM $1', [
    lang,
  ]);
  await session.run(
    `UPDATE public.ir_default d SET json_value = $1 FROM public.ir_model_fields f
      WHERE f.id = d.field_id AND f.model = 'res.partner' AND f.name = 'lang' AND d.user_id IS NULL AND d.company_id IS NULL`,
    [JSON.stringify(lang)],
  );
  if ((await presentOf(session, ['website', 'website_lang_rel'])).length < 2) return;
  const isKnown = await session.run(
    `UPDATE public.website SET default_lang_id = l.id FROM public.res_lang l WHERE l.code = $1`,
    [lang],
  );
  if (!isKnown) return;
  // With a second one, visitors whose browser prefers it would be sent to pages that nobody has translated.
  await session.run('DELETE FROM public.website_lang_rel');
  await session.run(
    `INSERT INTO public.website_lang_rel (website_id, lang_id)
     SELECT w.id, l.id FROM public.website w JOIN public.res_lang l ON l.code = $1`,
    [lang],
  );
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
export async function presentOf(
  session: TenantSession,
  tables: readonly string[],
): Promise<string[]> {
  const found = await session.rows(
    z.object({ name: z.enum(tables as [string, ...string[]]) }),
    `SELECT name FROM unnest($1::text[]) AS asked (name) WHERE to_regclass('public.' || name) IS NOT NULL`,
    [tables],
  );
  return found.map(({ name }) => name);
}
