import { expect } from 'chai';
import { ConfigError } from '../../src/errors.ts';
import { Cluster } from '../../src/postgres/cluster.ts';
import { InstallLock } from '../../src/postgres/install-lock.ts';
import { withSql } from '../../stack/sql.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

describe('the lock of an install on a real Postgres', function () {
  this.timeout(120_000);
  const { signal } = new AbortController();
  let postgres: TenantPostgres;
  const locks: InstallLock[] = [];

  before(async () => {
    postgres = await startTenantPostgres('install-lock');
  });
  afterEach(async () => {
    for (const lock of locks.splice(0)) await lock.release();
  });
  after(() => postgres.remove());

  /** A sidecar's lock, as a process of its own would hold it. */
  function aLock(install = postgres.install): InstallLock {
    const lock = new InstallLock(postgres.server, install);
    locks.push(lock);
    return lock;
  }
  const ignore = () => {};
  const refused = (lock: InstallLock) => lock.take(signal, ignore).catch((thrown) => thrown);

  it('gets its database from whoever asks first, however many ask together', async () => {
    for (let round = 0; round < 5; round++) {
      await withSql(postgres.server, 'postgres', (sql) =>
        sql('DROP DATABASE IF EXISTS microsaas_admin WITH (FORCE)'),
      );
      const clusters = Array.from({ length: 8 }, () => new Cluster(postgres.server));
      await Promise.all(clusters.map((it) => it.administer((sql) => sql.query('SELECT 1'))));
      const [database] = await withSql(postgres.server, 'postgres', (sql) =>
        sql("SELECT datacl::text AS rights FROM pg_database WHERE datname = 'microsaas_admin'"),
      );
      expect(database?.['rights'], 'the owner, not everybody').to.match(/^\{microsaas=/);
    }
  });

  it('is held by one sidecar for as long as it runs', async () => {
    const first = aLock();
    await first.take(signal, ignore);
    for (let i = 0; i < 3; i++) expect(await refused(aLock())).to.be.instanceOf(ConfigError);
    await aLock('other1').take(signal, ignore);
    await first.release();
    await aLock().take(signal, ignore);
  });

  it('is taken again by its holder after a crash of Postgres', async () => {
    const stolen: Error[] = [];
    await aLock().take(signal, (error) => stolen.push(error));
    await postgres.crash();
    await eventually(async () => {
      expect(await refused(aLock())).to.be.instanceOf(ConfigError);
    }, 30);
    expect(stolen).to.deep.equal([]);
  });

  it('notifies its holder when another sidecar took it during an outage of Postgres', async () => {
    const stolen: Error[] = [];
    await aLock().take(signal, (error) => stolen.push(error));
    await withSql(postgres.server, 'microsaas_admin', async (sql) => {
      const [held] = await sql(
        "SELECT pid, (classid::bigint << 32) | objid::bigint AS key FROM pg_locks WHERE locktype = 'advisory'",
      );
      // First in the queue for it, before the former holder.
      const taken = sql('SELECT pg_advisory_lock($1)', [held?.['key']]);
      await withSql(postgres.server, 'postgres', (other) =>
        other('SELECT pg_terminate_backend($1)', [held?.['pid']]),
      );
      await taken;
      await eventually(async () => expect(stolen).to.have.length(1), 30);
    });
    expect(stolen[0]).to.be.instanceOf(ConfigError);
  });

  it('cannot be taken by tenants', async () => {
    const role = `ms_${postgres.install}_1`;
    await withSql(postgres.server, 'postgres', async (sql) => {
      await sql(`CREATE ROLE ${role} LOGIN PASSWORD 'a-password-of-theirs'`);
    });
    await aLock().take(signal, ignore);
    const theirs = { ...postgres.server, user: role, password: 'a-password-of-theirs' };
    const error = await withSql(theirs, 'microsaas_admin', (sql) => sql('SELECT 1')).catch(
      (thrown) => thrown,
    );
    expect(error).to.have.property('code').that.is.oneOf(['28000', '42501']);
  });
});
