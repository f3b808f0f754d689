import { expect } from 'chai';
import type { Specs } from '../../src/databases/database-spec.ts';
import { Replacements } from '../../src/databases/replacement.ts';
import { TenantAccess } from '../../src/databases/tenant-access.ts';
import { databaseName } from '../../src/instance/name.ts';
import { Cluster } from '../../src/postgres/cluster.ts';
import type { TenantLogin } from '../../src/postgres/tenant-session.ts';
import { withSql } from '../../stack/sql.ts';
import { anInstance } from '../support/samples.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

describe('a database that is to replace an instance’s, on a real Postgres', function () {
  this.timeout(300_000);
  const instance = anInstance({ id: 1, wasReady: true });
  const dbPassword = 'of the instance';
  const url = 'http://127.0.0.1:1';
  let postgres: TenantPostgres;
  let cluster: Cluster;
  let replacements: Replacements;
  let name: string;

  before(async () => {
    postgres = await startTenantPostgres('replacement-test');
    const { install, server } = postgres;
    name = databaseName(install, instance.id);
    cluster = new Cluster(server);
    const specs = { of: async () => ({ own: null, dbPassword, url }) } as unknown as Specs;
    const access = new TenantAccess({ install, shared: cluster, specs });
    replacements = new Replacements({ install, specs, access });
    await cluster.prepare();
    await cluster.ensureRole(name, dbPassword);
  });
  after(() => postgres?.remove());

  const asTenant = (database: string, text: string) =>
    withSql({ ...postgres.server, user: name, password: dbPassword }, database, (sql) => sql(text));
  /** What a restore does, and what the tenant gets who tries to enter meanwhile. */
  const prepare = async (during: (login: TenantLogin) => Promise<void> = async () => {}) => {
    let intruder = '';
    await replacements.prepare(instance, url, async (_server, login) => {
      const made = { ...postgres.server, user: login.role, password: login.password };
      await withSql(made, login.database, async (sql) => {
        await sql('CREATE TABLE public.partner (name text)');
        await sql('CREATE SCHEMA own');
        await sql('CREATE TABLE own.more (a int)');
      });
      intruder = await asTenant(login.database, 'SELECT 1').then(JSON.stringify, String);
      await during(login);
    });
    return intruder;
  };
  const roles = () =>
    cluster.administer(async (client) => {
      const { rows } = await client.query<{ rolname: string }>(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'ms\\_%' ORDER BY 1",
      );
      return rows.map(({ rolname }) => rolname);
    });

  it('lets nobody in while it is made, the running instance neither, and is the tenant’s once it has its name', async () => {
    expect(await prepare()).to.match(/pg_hba.conf rejects|permission denied/);
    expect(await roles()).to.deep.equal([name]);
    expect(await asTenant(`${name}_restored`, 'SELECT 1').catch(String)).to.match(/pg_hba.conf/);
    await replacements.replace(instance);
    await asTenant(name, "INSERT INTO public.partner VALUES ('a')");
    await asTenant(name, 'DROP TABLE own.more');
    await asTenant(name, 'DROP SCHEMA own');
    expect(await asTenant(name, 'CREATE SCHEMA other').catch(String)).to.match(/permission denied/);
  });

  it('is gone where it could not be made, with its role, and the next attempt makes it', async () => {
    const failed = prepare(async () => {
      throw new Error('the dump ends');
    });
    expect(await failed.catch(String)).to.match(/the dump ends/);
    expect(await cluster.has(`${name}_restoring`)).to.equal(false);
    expect(await roles()).to.deep.equal([name]);
    await prepare();
    expect(await cluster.has(`${name}_restored`)).to.equal(true);
  });
});
