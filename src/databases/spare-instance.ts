import { z } from 'zod';
import type { TenantSession } from '../postgres/tenant-session.ts';
import { columnsOf } from './columns.ts';
import {
  empty,
  giveIdentity,
  giveLanguage,
  scheduleJobs,
  setParameters,
  type TenantIdentity,
} from './identity.ts';
import { creationDate, renewSecrets } from './personalise.ts';
import { signalOdoo } from './signal-odoo.ts';

/*
 * What is done in the database of a spare instance (ADR 17): made for nobody, rehearsed, and handed over while its Odoo runs. A running
 * Odoo sees a changed row at once, but what it caches (parameters, languages, the users' context) only after a signal.
 */

/** Says in an instance's own database to which identity it was handed over. Written in the transaction that does it. */
const HANDED_OVER = 'microsaas.given';

/** What a spare is called within, where a database needs a name. */
export const NOBODY = 'microsaas-spare';

/** What people who have logged in, or were about to, leave behind. Emptied where the module set has it. */
const TRACES = [
  'bus_bus',
  'bus_presence',
  'mail_presence',
  'ir_cron_trigger',
  'ir_logging',
  'res_device_log',
  'res_users_log',
  'website_track',
  'website_visitor',
];

/**
 * Makes a fresh clone nobody's: no secret is shared, nobody can log in, and nothing happens by itself. In one transaction, before any Odoo
 * has read it.
 * @param url where the instance will be reached, as far as that is known
 */
export async function belongToNobody(session: TenantSession, url: string): Promise<void> {
  await session.run('BEGIN');
  await renewSecrets(session, url);
  const blank = { email: '', lang: 'en_US', countryCode: '', passwordHash: '', mail: null };
  await giveIdentity(session, {
    ...{ ...blank, url },
    ...{ login: NOBODY, name: NOBODY, companyName: NOBODY },
  });
  // Some of them write to Odoo's publisher, with the database's UUID.
  await session.run(
    `UPDATE public.ir_cron SET nextcall = (now() AT TIME ZONE 'UTC') + interval '10 years'`,
  );
  await session.run('COMMIT');
}

/**
 * Lets the administrator in with a password, in one of the languages, until endRehearsal(). In one transaction, while Odoo runs.
 * @param all the languages that the spare may be sold in
 */
export async function beginRehearsal(
  session: TenantSession,
  passwordHash: string,
  lang: string,
  all: readonly string[],
): Promise<void> {
  await session.run('BEGIN');
  await session.run('UPDATE public.res_users SET password = $2 WHERE login = $1', [
    NOBODY,
    passwordHash,
  ]);
  // Otherwise the first page that they open begins a conversation with them.
  await setBot(session, 'disabled');
  await giveLanguage(session, lang, all);
  await signalOdoo(session);
  await session.run('COMMIT');
}

/** Lets nobody in any more, and removes what the rehearsal has left in the database. In one transaction, while Odoo runs. */
export async function endRehearsal(session: TenantSession): Promise<void> {
  await session.run('BEGIN');
  await session.run('UPDATE public.res_users SET password = NULL WHERE login = $1', [NOBODY]);
  await setBot(session, null);
  await empty(session, TRACES);
  await signalOdoo(session);
  await session.run('COMMIT');
}

/**
 * Gives a spare to its customer, in one transaction, while Odoo runs: identity, the real times of its scheduled jobs, and the mark that says so.
 * @param identity the instance's
 */
export async function handOver(
  session: TenantSession,
  who: TenantIdentity,
  identity: string,
): Promise<void> {
  await session.run('BEGIN');
  await giveIdentity(session, who);
  await setParameters(session, {
    'web.base.url': who.url,
    'database.create_date': creationDate(),
    [HANDED_OVER]: identity,
  });
  await scheduleJobs(session);
  await empty(session, TRACES);
  await signalOdoo(session);
  await session.run('COMMIT');
}

/** Whether handOver() has been, for this identity. */
export async function isHandedOver(session: TenantSession, identity: string): Promise<boolean> {
  const found = await session.rows(
    z.object({ value: z.string() }),
    'SELECT value::text FROM public.ir_config_parameter WHERE key = $1',
    [HANDED_OVER],
  );
  return found[0]?.value === identity;
}

/** Says how far Odoo's robot is with the administrator, where the module set has one. @param state null: it has yet to greet them */
async function setBot(session: TenantSession, state: 'disabled' | null): Promise<void> {
  if ((await columnsOf(session, 'res_users')).has('odoobot_state'))
    await session.run('UPDATE public.res_users SET odoobot_state = $2 WHERE login = $1', [
      NOBODY,
      state,
    ]);
}
