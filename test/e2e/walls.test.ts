import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { run } from '../../stack/run.ts';
import { containerNamed, inContainer } from './support/docker.ts';
import { eventually } from './support/eventually.ts';
import type { Row } from './support/instances.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';
import { TRY_NETWORK } from './support/try-network.ts';

/** Linux capability numbers (capabilities(7)). */
const [CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_MKNOD] = [12, 13, 19, 21, 27];

/** Python that tries connections to Postgres as one role, without a password or with its own. */
const TRY_POSTGRES = `
import configparser, json, sys, psycopg2
conf = configparser.RawConfigParser()
conf.read('/etc/odoo/odoo.conf')
own = dict(conf['options']) if conf.sections() else {}
said = {}
for user, database, password in json.load(sys.stdin):
    if password == 'own':
        password = own.get('db_password', '')
    try:
        connection = psycopg2.connect(host='/run/postgresql', user=user, dbname=database,
                                      password=password, connect_timeout=5)
        outcome = 'in'
        for statement in ('CREATE TABLE t ()', 'CREATE TEMP TABLE t ()', 'CREATE SCHEMA s'):
            try:
                with connection, connection.cursor() as cursor:
                    cursor.execute(statement)
                outcome += ', ' + statement
            except psycopg2.Error:
                pass
        connection.close()
    except psycopg2.Error as error:
        outcome = 'refused'
    said[f'{user}@{database}{" with password" if password else ""}'] = outcome
print(json.dumps(said))
`;

