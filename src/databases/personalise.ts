import { randomBytes, randomUUID } from 'node:crypto';
import type { TenantSession } from '../postgres/tenant-session.ts';
import { columnsOf } from './columns.ts';
import {
  empty,
  giveIdentity,
  scheduleJobs,
  setParameters,
  type TenantIdentity,
} from './identity.ts';

/** Tables whose rows no two clones may share; they are emptied where the module set has them. The bus has the template's name. */
export const NOT_SHARED = [
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
  await session.run('BEGIN');
  await renewSecrets(session, who.url);
  await giveIdentity(session, who);
  await scheduleJobs(session);
  await session.run('COMMIT');
}

/** Makes a fresh clone share nothing with the template and its other clones. Within the caller's transaction. */
export async function renewSecrets(session: TenantSession, url: string): Promise<void> {
  await renewParameters(session, url);
  await renewChatLinks(session);
  await empty(session, NOT_SHARED);
  // Odoo's own default is free sign-up; the customer may allow it again.
  await session.run(
    `UPDATE public.ir_config_parameter SET value = 'b2b' WHERE key = 'auth_signup.invitation_scope'`,
  );
}

/** Regenerates what identifies a database and signs its sessions and links: no two databases may share it. */
export async function renewParameters(session: TenantSession, url: string): Promise<void> {
  const values: Record<string, string> = {
    'database.uuid': randomUUID(),
    'database.secret': randomBytes(32).toString('base64url'),
    'database.create_date': creationDate(),
    'web.base.url': url,
    // Without it Odoo overwrites the base URL when an administrator logs in.
    'web.base.url.freeze': 'True',
    'report.url': REPORT_URL,
  };
  await setParameters(session, values);
  await session.run('DELETE FROM public.ir_config_parameter WHERE key = ANY($1::text[])', [
    REMADE_BY_ODOO,
  ]);
}

/** This moment, as Odoo writes when a database was created. */
export function creationDate(): string {
  return new Date().toISOString().slice(0, 19).replace('T', ' ');
}

/** Who has the link of a channel (`/chat/<id>/<uuid>`) may read it. */
async function renewChatLinks(session: TenantSession): Promise<void> {
  if ((await columnsOf(session, 'discuss_channel')).has('uuid'))
    await session.run('UPDATE public.discuss_channel SET uuid = gen_random_uuid()::text');
}
