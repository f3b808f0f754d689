import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { execa } from 'execa';
import { nft } from '../../src/docker/commands.ts';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { dockerCli } from '../../src/docker/docker-cli.ts';
import type { AllowedTarget } from '../../src/docker/egress-rules.ts';
import { Firewall } from '../../src/docker/firewall.ts';
import { closedNetwork, firewallTable, networkOf } from '../../src/docker/names.ts';
import { Networks } from '../../src/docker/networks.ts';
import { images } from '../../stack/images.ts';
import { run } from '../../stack/run.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { TRY_NETWORK } from '../e2e/support/try-network.ts';

/** Python that answers on all of these ports, as a mail server and a web server would. */
const LISTEN = `
import http.server, threading
for port in (25, 587, 8080):
    server = http.server.HTTPServer(('0.0.0.0', port), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever).start()
print('listening', flush=True)
`;

/** A documentation network (RFC 5737): to the rules it is the internet, and no packet leaves this machine. */
const INTERNET = { subnet: '203.0.113.0/28', address: '203.0.113.5' };

const DOCKER_USER = (verb: 'insert' | 'delete') => [verb, 'rule', 'ip', 'filter', 'DOCKER-USER'];

const SOCKET = '/var/run/docker.sock';

describe('the instances’ firewall', function () {
  this.timeout(120_000);
  const install = `z${randomInt(36 ** 4, 36 ** 5 - 1).toString(36)}`;
  const docker = dockerCli(SOCKET);
  const api = new DockerApi(SOCKET);
  const network = networkOf(install, 1);
  const names = {
    tenant: `ms-${install}-1-odoo`,
    internet: `ms-${install}-internet`,
    office: `ms-${install}-office`,
  };
  const image = images.base;
  const label = ['--label', `microsaas.install=${install}`];
  let host: Server;
  let gateway: string;
  let hostPort: number;
  let office: string;

  const firewall = (
    allow: readonly AllowedTarget[] = [],
    relay: { host: string; port: number } | null = null,
  ) => new Firewall({ install, api, docker, image, allow, relay, server: { socketDir: '' } });
  const open = (...args: string[]) => docker(nft(install, image, args));

  before(async () => {
    await new Networks(install, api, docker).ensure(network);
    gateway = (await api.network(network))?.gateway ?? '';
    host = createServer((_request, response) => response.end('of the host'));
    await new Promise<void>((resolve) => host.listen(0, '0.0.0.0', resolve));
    hostPort = (host.address() as AddressInfo).port;
    // Newer engines would isolate these two networks and hide the effect of the rules; older ones ignore the option.
    const open20 = ['--opt', 'com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected'];
    for (const [name, subnet] of [
      [names.internet, ['--subnet', INTERNET.subnet]],
      [names.office, []],
    ] as const) {
      await run('docker', ['network', 'create', ...label, ...open20, ...subnet, '--', name]);
      const address = name === names.internet ? ['--ip', INTERNET.address] : [];
      const python = ['--entrypoint', 'python3', '--user', '0', '--', images.odoo, '-uc', LISTEN];
      const place = ['--detach', '--name', name, '--network', name];
      await run('docker', ['run', ...place, ...label, ...address, ...python]);
      await eventually(async () =>
        expect(await run('docker', ['logs', '--', name])).to.equal('listening'),
      );
    }
    office = await addressOf(names.office);
    const sleep = ['--entrypoint', 'sleep', '--', images.odoo, '600'];
    const place = ['--detach', '--name', names.tenant, '--network', network];
    await run('docker', ['run', '--init', ...place, ...label, ...sleep]);
    // Docker isolates its networks, which is not what is tested here.
    const inside = await subnetOf(network);
    for (const name of [names.internet, names.office]) {
      const outside = await subnetOf(name);
      for (const [from, to] of [
        [inside, outside],
        [outside, inside],
      ] as const)
        await open(...DOCKER_USER('insert'), 'ip', 'saddr', from, 'ip', 'daddr', to, 'accept');
    }
  });

  after(async () => {
    await new Promise((resolve) => host.close(resolve));
    for (const name of [names.tenant, names.internet, names.office])
      await run('docker', ['rm', '--force', '--', name]);
    await closeDockerAgain();
    for (const name of [network, names.internet, names.office])
      await run('docker', ['network', 'rm', name]);
    await open('delete', 'table', 'inet', firewallTable(install)).catch(() => {});
  });

  const subnetOf = async (name: string) => (await api.network(name))?.subnet ?? '';

  async function addressOf(container: string): Promise<string> {
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
    return run('docker', ['container', 'inspect', '--format', format, '--', container]);
  }

  /** Removes the rules that before() has added to Docker's chain. */
  async function closeDockerAgain(of = network): Promise<void> {
    const [address = 'none'] = (await subnetOf(of)).split('/');
    const chain = ['--json', '--handle', 'list', 'chain', 'ip', 'filter', 'DOCKER-USER'];
    for (const { rule } of JSON.parse(await open(...chain)).nftables)
      if (JSON.stringify(rule ?? {}).includes(`"${address}"`))
        await open(...DOCKER_USER('delete'), 'handle', String(rule.handle));
  }

  /** What a tenant reaches, in this order: the host, an office network, and on the internet web, submission and SMTP. */
  async function reached(): Promise<string[]> {
    const targets = [
      [gateway, hostPort],
      [office, 8080],
      ...[8080, 587, 25].map((port) => [INTERNET.address, port]),
    ];
    const python = ['exec', '--interactive', '--', names.tenant, 'python3', '-c', TRY_NETWORK];
    const input = JSON.stringify(targets);
    const { stdout } = await execa('docker', python, { input });
    const said = JSON.parse(stdout) as Record<string, string>;
    return targets.map(([address, port]) => said[`${address}:${port}`] ?? 'not tried');
  }

  const WALLED_IN = ['closed', 'closed', 'answers', 'answers', 'closed'];

  it('blocks the host, private networks and SMTP, and leaves the internet open', async () => {
    expect(await reached(), 'without rules').to.deep.equal(Array(5).fill('answers'));
    await firewall().ensure();
    expect(await reached()).to.deep.equal(WALLED_IN);
    await firewall().check();
  });

  it('lets the host connect to instances, and instances resolve names', async () => {
    const listen = ['python3', '-m', 'http.server', '8069'];
    await run('docker', ['exec', '--detach', '--', names.tenant, ...listen]);
    const url = `http://${await addressOf(names.tenant)}:8069/`;
    await eventually(async () => expect((await fetch(url)).status).to.equal(200));
    const lookup = ['exec', '--', names.tenant, 'getent', 'hosts', names.tenant];
    expect(await run('docker', lookup)).to.include(await addressOf(names.tenant));
  });

  it('can be installed repeatedly, and is restored after somebody removed it', async () => {
    await firewall().ensure();
    await open('delete', 'table', 'inet', firewallTable(install));
    const error = await firewall()
      .check()
      .catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(Error);
    expect((await reached())[0]).to.equal('answers');
    await firewall().ensure();
    expect(await reached()).to.deep.equal(WALLED_IN);
  });

  it('opens what the operator allows, and only that port', async () => {
    await firewall([{ network: office, port: 8080 }]).ensure();
    expect((await reached()).slice(0, 2)).to.deep.equal(['closed', 'answers']);
    await firewall([{ network: office, port: 8081 }]).ensure();
    expect((await reached())[1]).to.equal('closed');
  });

  it('opens the mail relay at its port, on a private network, on the host and for SMTP, and nothing else there', async () => {
    await firewall([], { host: office, port: 8080 }).ensure();
    expect((await reached())[1], 'private').to.equal('answers');
    await firewall([], { host: gateway, port: hostPort }).ensure();
    expect((await reached()).slice(0, 2), 'the host').to.deep.equal(['answers', 'closed']);
    await firewall([], { host: INTERNET.address, port: 25 }).ensure();
    expect((await reached())[4], 'port 25').to.equal('answers');
    await firewall([], { host: office, port: 8081 }).ensure();
    expect(await reached()).to.deep.equal(WALLED_IN);
  });

  it('covers a network that is older than the bridges’ names', async () => {
    const older = networkOf(install, 501);
    await run('docker', ['network', 'create', ...label, '--', older]);
    await run('docker', ['network', 'connect', '--', older, names.tenant]);
    try {
      await firewall().ensure();
      const away = ['network', 'disconnect', '--', network, names.tenant];
      await run('docker', away);
      const olderGateway = (await api.network(older))?.gateway ?? '';
      const python = ['exec', '--interactive', '--', names.tenant, 'python3', '-c', TRY_NETWORK];
      const attempt = async () =>
        JSON.parse(
          (await execa('docker', python, { input: JSON.stringify([[olderGateway, hostPort]]) }))
            .stdout,
        );
      const target = `${olderGateway}:${hostPort}`;
      expect(await attempt()).to.deep.equal({ [target]: 'closed' });
      await open('delete', 'table', 'inet', firewallTable(install));
      expect(await attempt(), 'without rules').to.deep.equal({ [target]: 'answers' });
    } finally {
      await run('docker', ['network', 'disconnect', '--', older, names.tenant]);
      await run('docker', ['network', 'rm', older]);
    }
  });

  it('lets nothing out of the network of staging copies, whatever is allowed to others, and visitors in', async () => {
    const closed = closedNetwork(install);
    const copy = `ms-${install}-2-odoo`;
    await new Networks(install, api, docker).ensure(closed);
    const place = ['--detach', '--init', '--name', copy, '--network', closed, '--dns', '127.0.0.1'];
    const web = ['--publish', '127.0.0.1::8069', '--entrypoint', 'python3', '--', images.odoo];
    await run('docker', ['run', ...place, ...label, ...web, '-m', 'http.server', '8069']);
    try {
      const ownGateway = (await api.network(closed))?.gateway ?? '';
      // As Docker isolates its networks from each other, the way is opened for all but our own rules.
      const [from, to] = [await subnetOf(closed), INTERNET.subnet];
      for (const [saddr, daddr] of [
        [from, to],
        [to, from],
      ] as const)
        await open(...DOCKER_USER('insert'), 'ip', 'saddr', saddr, 'ip', 'daddr', daddr, 'accept');
      const attempt = async () => {
        const targets = [
          [ownGateway, hostPort],
          [gateway, hostPort],
          [INTERNET.address, 8080],
          [INTERNET.address, 587],
        ];
        const python = ['exec', '--interactive', '--', copy, 'python3', '-c', TRY_NETWORK];
        const { stdout } = await execa('docker', python, { input: JSON.stringify(targets) });
        return Object.values(JSON.parse(stdout));
      };
      await open('delete', 'table', 'inet', firewallTable(install)).catch(() => {});
      expect(await attempt(), 'without rules').to.deep.equal(Array(4).fill('answers'));
      const all = [INTERNET.address, gateway, ownGateway].map((it) => ({
        network: it,
        port: null,
      }));
      await firewall(all, { host: INTERNET.address, port: 587 }).ensure();
      expect(await attempt()).to.deep.equal(Array(4).fill('closed'));
      await firewall().check();
      const [, port] = (await run('docker', ['port', copy, '8069'])).split(':');
      await eventually(async () =>
        expect((await fetch(`http://127.0.0.1:${port}/`)).status).to.equal(200),
      );
      const lookup = await execa('docker', ['exec', copy, 'getent', 'hosts', 'example.com'], {
        reject: false,
      });
      expect(lookup.exitCode, 'no name server').to.equal(2);
    } finally {
      await run('docker', ['rm', '--force', '--', copy]);
      await closeDockerAgain(closed);
      await run('docker', ['network', 'rm', closed]);
    }
  });
});
