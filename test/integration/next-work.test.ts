import { expect } from 'chai';
import { TenantDatabaseError } from '../../src/errors.ts';
import { anInstance } from '../support/samples.ts';
import {
  makeDatabase,
  sqlAsTenant,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

/** Of tables with many more columns, those that are asked for. */
const TABLES = `
  DROP TABLE IF EXISTS public.mail_mail, public.mail_message_schedule, public.payment_transaction, public.fetchmail_server CASCADE;
  CREATE TABLE public.mail_mail (state varchar, scheduled_date timestamp, write_date timestamp);
  CREATE TABLE public.mail_message_schedule (scheduled_datetime timestamp);
  CREATE TABLE public.payment_transaction (state varchar, is_post_processed boolean, last_state_change timestamp);
  CREATE TABLE public.fetchmail_server (active boolean, state varchar);`;

const EMPTY = `DELETE FROM public.ir_cron_trigger; UPDATE public.ir_cron SET active = false;
  DELETE FROM public.mail_mail; DELETE FROM public.mail_message_schedule; DELETE FROM public.payment_transaction;
  DELETE FROM public.fetchmail_server;`;

const CRON = 'WHERE id = (SELECT min(id) FROM public.ir_cron)';

describe('when an instance’s own work is due, on a real Postgres', function () {
  this.timeout(600_000);
  const customer = { ...anInstance().customer, lang: 'en_US', countryCode: '' };
  const instance = anInstance({ id: 1, customer, modules: [] });
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;

  const asTenant = (text: string) => sqlAsTenant(postgres, sidecar, instance.id, text);
  const nextWork = () => sidecar.databases.nextWork(instance);

  before(async () => {
    postgres = await startTenantPostgres('next-work-test');
    sidecar = await tenantDatabases(postgres);
    await makeDatabase(sidecar.databases, instance);
  });
  after(() => postgres?.remove());

  it('is that of a new Odoo’s daily jobs, which come all at once', async () => {
    const at = await nextWork();
    expect(at).to.be.an.instanceOf(Date);
    expect((at as Date).getTime() - Date.now()).to.be.within(5 * 60_000, 3_600_000);
    const daily = await asTenant(
      `SELECT DISTINCT nextcall FROM ir_cron WHERE active AND interval_type IN ('days', 'weeks', 'months')`,
    );
    expect(daily).to.have.length(1);
    await asTenant(TABLES);
    await asTenant(EMPTY);
    expect(await nextWork()).to.equal(null);
  });

  const planned = '2030-01-02 03:04:05';
  const due = new Date('2030-01-02T03:04:05Z');
  const table = [
    [
      'a daily job',
      `UPDATE ir_cron SET active = true, interval_type = 'days', nextcall = '${planned}' ${CRON}`,
      due,
    ],
    [
      'a monthly job',
      `UPDATE ir_cron SET active = true, interval_type = 'months', nextcall = '${planned}' ${CRON}`,
      due,
    ],
    [
      'a job every 24 hours',
      `UPDATE ir_cron SET active = true, interval_type = 'hours', interval_number = 24, nextcall = '${planned}' ${CRON}`,
      due,
    ],
    [
      'an hourly job',
      `UPDATE ir_cron SET active = true, interval_type = 'hours', interval_number = 1, nextcall = '${planned}' ${CRON}`,
      null,
    ],
    [
      'a job that is off',
      `UPDATE ir_cron SET interval_type = 'days', nextcall = '${planned}' ${CRON}`,
      null,
    ],
    [
      'a trigger of a job',
      `UPDATE ir_cron SET active = true, interval_type = 'minutes' ${CRON}; INSERT INTO ir_cron_trigger (cron_id, call_at) SELECT id, '${planned}' FROM ir_cron ${CRON}`,
      due,
    ],
    [
      'a trigger of a job that is off',
      `INSERT INTO ir_cron_trigger (cron_id, call_at) SELECT id, '${planned}' FROM ir_cron ${CRON}`,
      null,
    ],
    [
      'mail to be sent later',
      `INSERT INTO mail_mail VALUES ('outgoing', '${planned}', '2026-01-01'), ('outgoing', '2031-01-01', '2026-01-01')`,
      due,
    ],
    ['mail to be sent', `INSERT INTO mail_mail VALUES ('outgoing', NULL, '${planned}')`, due],
    [
      'mail that was sent, or failed',
      `INSERT INTO mail_mail VALUES ('sent', NULL, '${planned}'), ('exception', NULL, '${planned}')`,
      null,
    ],
    ['a message for later', `INSERT INTO mail_message_schedule VALUES ('${planned}')`, due],
    [
      'a payment that is not processed',
      `INSERT INTO payment_transaction VALUES ('done', false, '${planned}'), ('done', NULL, '2031-01-01')`,
      due,
    ],
    [
      'payments that are processed, or were given up',
      `INSERT INTO payment_transaction VALUES ('done', true, '${planned}'), ('draft', false, '${planned}'), ('done', false, '2020-01-01')`,
      null,
    ],
    ['a server to fetch mail from', `INSERT INTO fetchmail_server VALUES (true, 'done')`, 'always'],
    [
      'servers that are off',
      `INSERT INTO fetchmail_server VALUES (true, 'draft'), (false, 'done')`,
      null,
    ],
  ] as const;
  for (const [what, sql, expected] of table)
    it(`${what}: ${expected === null ? 'nothing' : expected === due ? 'at its time' : expected}`, async () => {
      await asTenant(EMPTY);
      await asTenant(sql);
      expect(await nextWork()).to.deep.equal(expected);
    });

  const refused = async () => {
    const error = await nextWork().catch((thrown: unknown) => thrown);
    expect(error).to.be.an.instanceOf(TenantDatabaseError);
  };

  for (const [what, sql] of [
    ['at no time that there is', `INSERT INTO mail_message_schedule VALUES ('infinity')`],
    ['before all times', `INSERT INTO mail_message_schedule VALUES ('-infinity')`],
  ] as const)
    it(`work ${what} is an error of the tenant’s database`, async () => {
      await asTenant(EMPTY);
      await asTenant(sql);
      await refused();
    });

  it('a queue that never ends to be read is given up after seconds', async () => {
    await asTenant(EMPTY);
    await asTenant(`DROP TABLE public.mail_message_schedule;
      CREATE VIEW public.mail_message_schedule AS
        SELECT now()::timestamp AS scheduled_datetime FROM generate_series(1, 100000000000) n`);
    const began = Date.now();
    await refused();
    expect(Date.now() - began).to.be.below(15_000);
  });
});
