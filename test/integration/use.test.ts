import { expect } from 'chai';
import { anInstance } from '../support/samples.ts';
import {
  makeDatabase,
  sqlAsTenant,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

const USER = 'WHERE id = (SELECT max(id) FROM public.res_users WHERE active AND NOT share)';

describe('what an instance’s database uses, on a real Postgres', function () {
  this.timeout(600_000);
  const customer = { ...anInstance().customer, lang: 'en_US', countryCode: '' };
  const instance = anInstance({ id: 1, customer, modules: [] });
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;

  const asTenant = (text: string) => sqlAsTenant(postgres, sidecar, instance.id, text);
  const use = (id = 1) => sidecar.databases.use(id, false);

  before(async () => {
    postgres = await startTenantPostgres('use-test');
    sidecar = await tenantDatabases(postgres);
    await makeDatabase(sidecar.databases, instance);
  });
  after(() => postgres?.remove());

  it('is a new Odoo’s one user, and the megabytes of its modules', async () => {
    const { bytes, users } = await use();
    expect(users).to.equal(1);
    expect((bytes ?? 0) / 2 ** 20).to.be.within(5, 200);
  });

  it('counts no user that is archived, or of the portal', async () => {
    await asTenant(`INSERT INTO public.res_users (login, partner_id, company_id, active, share, notification_type)
      SELECT l, partner_id, company_id, a, s, notification_type FROM public.res_users,
        (VALUES ('in', true, false), ('out', false, false), ('portal', true, true)) AS new (l, a, s) ${USER}`);
    expect((await use()).users).to.equal(2);
  });

  it('has its size, and nobody’s number of users, where its tenant hides them', async () => {
    await asTenant('ALTER TABLE public.res_users RENAME TO hidden');
    await asTenant(`CREATE VIEW public.res_users AS
      SELECT id, active, share FROM public.hidden WHERE pg_catalog.pg_sleep(60) IS NOT NULL`);
    const began = Date.now();
    const { bytes, users } = await use();
    expect(users).to.equal(null);
    expect(bytes).to.be.above(0);
    expect(Date.now() - began, 'it may take seconds').to.be.below(10_000);
  });

  it('is nobody’s where nothing of the instance is here', async () => {
    expect(await use(2)).to.deep.equal({ bytes: null, users: null });
  });
});
