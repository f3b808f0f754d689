import { expect } from 'chai';
import { Firewall } from '../../../src/docker/firewall.ts';
import { Networks } from '../../../src/docker/networks.ts';
import { CommandError, RetryableError } from '../../../src/errors.ts';
import { FakeDocker } from '../../fakes/docker.ts';

const errorOf = (promise: Promise<unknown>) => promise.then(() => null).catch((thrown) => thrown);

describe('Firewall', () => {
  let docker: FakeDocker;
  let firewall: Firewall;
  /** The rules as the kernel has them; null: none. */
  let rules: string | null;
  beforeEach(() => {
    docker = new FakeDocker();
    rules = null;
    docker.programs.set(
      'cat',
      () => '# made by Docker\nnameserver 10.0.0.53\nnameserver fd00::53\n',
    );
    docker.programs.set('nft', ({ command, input }) => {
      if (input !== undefined) rules = input;
      else if (rules === null)
        throw new CommandError(
          command,
          1,
          'Error: No such file or directory\nlist table inet x\n     ^^',
        );
      return rules ?? '';
    });
    firewall = new Firewall({
      server: { socketDir: '/d/socket' },
      ...{ install: 'k3x9ab', api: docker.api, docker: docker.cli, image: 'microsaas-base:3' },
      allow: [{ network: '192.0.2.7', port: 25 }],
      relay: null,
    });
  });
  const network = (name: string, options = {}) =>
    docker.networks.set(name, {
      ...{ id: name, name, options },
      labels: { 'microsaas.install': 'k3x9ab' },
    });

  it('lays its rules down for the bridges of the install, those to come too', async () => {
    await new Networks('k3x9ab', docker.api, docker.cli).ensure('ms-k3x9ab-net-1');
    await firewall.ensure();
    expect(rules).to.include('table inet ms_k3x9ab {');
    expect(rules).to.include('iifname "ms-k3x9ab-*" jump to_outside');
    expect(rules?.match(/jump to_host/g), 'one pattern is enough').to.have.length(1);
    expect(await errorOf(firewall.check())).to.equal(null);
  });

  it('knows networks of before, whose bridges Docker has named, and none that is not the instances’', async () => {
    network('ms-k3x9ab-net-1');
    network('another');
    await firewall.ensure();
    expect(rules).to.include('iifname "br-ms-k3x9ab-net-1" jump to_host');
    expect(rules).not.to.include('another');
  });

  it('lets instances ask the name servers that Docker asks for them, and go where the operator says', async () => {
    await firewall.ensure();
    for (const server of ['ip daddr 10.0.0.53', 'ip6 daddr fd00::53'])
      expect(rules).to.include(`${server} meta l4proto { tcp, udp } th dport 53 accept`);
    expect(rules).to.include('ip daddr 192.0.2.7 tcp dport 25 accept');
  });

  const withRelay = (host: string) =>
    new Firewall({
      server: { socketDir: '/d/socket' },
      ...{ install: 'k3x9ab', api: docker.api, docker: docker.cli, image: 'microsaas-base:3' },
      ...{ allow: [], relay: { host, port: 25 } },
    });

  it('lets instances reach the mail relay at every address of its name, and only at its port', async () => {
    await withRelay('192.0.2.25').ensure();
    expect(
      rules?.match(/ip daddr 192\.0\.2\.25 tcp dport 25 accept/g),
      'both chains',
    ).to.have.length(2);
    await withRelay('localhost').ensure();
    expect(rules).to.match(/daddr (127\.0\.0\.1|::1) tcp dport 25 accept/);
  });

  it('lays down the other rules where the mail relay’s name leads nowhere', async () => {
    await withRelay('relay.invalid').ensure();
    expect(rules).to.include('jump to_outside').and.not.include('dport 25 accept');
  });

  it('lets instances, copies and helpers reach a Postgres on the network, at its port', async () => {
    const server = { hosts: ['192.0.2.21', 'pg.invalid'], port: 5433, caFile: '/d/ca.crt' };
    await new Firewall({
      ...{ install: 'k3x9ab', api: docker.api, docker: docker.cli, image: 'microsaas-base:3' },
      ...{ allow: [], relay: null, server },
    }).ensure();
    const rule = /ip daddr 192\.0\.2\.21 tcp dport 5433 accept/g;
    expect(rules?.match(rule), 'to_host, to_outside, from_copies').to.have.length(3);
  });

  it('goes on without name servers where Docker’s own bridge is switched off', async () => {
    docker.programs.delete('cat');
    await firewall.ensure();
    expect(rules).not.to.include('dport 53').and.not.equal(null);
  });

  it('says that Docker is away', async () => {
    docker.isAway = true;
    expect(await errorOf(firewall.ensure())).to.be.instanceOf(RetryableError);
  });

  it('has the right to change the rules, and no other', async () => {
    await firewall.ensure();
    const command = docker.ran('run').at(-1)?.command.join(' ').replaceAll('=', ' ');
    for (const option of ['--network host', '--cap-drop ALL', '--cap-add NET_ADMIN', '--read-only'])
      expect(command).to.include(option);
    expect(command)
      .to.include('--pull never')
      .and.not.match(/--volume|--privileged/);
  });

  it('says in one line that there are no rules', async () => {
    expect(await errorOf(firewall.check()))
      .to.be.instanceOf(Error)
      .with.property('message', 'Error: No such file or directory');
  });

  for (const chain of ['to_host', 'to_outside'])
    it(`names the bridge that has no rule ${chain}`, async () => {
      network('ms-k3x9ab-net-1');
      await firewall.ensure();
      rules = (rules ?? '').replace(`iifname "br-ms-k3x9ab-net-1" jump ${chain}`, '');
      expect(await errorOf(firewall.check()))
        .to.be.instanceOf(Error)
        .with.property('message', `there is no rule ${chain} for br-ms-k3x9ab-net-1`);
    });

  it('says so where staging copies are not kept in on both ways', async () => {
    await firewall.ensure();
    rules = (rules ?? '').replace('iifname "ms-k3x9ab-c" jump from_copies', '');
    expect(await errorOf(firewall.check()))
      .to.be.instanceOf(Error)
      .with.property('message', 'there is no rule from_copies for ms-k3x9ab-c');
  });
});
