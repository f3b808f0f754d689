import { randomBytes, randomUUID } from 'node:crypto';
import type { ClientBase } from 'pg';
import { escapeIdentifier } from 'pg';

/** What a clone of a template database gets of its own. */
export interface Personality {
  readonly url: string;
  readonly login: string;
  readonly passwordHash: string;
  readonly name: string;
  readonly email: string;
  readonly lang: string;
  readonly countryCode: string;
}

/** Tables whose rows must not be shared by two clones; they are emptied where the module set has them. */
const NOT_SHARED = ['res_users_apikeys', 'auth_totp_device', 'auth_passkey_key', 'iap_account'];

/** Parameters that Odoo makes anew when they are missing. */
const REMADE_BY_ODOO = [
  'mail.web_push_vapid_public_key',
  'mail.web_push_vapid_private_key',
  'mail.sfu_server_key',
  'mail.sfu_server_url',
];

/**
 * Makes a fresh clone the customer's, in one transaction and before any Odoo has read it
 * (odoo.md §8.3: Odoo keeps these values in memory, and two clones must share none of them).
 */
export async function personalise(client: ClientBase, who: Personality): Promise<void> {
  await client.query('BEGIN');
  await renewParameters(client, who.url);
  await renewAdministrator(client, who);
  await renewCompany(client, who);
  for (const table of NOT_SHARED)
    if (await exists(client, table)) await client.query(`DELETE FROM ${escapeIdentifier(table)}`);
  // Odoo's own default lets every stranger make an account; the customer may open it again.
  await client.query(
    `UPDATE ir_config_parameter SET value = 'b2b' WHERE key = 'auth_signup.invitation_scope'`,
  );
  // Otherwise every clone's crons fire in the same second.
  await client.query(
    `UPDATE ir_cron SET nextcall = (now() AT TIME ZONE 'UTC') + interval '10 minutes' + random() * interval '50 minutes'`,
  );
  await client.query('COMMIT');
}

/** What identifies a database to others and signs its sessions and links: no two may share it. */
export async function renewParameters(client: ClientBase, url: string): Promise<void> {
  const values: Record<string, string> = {
    'database.uuid': randomUUID(),
    'database.secret': randomBytes(32).toString('base64url'),
    'database.create_date': new Date().toISOString().slice(0, 19).replace('T', ' '),
    'web.base.url': url,
    // Without it the first administrator to log in rewrites the base URL.
    'web.base.url.freeze': 'True',
  };
  for (const [key, value] of Object.entries(values)) {
    await client.query(
      `INSERT INTO ir_config_parameter (key, value, create_date, write_date)
       VALUES ($1, $2, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, write_date = excluded.write_date`,
      [key, value],
    );
  }
  await client.query('DELETE FROM ir_config_parameter WHERE key = ANY($1)', [REMADE_BY_ODOO]);
}

async function renewAdministrator(client: ClientBase, who: Personality): Promise<void> {
  const admin = await recordId(client, 'user_admin');
  await client.query(
    'UPDATE res_users SET login = $2, password = $3, active = true WHERE id = $1',
    [admin, who.login, who.passwordHash],
  );
  await client.query(
    `UPDATE res_partner p SET name = $2, email = nullif($3, ''), lang = $4, complete_name = $2
     FROM res_users u WHERE u.id = $1 AND p.id = u.partner_id`,
    [admin, who.name, who.email, who.lang],
  );
}

async function renewCompany(client: ClientBase, who: Personality): Promise<void> {
  const company = await recordId(client, 'main_company');
  await client.query("UPDATE res_company SET name = $2, email = nullif($3, '') WHERE id = $1", [
    company,
    who.name,
    who.email,
  ]);
  await client.query(
    `UPDATE res_partner p SET name = $2, complete_name = $2, email = nullif($3, ''), lang = $4,
       country_id = coalesce((SELECT id FROM res_country WHERE code = $5), p.country_id)
     FROM res_company c WHERE c.id = $1 AND p.id = c.partner_id`,
    [company, who.name, who.email, who.lang, who.countryCode],
  );
}

async function recordId(client: ClientBase, name: string): Promise<number> {
  const found = await client.query<{ res_id: number }>(
    `SELECT res_id FROM ir_model_data WHERE module = 'base' AND name = $1`,
    [name],
  );
  const row = found.rows[0];
  if (!row) throw new Error(`base.${name} is missing in the template database`);
  return row.res_id;
}

async function exists(client: ClientBase, table: string): Promise<boolean> {
  const found = await client.query('SELECT to_regclass($1) IS NOT NULL AS there', [table]);
  return found.rows[0]?.there === true;
}
