import { expect } from 'chai';
import { parse } from 'yaml';
import { renderInstance } from '../../../src/files/render.ts';
import { anInput, aTemplate, replacing, SECRETS } from './instances.ts';

const CHECKOUT = '{{yaml checkout.path}}';

/** Adds a key to the service `odoo`. */
function adding(yaml: string) {
  return replacing('    init: true\n', `    init: true\n    ${yaml}\n`);
}

/** What a template is changed to, and where the refusal points. */
const REFUSED: ReadonlyArray<readonly [what: string, (text: string) => string, where: string]> = [
  ['privileged', adding('privileged: true'), 'privileged'],
  ['cap_add', adding('cap_add: [SYS_ADMIN]'), 'cap_add'],
  ['devices', adding('devices: [/dev/sda]'), 'devices'],
  ['pid: host', adding('pid: host'), 'pid'],
  ['ipc: host', adding('ipc: host'), 'ipc'],
  ['uts: host', adding('uts: host'), 'uts'],
  ['userns_mode', adding('userns_mode: host'), 'userns_mode'],
  ['cgroup_parent', adding('cgroup_parent: /'), 'cgroup_parent'],
  ['sysctls', adding('sysctls: { net.core.somaxconn: 1 }'), 'sysctls'],
  ['a name of its own', adding('extra_hosts: ["other:10.0.0.1"]'), 'extra_hosts'],
  ['extends', adding('extends: { file: /etc/x.yml, service: x }'), 'extends'],
  ['env_file', adding('env_file: /etc/shadow'), 'env_file'],
  ['build', adding('build: .'), 'build'],
  ['volumes_from', adding('volumes_from: [other]'), 'volumes_from'],
  ['group_add', adding('group_add: [docker]'), 'group_add'],
  ['a key of an extension', adding('x-anything: 1'), 'x-anything'],
  ['a merge key', adding('<<: { privileged: true }'), '<<'],
  ['root as user', adding('user: "0:0"'), 'user'],
  ['host network', replacing('networks: [instances]', 'network_mode: host'), 'network_mode'],
  [
    "another container's network",
    replacing('networks: [instances]', 'network_mode: "container:x"'),
    'network_mode',
  ],
  ['a network of its own', replacing('    networks: [instances]\n', ''), 'networks'],
  ['another network', replacing('{{yaml network}}', 'bridge'), 'networks.instances.name'],
  ['a network that is not there yet', replacing('external: true', 'external: false'), 'external'],
  ['include', replacing('services:', 'include: [/etc/x.yml]\nservices:'), 'include'],
  ['a volume', replacing('services:', 'volumes: { x: {} }\nservices:'), 'volumes'],
  ['a secret', replacing('services:', 'secrets: { x: { file: /x } }\nservices:'), 'secrets'],
  ['another project name', replacing('services:', 'name: other\nservices:'), 'name'],
  ["Docker's socket", replacing(CHECKOUT, '/var/run/docker.sock'), 'volumes.4.source'],
  ['the root directory', replacing(CHECKOUT, '/'), 'volumes.4.source'],
  ["a neighbour's directory", replacing(CHECKOUT, '/srv/microsaas/instances/8/etc'), 'volumes.4'],
  ['one that begins alike', replacing(CHECKOUT, '/srv/microsaas/instances/77'), 'volumes.4.source'],
  ['a way out', replacing(CHECKOUT, '/srv/microsaas/instances/7/../8'), 'volumes.4.source'],
  ['the whole directory', replacing(CHECKOUT, '/srv/microsaas/instances/7'), 'volumes.4.source'],
  ['a relative path', replacing(CHECKOUT, '.'), 'volumes.4.source'],
  ['the secrets', replacing(CHECKOUT, '/srv/microsaas/instances/7/secrets'), 'volumes.4.source'],
  [
    'a secret',
    replacing(CHECKOUT, '/srv/microsaas/instances/7/secrets/admin-password'),
    'volumes.4',
  ],
  [
    'a checkout that can be written',
    replacing('{{yaml checkout.target}}\n        read_only: true', '{{yaml checkout.target}}'),
    'volumes.4.source',
  ],
  [
    'the short way to bind',
    replacing('    volumes:', '    volumes:\n      - /:/host'),
    'volumes.0',
  ],
  [
    'a directory made by Docker',
    replacing('create_host_path: false', 'create_host_path: true'),
    'create_host_path',
  ],
  ['a shared mount', replacing('create_host_path: false', 'propagation: shared'), 'volumes.0.bind'],
  ['a port on every address', replacing('{{yaml publishAddress}}', '0.0.0.0'), 'ports.0.host_ip'],
  [
    'a port on no address',
    replacing('host_ip: {{yaml publishAddress}}\n        ', ''),
    'ports.0.host_ip',
  ],
  ['another port', replacing('{{yaml httpPort}}', '22'), 'ports.0.published'],
  ['one port twice', replacing('{{yaml httpPort}}', '{{yaml longpollingPort}}'), 'services'],
  ['the short way to publish', replacing('ports:', 'ports:\n      - "80:80"'), 'ports.0'],
  ['another image', replacing('{{yaml image}}', 'evil:latest'), 'image'],
  [
    "another project's container name",
    replacing('{{yaml odooContainer}}', 'ms-k3x9ab-8-odoo'),
    'container_name',
  ],
  ['another label', replacing('{{yaml install}}', 'other0'), 'labels.microsaas.install'],
  ['one label more', replacing('labels:', 'labels:\n      other: x'), 'labels.other'],
  ['capabilities', replacing('cap_drop: [ALL]', 'cap_drop: []'), 'cap_drop'],
  ['new privileges', replacing('    security_opt: [no-new-privileges:true]\n', ''), 'security_opt'],
  ['no seccomp', replacing('[no-new-privileges:true]', '["seccomp:unconfined"]'), 'security_opt.0'],
  ['a root that can be written', replacing('    read_only: true\n', ''), 'read_only'],
  ['no limit of memory', replacing('    mem_limit: {{yaml memory}}\n', ''), 'mem_limit'],
  ['swap', replacing('memswap_limit: {{yaml memory}}', 'memswap_limit: 9999m'), 'memswap_limit'],
  ['no limit of processes', replacing('pids_limit: 256', 'pids_limit: -1'), 'pids_limit'],
  ['no limit of processors', replacing('cpus: {{yaml cpus}}', 'cpus: 0'), 'cpus'],
  ['endless logs', replacing('{ max-size: 10m, max-file: "3" }', '{}'), 'logging.options.max-size'],
  [
    'a variable of the environment',
    replacing('MALLOC_ARENA_MAX: "2"', 'A: "$PATH"'),
    'environment.A',
  ],
  ['a control character', replacing('MALLOC_ARENA_MAX: "2"', 'A: "\\r"'), 'environment.A'],
  ['no service odoo', replacing('  odoo:\n', '  other:\n'), 'services'],
];

