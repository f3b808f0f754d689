import { expect } from 'chai';
import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { Cluster } from '../../src/postgres/cluster.ts';
import type { Sidecar } from '../../src/wiring.ts';
import { eventually } from '../e2e/support/eventually.ts';
import type { SwarmNode } from '../support/swarm-cluster.ts';
import { type SidecarOnSwarm, sidecarOnSwarm } from './support/sidecar-on-swarm.ts';
import { theCluster } from './support/the-cluster.ts';

/** Connects with the odoo.conf of its container. */
const CONNECT = `
import configparser, psycopg2
conf = configparser.ConfigParser(interpolation=None)
conf.read('/etc/odoo/odoo.conf')
said = {name: conf['options']['db_' + name] for name in ('host', 'user', 'password', 'sslmode')}
print(psycopg2.connect(dbname=conf['options']['db_name'], port=conf['options']['db_port'], **said).status)
`;

describe('an Odoo on a swarm, as the sidecar is wired', function () {
  this.timeout(600_000);
  const cluster = theCluster();
  const { signal } = new AbortController();
  let host: SidecarOnSwarm;
  let sidecar: Sidecar;
  let desired: DesiredInstance;

  before(async () => {
    host = await sidecarOnSwarm(cluster(), 'odoo');
    sidecar = host.sidecar;
  });
  after(() => host?.remove());

  /** The status of its page for logging in, at its node. */
  const status = async () => {
    const listed = (await sidecar.engine.list()).get(1);
    const url = `http://${listed?.address}:${listed?.httpPort}/web/login`;
    return (await fetch(url, { redirect: 'manual' })).status;
  };
  /** Who is connected as its role, by their nodes' addresses. */
  const connected = async () => {
    const { rows } = await new Cluster(host.postgres.superuser).administer((client) =>
      client.query<{ at: string }>(
        `SELECT DISTINCT host(client_addr) AS at FROM pg_stat_activity
         WHERE usename = $1 AND application_name <> 'microsaas'`,
        [databaseName(sidecar.install, 1)],
      ),
    );
    return rows.map(({ at }) => at).sort();
  };

  /** What Postgres says to whoever connects as the copy on this node does. */
  const connectingOn = async (node: SwarmNode) => {
    const label = `label=microsaas.install=${sidecar.install}`;
    const id = await cluster().docker(node, 'ps', '--quiet', '--filter', label);
    const connect = cluster().docker(node, 'exec', id, 'python3', '-c', CONNECT);
    return connect.catch((error: Error) => error.message);
  };

  it('is made and started, stopped and started, by the steps of any instance', async () => {
    const { engine } = sidecar;
    desired = await host.make(1, 22_000);
    expect(await engine.observe(desired, 'running')).to.deep.include({
      ...{ directory: 'own', containerOwner: 'own', containers: 'running', answering: true },
      ...{ files: 'current', data: 'whole' },
    });
    await engine.stop(desired, signal);
    expect(await connected(), 'nobody is left').to.deep.equal([]);
    await engine.start(desired, signal);
    await engine.awaitLogin(desired, signal);
    expect(await status()).to.equal(200);
  });

  it('lets its people in by a link, and lists the modules of repositories', async () => {
    const { databases, engine } = sidecar;
    const login = await databases.adminLogin(desired);
    const session = await databases.odooSession(desired, { login, endsAt: null });
    if (!session) throw new TypeError('that user is let in by their own means only');
    expect(await engine.admit(desired, session, {})).to.equal(true);
    const forged = { ...session, sid: 'f'.repeat(84), content: {} };
    expect(await engine.admit(desired, forged, {})).to.equal(false);
    expect(await engine.updateAppsList(desired, signal)).to.equal(true);
  });

  it('is on another node after a loss of power, with the same data', async () => {
    const { engine } = sidecar;
    const { address } = (await engine.list()).get(1) ?? {};
    const lost = cluster().nodes.find((node) => node.address === address);
    if (!lost) throw new TypeError('it is on no node');
    await cluster().losePower(lost);
    await eventually(async () =>
      expect((await engine.observe(desired, 'running')).containers).to.equal('partial'),
    );
    await engine.start(desired, signal);
    await engine.awaitLogin(desired, signal);
    expect(await status()).to.equal(200);
    expect(await connected()).not.to.include(address);
    await cluster().regainPower(lost);
  });

  it('cannot write any more on a node that is cut off, before its second copy starts', async () => {
    const { databases, engine } = sidecar;
    await eventually(async () =>
      expect((await sidecar.swarm?.nodes())?.every(({ isReady }) => isReady)).to.equal(true),
    );
    const first = (await engine.list()).get(1);
    const cut = cluster().nodes.find((node) => node.address === first?.address);
    if (!cut) throw new TypeError('it is on no node');
    // Cut off from the other managers only: it reaches the database still, which is the worst case.
    await cluster().cutFromNodes(cut);
    try {
      await eventually(async () =>
        expect((await engine.observe(desired, 'running')).containers).to.equal('partial'),
      );
      expect(await status(), 'the first goes on').to.equal(200);
      expect(await connectingOn(cut), 'and may write').to.equal('1');
      expect(await connected()).to.include(cut.address);
      await engine.start(desired, signal);
      await engine.awaitLogin(desired, signal);
      const second = (await engine.list()).get(1);
      expect(second?.address).not.to.equal(cut.address);
      const page = `http://${cut.address}:${first?.httpPort}/web/login`;
      const { status: shown } = await fetch(page, { redirect: 'manual' });
      expect(shown, 'the first is up, and has no database').not.to.equal(200);
      expect(await connectingOn(cut)).to.match(/password authentication failed/);
      expect(await connected()).to.deep.equal([second?.address]);
      expect(await databases.use(1, false), 'the sidecar is let in')
        .to.have.property('users')
        .above(0);
    } finally {
      await cluster().heal(cut);
    }
  });
});
