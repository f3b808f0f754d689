import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { RetryableError, TenantDatabaseError } from '../../../src/errors.ts';
import { Cluster } from '../../../src/postgres/cluster.ts';
import { LOOK } from '../../../src/postgres/tenant-session.ts';
import { startWireServer, type WireServer } from '../../fakes/postgres-wire.ts';
import { makeCertificates } from '../../support/certificates.ts';

/** Of the loopback network, so that several servers have one port. */
const [FIRST, SECOND, UNNAMED] = ['127.0.0.2', '127.0.0.3', '127.0.0.4'] as const;
const TENANT = { database: 'one', role: 'one', password: 'secret' };

describe('connections to a Postgres on the network', function () {
  this.timeout(20_000);
  let folder: string;
  let identity: { readonly cert: string; readonly key: string };
  let servers: WireServer[];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'microsaas-network-'));
    await makeCertificates(folder, [FIRST, SECOND]);
    const [cert = '', key = ''] = ['server.crt', 'server.key'].map((name) =>
      readFileSync(join(folder, name), 'utf8'),
    );
    identity = { cert, key };
  });
  after(() => rm(folder, { recursive: true }));
  beforeEach(() => {
    servers = [];
  });
  afterEach(() => Promise.all(servers.map((server) => server.close())));

  const start = async (
    host: string,
    options: { readonly isStandby?: boolean; readonly hasTls?: boolean } = {},
  ) => {
    const { hasTls = true, ...rest } = options;
    const own = hasTls ? identity : null;
    const server = await startWireServer(host, servers[0]?.port ?? 0, { identity: own, ...rest });
    servers.push(server);
    return server;
  };
  const cluster = (hosts: readonly string[], ca = 'ca.crt', keepConnections = false) =>
    new Cluster(
      {
        ...{ hosts, port: servers[0]?.port ?? 0, caFile: join(folder, ca) },
        ...{ user: 'microsaas', password: 'secret' },
      },
      { keepConnections },
    );
  const ask = (of: Cluster) => of.administer((client) => client.query('SELECT 1'));
  const failureOf = (work: Promise<unknown>) =>
    work.then(
      () => null,
      (error) => error,
    );

  for (const keepConnections of [true, false])
    it(`pass a standby by and find the host that takes writes, kept: ${keepConnections}`, async () => {
      const standby = await start(FIRST, { isStandby: true });
      const primary = await start(SECOND);
      const found = cluster([FIRST, SECOND], 'ca.crt', keepConnections);
      await ask(found);
      await found.enter(TENANT, LOOK, async () => {});
      expect([standby.logins(), primary.logins()], 'the second time at once').to.deep.equal([1, 2]);
      expect(primary.passwords).to.deep.equal(['secret', 'secret']);
    });

  it('say that no database server is there where all are standbys, or gone', async () => {
    await start(FIRST, { isStandby: true });
    const none = cluster([FIRST, SECOND]);
    for (const work of [ask(none), none.enter(TENANT, LOOK, async () => {})])
      expect(await failureOf(work))
        .to.be.instanceOf(RetryableError)
        .and.have.property('reason', 'PostgresUnavailable');
  });

  it('are not made with a certificate that another authority has signed, nor is another host asked', async () => {
    await start(FIRST);
    const second = await start(SECOND);
    const error = await failureOf(ask(cluster([FIRST, SECOND], 'foreign.crt')));
    expect(error)
      .to.have.property('code')
      .that.matches(/CERT|SIGNATURE/);
    expect(second.logins()).to.equal(0);
  });

  it('are not made with a certificate for other addresses', async () => {
    await start(UNNAMED);
    const error = await failureOf(ask(cluster([UNNAMED])));
    expect(error).to.have.property('code', 'ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('are not made without TLS', async () => {
    const plain = await start(FIRST, { hasTls: false });
    expect(String(await failureOf(ask(cluster([FIRST]))))).to.match(/does not support SSL/);
    expect(plain.logins()).to.equal(0);
  });

  it('end where a tenant’s session receives too much, within TLS', async () => {
    await start(FIRST);
    const flood = cluster([FIRST]).enter(TENANT, LOOK, (session) =>
      session.rows(z.object({ text: z.string() }), 'SELECT flood'),
    );
    const error = await failureOf(flood);
    expect(error).to.be.instanceOf(TenantDatabaseError);
    expect(String(error.cause)).to.match(/it sent too much/);
  });
});
