import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { expect } from 'chai';
import { parse, stringify } from 'yaml';
import { environmentName, keyPaths, loadConfig } from '../../src/config.ts';
import { ConfigError } from '../../src/errors.ts';
import { redact } from '../../src/log.ts';
import { temporaryFolder } from '../support/temporary.ts';

const EXAMPLE = join(import.meta.dirname, '..', '..', 'microsaas.example.yaml');
const SECRET = `whsec_${Buffer.from('0123456789abcdefghijklmn').toString('base64')}`;

/** The keys of the example that name a file of a secret, and those that hold it instead. */
const SECRETS = ['manager.apiKey', 'webhook.secret', 'postgres.password'];

/** The same, where there need be none. */
const OPTIONAL_SECRETS = ['mail.relay.password'];

describe('the configuration', () => {
  const folder = temporaryFolder();

  /** The least that is accepted. */
  const least = (): Record<string, Record<string, unknown> | string> => ({
    dataDir: '/srv/microsaas',
    manager: { url: 'http://odoo.example.com', database: 'manager', apiKey: 'api-key-1' },
    webhook: { secret: SECRET },
    postgres: { password: 'password-1' },
  });
  const written = (settings: unknown) => {
    const file = join(folder(), 'microsaas.yaml');
    writeFileSync(file, typeof settings === 'string' ? settings : stringify(settings));
    return file;
  };
  const load = (settings: unknown, environment = {}) => loadConfig(written(settings), environment);
  const complaint = (settings: unknown, environment = {}): string => {
    try {
      load(settings, environment);
    } catch (error) {
      expect(error).to.be.instanceOf(ConfigError);
      return (error as Error).message;
    }
    throw new Error('it was accepted');
  };

  it('has every key in the example, and no other', () => {
    const leaves = (value: unknown, path: readonly string[] = []): string[] =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value).flatMap(([key, child]) => leaves(child, [...path, key]))
        : [path.join('.')];
    const known = keyPaths().map((path) => path.join('.'));
    const exampled = leaves(parse(readFileSync(EXAMPLE, 'utf8')));
    expect(exampled).to.have.members(
      known.filter((key) => ![...SECRETS, ...OPTIONAL_SECRETS].includes(key)),
    );
  });

  it('knows its own file and those that it names, which a backup of this host has to hold', () => {
    const { files } = load({
      ...least(),
      mail: { relay: { passwordFile: '' } },
      repositories: { credentials: [{ url: 'https://git.example.com', tokenFile: '/etc/t' }] },
      backups: { sshFolder: '/etc/ssh-backup' },
    });
    expect(files).to.deep.equal([
      ...[join(folder(), 'microsaas.yaml'), '/etc/t', '/etc/ssh-backup'],
    ]);
  });

  it('loads the example, and its values are the defaults it says they are', () => {
    const example = parse(readFileSync(EXAMPLE, 'utf8'));
    for (const key of SECRETS) {
      const [section, name] = key.split('.') as [string, string];
      const file = join(folder(), name);
      writeFileSync(file, SECRET, { mode: 0o600 });
      example[section][`${name}File`] = file;
    }
    const config = load(example);
    const defaults = load(least());
    for (const part of ['http', 'docker', 'instances', 'limits', 'repositories', 'log'] as const)
      expect(config[part], part).to.deep.equal(defaults[part]);
    expect(config.manager).to.include({ login: 'microsaas-sidecar', rpc: 'auto', pollSeconds: 30 });
  });

  it('puts the Postgres socket into dataDir unless told otherwise', () => {
    expect(load(least()).postgres.server).to.deep.equal({ socketDir: '/srv/microsaas/postgresql' });
  });

  describe('of a Postgres on the network', () => {
    const ca = () => join(folder(), 'ca.crt');
    const onNetwork = (over: Record<string, unknown> = {}) => ({
      ...least(),
      dataDir: folder(),
      postgres: { password: 'p', hosts: ['pg1.example.com', '10.0.0.22'], caFile: ca(), ...over },
    });
    beforeEach(() => writeFileSync(ca(), rootCertificates[0] ?? '', { mode: 0o644 }));

    it('has its hosts, its port and the authority of their certificates', () => {
      const hosts = ['pg1.example.com', '10.0.0.22'];
      const { files, postgres } = load(onNetwork());
      expect(postgres.server).to.deep.equal({ hosts, port: 5432, caFile: ca() });
      expect(files, 'a backup of this host has to hold it').to.include(ca());
    });

    it('takes its hosts from the environment', () => {
      const { server } = load(onNetwork(), {
        MICROSAAS_POSTGRES_HOSTS: 'a.example, b.example',
      }).postgres;
      expect(server).to.deep.include({ hosts: ['a.example', 'b.example'] });
    });

    const faults: ReadonlyArray<[string, () => Record<string, unknown>, RegExp]> = [
      ['a socket beside the hosts', () => ({ socketDir: '/run/x' }), /either hosts or socketDir/],
      ['no authority', () => ({ caFile: '' }), /postgres\.caFile: .*found nothing/],
      ['an authority without hosts', () => ({ hosts: [] }), /postgres\.hosts: .*found none/],
      ['one that is not there', () => ({ caFile: join(folder(), 'x') }), /caFile: .*ENOENT/],
      [
        'one elsewhere',
        () => ({ caFile: '/etc/hostname' }),
        /caFile: expected a file below dataDir/,
      ],
      ['a host that is none', () => ({ hosts: ['a b'] }), /postgres\.hosts\.0/],
    ];
    for (const [what, over, says] of faults)
      it(`refuses ${what}`, () => {
        expect(complaint(onNetwork(over()))).to.match(says);
      });

    it('refuses an authority that is no certificate, or that instances could not read', () => {
      chmodSync(ca(), 0o600);
      expect(complaint(onNetwork())).to.match(/everybody may read.*chmod 0644/);
      writeFileSync(ca(), 'none');
      chmodSync(ca(), 0o644);
      expect(complaint(onNetwork())).to.match(/caFile: expected a certificate as PEM/);
    });
  });

  describe('of a swarm', () => {
    const swarm = { sharedDir: '/srv' };
    const ca = () => join(folder(), 'ca.crt');
    const postgres = () => ({ hosts: ['10.0.0.1'], caFile: ca(), password: 'password-1' });
    const onNodes = (over: Record<string, unknown> = {}) => ({
      ...{ ...least(), dataDir: folder(), engine: 'swarm' },
      ...{ swarm: { sharedDir: folder() }, postgres: postgres(), ...over },
    });
    beforeEach(() => writeFileSync(ca(), rootCertificates[0] ?? '', { mode: 0o644 }));

    it('has its shared folder and, by default, the manager that is this host', () => {
      expect(load(least()).swarm, 'Compose by default').to.equal(null);
      expect(load({ ...least(), swarm }).swarm, 'not by its section').to.equal(null);
      const sockets = ['/run/a.sock', '/run/b.sock'];
      const sharedDir = folder();
      expect(load(onNodes()).swarm).to.deep.equal({ sharedDir, sockets: ['/var/run/docker.sock'] });
      const given = { MICROSAAS_SWARM_SOCKETS: sockets.join(', ') };
      expect(load(onNodes(), given).swarm?.sockets).to.deep.equal(sockets);
    });

    const faults: ReadonlyArray<[string, Record<string, unknown>, RegExp]> = [
      ['no shared folder', { swarm: {} }, /swarm\.sharedDir: .*found nothing/],
      [
        'instances elsewhere',
        { swarm: { sharedDir: '/nowhere' } },
        /dataDir: .*below swarm\.share/,
      ],
      [
        'a Postgres at a socket',
        { postgres: { password: 'password-1' } },
        /postgres\.hosts: .*none/,
      ],
      [
        'spares',
        { instances: { spareMemoryMb: 300 } },
        /spareMemoryMb: expected 0 with engine swarm/,
      ],
      ['another engine', { engine: 'nomad' }, /engine: .*found "nomad"/],
    ];
    for (const [what, over, says] of faults)
      it(`refuses ${what}`, () => {
        expect(complaint(onNodes(over))).to.match(says);
      });
  });

  it('prefers the environment over the file for every key', () => {
    expect(environmentName(['manager', 'pollSeconds'])).to.equal('MICROSAAS_MANAGER_POLL_SECONDS');
    const config = load(least(), {
      MICROSAAS_MANAGER_POLL_SECONDS: '5',
      MICROSAAS_HTTP_PORT: '9000',
      MICROSAAS_REPOSITORIES_PROTOCOLS: 'https, http',
      MICROSAAS_WEBHOOK_SECRET: SECRET.replace('MDEy', 'MDEz'),
    });
    expect(config.manager.pollSeconds).to.equal(5);
    expect(config.http.port).to.equal(9_000);
    expect(config.repositories.protocols).to.deep.equal(['https', 'http']);
    expect(config.webhookSecret).not.to.equal(SECRET);
  });

  it('finds its file by the environment', () => {
    const file = written(least());
    expect(loadConfig(undefined, { MICROSAAS_CONFIG: file }).dataDir).to.equal('/srv/microsaas');
  });

  const wrong: ReadonlyArray<[what: string, section: string, value: unknown, says: RegExp]> = [
    ['a relative path', 'dataDir', 'data', /dataDir: .*absolute path; found "data"/],
    ['a missing section', 'manager', undefined, /manager: .*found nothing/],
    ['an unknown key', 'http', { prot: 1 }, /http: .*"prot"/],
    ['an unknown section', 'htpp', { port: 1 }, /"htpp"/],
    ['a port that is none', 'http', { port: 70_000 }, /http\.port: .*65535.*; found 70000/],
    ['an address without http', 'instances', { url: 'x:{port}' }, /instances\.url: http:\/\/ or/],
    [
      'spares that others would find',
      'instances',
      { spareMemoryMb: 300, publishAddress: '0.0.0.0' },
      /instances\.spareMemoryMb: 0, unless .*loopback/,
    ],
    ['an unknown protocol', 'repositories', { protocols: ['ext'] }, /protocols\.0: .*found "ext"/],
    ['a name server by name', 'door', { resolver: 'dns.example' }, /door\.resolver: address:port/],
    ['a short secret', 'webhook', { secret: 'whsec_c2hvcnQ=' }, /at least 24 bytes.*found 5/],
    ['no secret', 'webhook', {}, /webhook\.secret: .*or webhook\.secretFile.*found neither/],
    ['an absent file', 'webhook', { secretFile: '/nowhere/x' }, /secretFile: .*ENOENT.*nowhere/],
  ];
  for (const [what, section, value, says] of wrong)
    it(`refuses ${what}, naming key, expected and found`, () => {
      expect(complaint({ ...least(), [section]: value })).to.match(says);
    });

  describe('of the mail relay', () => {
    const relay = { host: 'smtp.example.com', sender: '{name}@example.com' };
    const withRelay = (over: Record<string, unknown>) => ({
      ...least(),
      mail: { relay: { ...relay, ...over } },
    });

    it('needs a host and a sender, and no password', () => {
      expect(load(least()).mailRelay).to.equal(null);
      expect(load(withRelay({})).mailRelay).to.deep.equal({
        ...relay,
        ...{ port: 587, encryption: 'starttls', user: '', password: '' },
      });
    });

    it('has a password by its file, or by the environment', () => {
      const passwordFile = join(folder(), 'relay-password');
      writeFileSync(passwordFile, 'of the relay\n', { mode: 0o600 });
      const read = load(withRelay({ user: 'us', passwordFile }));
      expect(read.mailRelay).to.include({ user: 'us', password: 'of the relay' });
      const given = { MICROSAAS_MAIL_RELAY_PASSWORD: 'other' };
      expect(load(withRelay({ user: 'us' }), given).mailRelay).to.include({ password: 'other' });
    });

    for (const [what, over, says] of [
      ['no sender', { sender: '' }, /mail\.relay\.sender: expected .*found nothing/],
      ['one sender for all', { sender: 'us@example.com' }, /relay\.sender: .*\{name\} or \{id\}/],
      ['a sender that is no address', { sender: '{name}' }, /relay\.sender: an address/],
      [
        'a sender of two lines',
        { sender: '{name}@example.com\nBcc: x' },
        /relay\.sender: an address/,
      ],
      ['a container’s own loopback', { host: 'localhost' }, /relay\.host: .*loopback/],
      ['its address', { host: '127.0.0.1' }, /relay\.host: .*loopback/],
      ['a host that is none', { host: 'a b' }, /mail\.relay\.host: /],
      ['an unknown encryption', { encryption: 'tls' }, /relay\.encryption: .*found "tls"/],
      ['a user without a password', { user: 'us' }, /relay\.password: .*found neither/],
      ['a password without a user', { password: 'secret-1' }, /relay\.user: .*found nothing/],
      [
        'a password in clear text',
        { user: 'us', password: 'secret-1', encryption: 'none' },
        /relay\.encryption: expected starttls or ssl/,
      ],
    ] as const)
      it(`refuses ${what}`, () => {
        const said = complaint(withRelay(over));
        expect(said).to.match(says).and.not.include('secret-1');
      });
  });

  it('names all errors at once', () => {
    const lines = complaint({ ...least(), dataDir: 'x', log: { level: 'loud' } });
    expect(lines).to.include('dataDir').and.include('log.level');
  });

  it('explains a missing or malformed file', () => {
    expect(() => loadConfig(join(folder(), 'none.yaml'), {})).to.throw(ConfigError, /--config/);
    expect(complaint('a: [')).to.include('microsaas.yaml');
    expect(complaint('just text')).to.match(/expected keys and values/);
  });

  it('refuses a secret whose file others may read, or that is empty', () => {
    const secretFile = join(folder(), 'secret');
    writeFileSync(secretFile, SECRET, { mode: 0o600 });
    const settings = { ...least(), webhook: { secretFile } };
    expect(load(settings).webhookSecret).to.equal(SECRET);
    chmodSync(secretFile, 0o640);
    expect(complaint(settings)).to.match(/webhook\.secretFile: .*0600/);
    writeFileSync(secretFile, '\n');
    chmodSync(secretFile, 0o600);
    expect(complaint(settings)).to.match(/empty/);
  });

  it('refuses variables of the backups’ server that others may read', () => {
    const environmentFile = join(folder(), 'server.env');
    const variables = 'RESTIC_REST_USERNAME=me\nRESTIC_REST_PASSWORD=of the server\n';
    writeFileSync(environmentFile, variables, { mode: 0o600 });
    const settings = { ...least(), backups: { environmentFile } };
    expect(load(settings).backups.environmentFile).to.equal(environmentFile);
    expect(redact('it says of the server')).to.equal('it says [redacted]');
    chmodSync(environmentFile, 0o604);
    expect(complaint(settings)).to.match(/backups\.environmentFile: .*0600/);
  });

  it('takes for the place of backups only what restic can open', () => {
    const at = (repository: string) => ({ ...least(), backups: { repository } });
    for (const right of [
      ...['/srv/microsaas/disk', 'sftp:me@192.0.2.7:/srv', 'sftp://me@[2001:db8::7]:2222//srv'],
      ...['rest:https://backup.example.com/', 'rest:http://127.0.0.1:8000/microsaas/'],
    ])
      expect(load(at(right)).backups.repository).to.equal(right);
    for (const wrong of ['backups', 'sftp:backup', 'sftp:/srv', 'rest:backup.example.com', 's3:x'])
      expect(complaint(at(wrong)), wrong).to.match(/backups\.repository: .*rest:https/);
    for (const elsewhere of ['/mnt/backups', '/srv', '/srv/microsaas2'])
      expect(complaint(at(elsewhere))).to.match(/backups\.repository: .* below dataDir/);
  });

  it('never shows a secret in an error', () => {
    const settings = { ...least(), webhook: { secret: SECRET, typo: 1 }, typo: 2, dataDir: 'x' };
    const said = complaint(settings);
    for (const secret of [SECRET, 'api-key-1', 'password-1']) expect(said).not.to.include(secret);
  });
});