chapter('from inside an instance', () => {
  let one: Row;
  let other: Row;
  let name: string;

  before(async () => {
    const { shop, instances, stack } = theEnvironment();
    const invoice = await shop.sell([{ product: await shop.plan(), quantity: 2 }]);
    [one, other] = (await instances.running(invoice, 2)) as [Row, Row];
    name = `ms-${stack.install}-${one.id}-odoo`;
  });

  async function inside(program: string, input: unknown, user?: string): Promise<string[][]> {
    const options = { input: JSON.stringify(input), ...(user === undefined ? {} : { user }) };
    const said = JSON.parse(await inContainer(name, ['python3', '-c', program], options));
    return Object.entries<string>(said);
  }

  scenario('Postgres refuses every other role, as every uid', async ({ stack }) => {
    const [own, neighbour] = [one.id, other.id].map((id) => `ms_${stack.install}_${id}`);
    const roles = ['microsaas', 'postgres', 'odoo', 'root', neighbour, own];
    const databases = ['postgres', 'template1', own, neighbour];
    const attempts = roles.flatMap((role) => databases.map((it) => [role, it, '']));
    for (const uid of [undefined, '0', '70', '100', '101', '999', '65534'])
      for (const [attempt, outcome] of await inside(TRY_POSTGRES, attempts, uid))
        expect(outcome, `${attempt} as uid ${uid ?? 'of Odoo'}`).to.equal('refused');
  });

  scenario('a tenant’s password opens the tenant’s database and no other', async ({ stack }) => {
    const [own, neighbour] = [one.id, other.id].map((id) => `ms_${stack.install}_${id}`);
    const foreign = [neighbour, 'template1', `ms_${stack.install}_1_backup`];
    const attempts = [own, 'postgres', ...foreign].map((it) => [own, it, 'own']);
    const said = Object.fromEntries(await inside(TRY_POSTGRES, attempts));
    const outcome = (database: string | undefined) => said[`${own}@${database} with password`];
    expect(outcome(own)).to.match(/^in, CREATE TABLE/);
    expect(outcome('postgres'), 'the shared database').to.equal('in');
    for (const database of foreign) expect(outcome(database), database).to.equal('refused');
    const stolen = [neighbour, 'microsaas'].map((role) => [role, neighbour, 'own']);
    for (const [attempt, result] of await inside(TRY_POSTGRES, stolen))
      expect(result, attempt).to.equal('refused');
  });

  scenario('neighbours, manager and sidecar are unreachable', async ({ stack, sidecar }) => {
    const address = async (container: string) => {
      const networks = (await containerNamed(container))?.NetworkSettings.Networks ?? {};
      return Object.values(networks)[0]?.IPAddress ?? '';
    };
    const neighbour = await address(`ms-${stack.install}-${other.id}-odoo`);
    const manager = await address(stack.containers.names.manager);
    const format = '{{(index .IPAM.Config 0).Gateway}}';
    const network = `ms-${stack.install}-net-1`;
    const gateway = await run('docker', ['network', 'inspect', '--format', format, '--', network]);
    const managerGateway = await stack.containers.gateway();
    const [sidecarPort, managerPort] = [sidecar.url, stack.url].map((it) =>
      Number(new URL(it).port),
    );
    const targets = [
      ...[neighbour, manager].flatMap((host) => [8069, 8072].map((port) => [host, port])),
      ...[gateway, managerGateway].flatMap((host) =>
        [other.http_port, other.longpolling_port, sidecarPort, managerPort, 2375, 2376].map(
          (port) => [host, port],
        ),
      ),
    ];
    for (const [target, outcome] of await inside(TRY_NETWORK, targets))
      expect(outcome, target).to.be.oneOf(['closed', 'cut']);
    // A busy Odoo may be silent for longer than an attempt lasts.
    await eventually(async () => {
      const self = await inside(TRY_NETWORK, [['127.0.0.1', 8069]]);
      expect(self, 'the attempt itself works').to.deep.equal([['127.0.0.1:8069', 'answers']]);
    });
  });

  scenario('a service on all addresses of this host is unreachable', async ({ stack }) => {
    const host = createServer((_request, response) => response.end('of the host'));
    await new Promise<void>((resolve) => host.listen(0, '0.0.0.0', resolve));
    try {
      const { port } = host.address() as AddressInfo;
      const format = '{{(index .IPAM.Config 0).Gateway}}';
      const inspect = ['network', 'inspect', '--format', format, '--'];
      const gateway = await run('docker', [...inspect, `ms-${stack.install}-net-1`]);
      // The sidecar installs the rules when it starts.
      expect(await inside(TRY_NETWORK, [[gateway, port]])).to.deep.equal([
        [`${gateway}:${port}`, 'closed'],
      ]);
      expect(await (await fetch(`http://${gateway}:${port}/`)).text()).to.equal('of the host');
    } finally {
      await new Promise((resolve) => host.close(resolve));
    }
  });

  scenario(
    'the containers of the stack have read-only roots and few capabilities',
    async ({ stack }) => {
      for (const part of Object.values(stack.containers.names)) {
        await inContainer(part, ['touch', '/usr/x'], { user: '0' }).then(
          () => expect.fail(`${part} can be written`),
          () => undefined,
        );
        const status = await inContainer(part, ['cat', '/proc/1/status'], { user: '0' });
        expect(status, part).to.match(/NoNewPrivs:\t1\n/);
        const bounding = BigInt(`0x${/CapBnd:\t([0-9a-f]+)/.exec(status)?.[1]}`);
        const mighty = [CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_NET_RAW, CAP_MKNOD];
        for (const capability of mighty)
          expect((bounding >> BigInt(capability)) & 1n, `${part}: ${capability}`).to.equal(0n);
      }
    },
  );

  scenario('an instance has no Docker, no root and nothing to write to but its data', async () => {
    const found = ['find', '/run', '/var/run/', '-name', 'docker*.sock'] as [string, ...string[]];
    expect(await inContainer(name, found)).to.equal('');
    expect(await inContainer(name, ['id', '-u'])).not.to.equal('0');
    const status = await inContainer(name, ['cat', '/proc/1/status']);
    expect(status)
      .to.match(/CapEff:\t0+\n/)
      .and.to.match(/NoNewPrivs:\t1\n/);
    for (const file of ['/etc/odoo/odoo.conf', '/usr/bin/x', '/run/postgresql/x'])
      await inContainer(name, ['touch', file]).then(
        () => expect.fail(`${file} can be written`),
        () => undefined,
      );
    const env = await inContainer(name, ['env']);
    expect(env).not.to.match(/password|secret|key=/i);
  });
});
