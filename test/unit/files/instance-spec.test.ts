import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { TerminalError } from '../../../src/errors.ts';
import { instanceSpec } from '../../../src/files/instance-spec.ts';

const FACTS = { template: 'odoo', conf: '/srv/microsaas/instances/7/etc/odoo.conf' };

/** A Compose file that the policy has accepted. */
const composeOf = (name: string) =>
  readFileSync(new URL(`../../golden/${name}/docker-compose.yml`, import.meta.url), 'utf8');

/** Why a Compose file is no specification. */
function refusal(compose: string): string {
  try {
    instanceSpec(compose, FACTS);
  } catch (error) {
    expect(error).to.be.instanceOf(TerminalError).with.property('reason', 'TemplateBreaksPolicy');
    return (error as Error).message;
  }
  throw new Error('it was accepted');
}

describe('the neutral specification of an instance', () => {
  const compose = composeOf('postgres-on-the-network');

  it('has all of the Compose file but Compose’s own names', () => {
    const spec = instanceSpec(compose, FACTS);
    expect(spec).to.deep.include({
      image: 'odoo:19.0',
      ...{ entrypoint: ['odoo'], arguments: ['--config=/etc/odoo/odoo.conf'], user: null },
      ...{ graceSeconds: 30, pids: 256, memoryBytes: 2 ** 30, nanoCpus: 1e9 },
      hardening: {
        ...{ init: true, readOnly: true, dropsAllCapabilities: true, noNewPrivileges: true },
        swapBytes: 0,
      },
      logging: { driver: 'json-file', options: { 'max-size': '10m', 'max-file': '3' } },
      tmpfs: [
        { target: '/tmp', mode: 0o1777, sizeBytes: 256 * 2 ** 20 },
        { target: '/var/lib/odoo', mode: 0o555, sizeBytes: 64 * 2 ** 10 },
        { target: '/mnt/extra-addons', mode: 0o555, sizeBytes: 64 * 2 ** 10 },
      ],
      conf: { source: FACTS.conf, target: '/etc/odoo/odoo.conf' },
      ports: [
        { target: 8069, published: 8100 },
        { target: 8069, published: 8200 },
      ],
    });
    expect(spec.labels).to.include({ 'microsaas.install': 'k3x9ab', 'microsaas.instance': '7' });
    expect(spec.environment).to.include({ HOME: '/tmp', PGTARGETSESSIONATTRS: 'read-write' });
    expect(spec.sysctls).to.include({ 'net.ipv4.tcp_retries2': '5' });
    expect(spec.mounts).to.deep.include({
      ...{ source: '/srv/microsaas/postgres-ca.crt', target: '/run/postgresql-ca.crt' },
      readOnly: true,
    });
    const targets = spec.mounts.map(({ target }) => target);
    expect(targets, 'odoo.conf is no mount').not.to.include('/etc/odoo/odoo.conf');
  });

  it('has a dollar sign as the container is to see it', () => {
    const spec = instanceSpec(
      compose.replace('HOME: "/tmp"', () => 'HOME: "/a$$b"'),
      FACTS,
    );
    expect(spec.environment['HOME']).to.equal('/a$b');
  });

  it('is refused for an instance with a Postgres of its own, and for a staging copy', () => {
    expect(refusal(composeOf('own-postgres'))).to.match(/"services" has more than one service/);
    expect(refusal(composeOf('copy-with-postgres-on-the-network'))).to.match(
      /"services\.odoo\.dns" is for a network that nothing leaves/,
    );
  });

  for (const [what, from, to, says] of [
    [
      'a key that nobody maps',
      'init: true',
      'init: true\n    shm_size: 1g',
      /shm_size" is not known/,
    ],
    ['a weaker start', 'read_only: true\n', 'read_only: false\n', /read_only" is not as expected/],
    [
      'a tmpfs without a size',
      '/tmp:mode=1777,size=256m',
      '/tmp:mode=1777',
      /tmpfs.0" .* its size/,
    ],
    ['no odoo.conf', FACTS.conf, '/srv/other.conf', /volumes" has no odoo\.conf/],
    [
      'another section',
      'networks:\n  instances',
      'volumes: {}\nnetworks:\n  instances',
      /"volumes"/,
    ],
  ] as const)
    it(`is refused for ${what}, naming it`, () => {
      expect(compose, 'the file has what is changed').to.include(from);
      expect(refusal(compose.replace(from, to))).to.match(says);
    });
});
