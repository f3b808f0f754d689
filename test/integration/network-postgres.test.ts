import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Client } from 'pg';
import { z } from 'zod';
import type { OdooDatabases } from '../../src/databases/databases.ts';
import { databaseName } from '../../src/instance/name.ts';
import { Cluster } from '../../src/postgres/cluster.ts';
import { PgTools } from '../../src/postgres/pg-tools.ts';
import { LOOK, type TenantLogin, TOUCH } from '../../src/postgres/tenant-session.ts';
import { images } from '../../stack/images.ts';
import { type NetworkPostgres, startNetworkPostgres } from '../support/network-postgres.ts';
import { anInstance } from '../support/samples.ts';
import { docker, makeDatabase, tenantDatabases } from '../support/tenant-databases.ts';

describe('the customers’ Postgres on the network, a standby and its primary', function () {
  this.timeout(600_000);
  const never = new AbortController().signal;
  const instance = anInstance({ id: 1 });
  let postgres: NetworkPostgres;
  /** The administrator's, who may make databases and roles and nothing else. */
  let cluster: Cluster;
  let databases: OdooDatabases;
  let tools: PgTools;

  const loginOf = (name: string): TenantLogin => ({
    ...{ database: name, role: name, password: `of ${name}` },
  });
  const [one, two] = ['one', 'two'].map(loginOf) as [TenantLogin, TenantLogin];
  /** Why it was refused: a code, or the server's words where only those are kept. */
  const refusalOf = (work: Promise<unknown>) =>
    work.then(
      () => 'not refused',
      (error) => error.code ?? error.cause?.code ?? String(error.cause?.message ?? error),
    );
  const addressOf = (work: Cluster) =>
    work.administer(async (client) => {
      const { rows } = await client.query('SELECT host(inet_server_addr()) AS address');
      return rows[0]?.address;
    });

  before(async () => {
    postgres = await startNetworkPostgres('network-postgres-test');
    cluster = new Cluster(postgres.admin, { keepConnections: true });
    tools = new PgTools(postgres.install, images.postgres, docker);
    await cluster.prepare();
    for (const login of [one, two]) {
      await cluster.ensureRole(login.role, login.password);
      await cluster.create(login.database, login.role);
    }
  });
  after(() => postgres?.remove());

  it('is the host that takes writes, though a standby is named first', async () => {
    const [standby, primary] = postgres.server.hosts;
    expect(standby).not.to.equal(primary);
    expect(await addressOf(cluster)).to.equal(primary);
    expect(await addressOf(new Cluster(postgres.admin)), 'without a pool').to.equal(primary);
  });

  it('is entered as the tenant, with TLS, and nobody’s database but theirs', async () => {
    const [found] = await cluster.enter(one, TOUCH, async (session) => {
      await session.run('CREATE TABLE public.notes AS SELECT 1 AS note');
      return session.rows(
        z.object({ ssl: z.boolean(), role: z.string() }),
        'SELECT ssl, current_user::text AS role FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      );
    });
    expect(found).to.deep.equal({ ssl: true, role: one.role });
    const intruder = { ...one, database: two.database };
    const ofIntruder = await refusalOf(cluster.enter(intruder, LOOK, async () => {}));
    expect(ofIntruder).to.match(/^pg_hba.conf rejects connection/);
    const wrong = { ...one, password: 'another' };
    const ofWrong = await refusalOf(cluster.enter(wrong, LOOK, async () => {}));
    expect(ofWrong).to.match(/^password authentication failed/);
  });

  it('limits within TLS how much a tenant’s session may send', async () => {
    const flood = cluster.enter(one, LOOK, (session) =>
      session.rows(z.object({ text: z.string() }), "SELECT repeat('x', 2000000) AS text"),
    );
    expect(await refusalOf(flood)).to.match(/it sent too much/);
  });

  it('lets nobody in without TLS, and the doctor’s check sees a server that does', async () => {
    expect(await cluster.plainHosts()).to.deep.equal([]);
    await postgres.admit('host all all all scram-sha-256');
    expect(await cluster.plainHosts()).to.include(postgres.server.hosts[1]);
    await postgres.admit(null);
  });

  /** Runs `work` while pg_hba.conf lets every role into every database, as a provider's may. */
  const openly = async (work: () => Promise<void>) => {
    await postgres.admit('hostssl all all all scram-sha-256');
    await work().finally(() => postgres.admit(null));
  };
  const intrusion = (database: string) =>
    refusalOf(cluster.enter({ ...one, database }, LOOK, async () => {}));

  it('keeps everybody out of a database but its tenant, without pg_hba.conf too', () =>
    openly(async () => {
      expect(await intrusion(two.database)).to.match(/^permission denied for database/);
    }));

  it('keeps everybody out of one that is being made, and of one whose making was cut off', () =>
    openly(async () => {
      const cutOff = await refusalOf(cluster.create('made_half', 'nobodys_role'));
      expect(cutOff, 'after it was made, before it was opened').to.equal('42704');
      expect(await cluster.has('made_half')).to.equal(true);
      expect(await intrusion('made_half')).to.match(/not currently accepting connections/);
      await cluster.drop('made_half');
    }));

  it('finishes the administrator’s own database where its making was cut off', () =>
    openly(async () => {
      const { port, caFile } = postgres.server;
      const { password, user } = postgres.superuser;
      const superuser = new Client({
        ...{ host: postgres.server.hosts[1], port, user, password, database: 'postgres' },
        ssl: { ca: await readFile(caFile) },
      });
      await superuser.connect();
      await superuser.query('GRANT CONNECT ON DATABASE microsaas_admin TO PUBLIC');
      await superuser.query('ALTER DATABASE microsaas_admin WITH ALLOW_CONNECTIONS false');
      await superuser.end();
      expect(await new Cluster(postgres.admin).has(one.database)).to.equal(true);
      expect(await intrusion('microsaas_admin')).to.match(/^permission denied for database/);
    }));

  it('has shut a role out only once its connections have ended', async () => {
    const left = async () => {
      const ofRole = 'SELECT FROM pg_stat_activity WHERE usename = $1';
      return cluster.administer(
        async (client) => (await client.query(ofRole, [one.role])).rowCount,
      );
    };
    await cluster.enter(one, TOUCH, async (session) => {
      const row = z.object({ pid: z.number() });
      const [found] = await session.rows(row, 'SELECT pg_backend_pid() AS pid');
      const pid = found?.pid ?? 0;
      // It does not hear that it is to end.
      await postgres.signal('STOP', pid);
      await cluster.disconnect(one.role);
      expect(await left(), 'nobody is kept from going on with that').to.equal(1);
      const refusal = await refusalOf(cluster.shutOut(one.role, one.password));
      expect(await left()).to.equal(1);
      await postgres.signal('CONT', pid);
      expect(refusal).to.match(/1 of its connections do not end/);
      await cluster.shutOut(one.role, one.password);
      expect(await left()).to.equal(0);
    });
  });

  it('is not believed with another authority’s certificate, nor with one for another address', async () => {
    const foreign = new Cluster({ ...postgres.admin, caFile: postgres.foreignCa });
    expect(await refusalOf(foreign.names())).to.match(/CERT|SIGNATURE/);
    const elsewhere = new Cluster({ ...postgres.admin, hosts: ['127.0.0.1'] });
    expect(await refusalOf(elsewhere.names())).to.equal('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('is dumped and restored by Postgres’ own programs, from a container', async () => {
    const folder = join(postgres.dataDir, 'dumps');
    await mkdir(folder);
    const file = join(folder, 'one.dump');
    await tools.dump({ ...postgres.server, ...one }, file, never);
    await tools.restore({ ...postgres.server, ...two }, file, never);
    const notes = await cluster.enter(two, LOOK, (session) =>
      session.rows(z.object({ note: z.number() }), 'SELECT note FROM public.notes'),
    );
    expect(notes).to.deep.equal([{ note: 1 }]);
  });

  it('is as the doctor wants it: new enough, and with a synchronous standby', async () => {
    expect(await cluster.facts()).to.deep.equal({ version: 17, standbys: ['sync'] });
    expect(await tools.version()).to.equal(17);
  });

  it('has an instance’s database, filled by Odoo and cloned, by an administrator who is no superuser', async () => {
    ({ databases } = await tenantDatabases(
      { ...postgres, server: { socketDir: '', user: '', password: '' }, crash: async () => {} },
      () => ({ shared: postgres.admin }),
    ));
    await makeDatabase(databases, instance);
    expect(await cluster.has(databaseName(postgres.install, instance.id))).to.equal(true);
    expect(await databases.adminLogin(instance)).to.equal(instance.customer.email);
  });

  it('is the promoted standby once the primary is gone, for those too who were connected', async () => {
    const [standby] = postgres.server.hosts;
    await postgres.failOver();
    await cluster.awaitAnswer(never);
    expect(await addressOf(cluster)).to.equal(standby);
    const notes = await cluster.enter(two, TOUCH, async (session) => {
      await session.run('INSERT INTO public.notes VALUES (2)');
      return session.rows(z.object({ note: z.number() }), 'SELECT note FROM public.notes');
    });
    expect(notes).to.deep.equal([{ note: 1 }, { note: 2 }]);
  });
});