describe('policy', () => {
  for (const [what, change, where] of REFUSED)
    it(`refuses ${what}`, async () => {
      const template = await aTemplate('odoo', { compose: change });
      expect(() => renderInstance(template, anInput(), SECRETS))
        .to.throw('The template "odoo" breaks the policy')
        .that.includes({ name: 'TerminalError', reason: 'TemplateBreaksPolicy' })
        .and.has.property('detail')
        .that.contains(where);
    });

  it('names the service and the key', async () => {
    const template = await aTemplate('odoo', { compose: adding('privileged: true') });
    expect(() => renderInstance(template, anInput(), SECRETS)).to.throw(
      'The template "odoo" breaks the policy: service "odoo": "privileged" is not allowed.',
    );
  });

  it('lets an own Postgres read its password file, and write none', async () => {
    const input = anInput({ templateCode: 'odoo-own-db' });
    renderInstance(await aTemplate('odoo-own-db'), input, SECRETS);
    const mount = '/run/secrets/postgres-password\n        read_only: true';
    const writable = await aTemplate('odoo-own-db', {
      compose: replacing(mount, '/run/secrets/postgres-password'),
    });
    expect(() => renderInstance(writable, input, SECRETS)).to.throw(
      'service "db": "volumes.2.source"',
    );
  });
});

describe('policy of a staging copy', () => {
  const closed = anInput({ network: 'ms-k3x9ab-net-c' });
  const odooOf = (compose: string) => parse(compose).services.odoo;

  it('is not started by Docker, and has no name server', async () => {
    const copy = odooOf(renderInstance(await aTemplate('odoo'), closed, SECRETS).compose);
    expect(copy).to.deep.include({ restart: 'no', dns: ['127.0.0.1'] });
    const other = odooOf(renderInstance(await aTemplate('odoo'), anInput(), SECRETS).compose);
    expect(other).to.deep.include({ restart: 'unless-stopped' }).and.not.have.property('dns');
  });

  it('leaves its own Postgres, which has no network, as it is', async () => {
    const made = renderInstance(await aTemplate('odoo-own-db'), closed, SECRETS);
    expect(parse(made.compose).services.db).to.deep.include({ restart: 'unless-stopped' });
  });

  for (const [what, change, where] of [
    ['that Docker starts', replacing('restart: "no"', 'restart: unless-stopped'), 'restart'],
    ['with a name server', replacing('    dns: [127.0.0.1]\n', ''), 'dns'],
    ['with another one', replacing('dns: [127.0.0.1]', 'dns: [9.9.9.9]'), 'dns.0'],
  ] as const)
    it(`refuses one ${what}`, async () => {
      const template = await aTemplate('odoo', { compose: change });
      expect(() => renderInstance(template, closed, SECRETS))
        .to.throw(/breaks the policy/)
        .with.property('detail')
        .that.contains(where);
    });

  it('refuses an instance that is none and has what a copy has', async () => {
    const template = await aTemplate('odoo', {
      compose: replacing('restart: unless-stopped', 'restart: "no"'),
    });
    expect(() => renderInstance(template, anInput(), SECRETS)).to.throw(/"restart"/);
  });
});
