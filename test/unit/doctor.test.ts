import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Warning } from '../../src/check.ts';
import type { Config } from '../../src/config.ts';
import { DOCKERS_POOLS, freeBlocks } from '../../src/docker/address-pools.ts';
import { doctor, isOlder } from '../../src/doctor.ts';
import { CommandError, ManagerError, TerminalError } from '../../src/errors.ts';
import { loadTemplates, Templates } from '../../src/files/templates.ts';
import type { Backup } from '../../src/interfaces.ts';
import { memoryFound } from '../../src/operator-checks.ts';
import { LOST_HARDENING } from '../../src/swarm/lost-hardening.ts';
import type { SwarmReport } from '../../src/swarm/swarm-report.ts';
import type { Sidecar } from '../../src/wiring.ts';
import { FakeDatabases } from '../fakes/databases.ts';
import { FakeDisk } from '../fakes/disk.ts';
import { FakeDocker } from '../fakes/docker.ts';
import { FakeEngine } from '../fakes/engine.ts';
import { FakeManager } from '../fakes/manager.ts';
import { FakeMemory } from '../fakes/memory.ts';
import { aConfig } from '../support/a-config.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { aNode } from './swarm/samples.ts';

const ESCAPE = '\u001b';

/** The doctor's patient: all that it looks at, as it is when all is well. */
class Patient {
  readonly docker = new FakeDocker();
  readonly engine = new FakeEngine();
  readonly databases = new FakeDatabases(() => true);
  readonly manager = new FakeManager({ now: () => new Date() });
  readonly disk = new FakeDisk();
  readonly managerMemory = new FakeMemory();
  install = 'k3x9ab';
  /** Null: the Postgres is at a socket. */
  hosts: readonly string[] | null = null;
  postgres = { version: 17, standbys: ['sync'] as Array<string | null>, plain: [] as string[] };
  tools = { version: async () => 17 };
  templates: Templates;
  missingImages = new Set<string>();
  backups: {
    isNightly: boolean;
    store: { check(): Promise<void> };
    ofManager: { check(): Promise<void>; list(): Promise<Backup[]> };
    claim: { replaced(): Promise<Error | null> };
  } = {
    isNightly: true,
    store: { check: async () => {} },
    ofManager: { check: async () => {}, list: async () => [] },
    claim: { replaced: async () => null },
  };
  firewall: { check(): Promise<void> } | null = { check: async () => {} };
  relay: { readonly host: string; readonly port: number } | null = null;
  askRelay: (() => Promise<string>) | null = null;
  swarm: Pick<SwarmReport, 'lost' | 'nodes' | 'probe'> | null = null;
  cgroups = { of: async () => ({ memoryBytes: null as number | null, cpuSeconds: null }) };

  constructor(templates: Templates) {
    this.templates = templates;
  }

  wire = async (): Promise<Sidecar> => {
    const images = {
      id: async (image: string) => {
        if (this.missingImages.has(image))
          throw new Error(`The image ${image} could not be pulled.`);
        return 'sha256:a';
      },
    };
    const { docker } = this;
    const operator = {
      memoryUse: async () => new Map([[1, 300 * 2 ** 20]]),
      freeNetworks: async (others: readonly string[]) =>
        freeBlocks(DOCKERS_POOLS, [...(await docker.api.addresses()).subnets, ...others]),
    };
    Object.assign(this.databases, {
      serverFacts: async () => this.postgres,
      plainHosts: async () => this.postgres.plain,
    });
    const parts = { ...this, ...operator, api: docker.api, docker: docker.cli, images };
    return parts as unknown as Sidecar;
  };
}

describe('doctor', () => {
  const folder = temporaryFolder();
  const config = () => {
    const { backups, ...rest } = aConfig(folder());
    const hosts = patient?.hosts;
    const server = hosts && { hosts, port: 5432, caFile: '/d/ca.crt' };
    return {
      ...rest,
      postgres: { ...rest.postgres, ...(server ? { server } : {}) },
      mailRelay: (patient?.relay ?? null) as Config['mailRelay'],
      backups: { ...backups, repository: '/backups' },
    };
  };
  let templates: Templates;
  let patient: Patient;
  before(async () => {
    templates = await loadTemplates(aConfig('').templatesDir);
  });
  beforeEach(async () => {
    await mkdir(config().dataDir);
    patient = new Patient(templates);
  });

  /** What is printed of each check, and whether all is well. */
  async function examine() {
    const write = process.stdout.write;
    let text = '';
    process.stdout.write = (chunk) => {
      text += chunk;
      return true;
    };
    try {
      const isWell = await doctor(config(), patient.wire);
      const lines = [...text.matchAll(/^(ok|WARN|FAIL) +(.*?): (.*)\n(?: +\w+: (.*)\n)?/gm)];
      expect(lines.map(([line]) => line).join(''), 'nothing else is printed').to.equal(text);
      const found = lines.map(
        ([, verdict = '', name = '', said = '', mend = '']) =>
          [name, { verdict, said, mend }] as const,
      );
      return { isWell, checks: new Map(found) };
    } finally {
      process.stdout.write = write;
    }
  }

  /** Whether the disk that the tests run on has the room that the doctor wants: a tenth, and 5 GiB. */
  async function hasRoom(): Promise<boolean> {
    const { bavail, blocks, bsize } = await statfs(folder());
    return bavail / blocks >= 0.1 && bavail * bsize >= 5 * 2 ** 30;
  }

  const NAMES = [
    ...['Docker', "Docker's age", 'Compose', 'Odoo', "The bot's rights", 'Mail', 'Postgres'],
    ...['Templates', 'Instances', 'Firewall', 'Disk', 'Backups', "The manager's backups"],
    ...['Clock', "The instances' mail", "Docker's networks", 'Memory', 'Use of instances'],
  ];

  it('finds all well, and says of each part what it found', async () => {
    patient.manager.insert({ state: 'running', desiredState: 'running' });
    const { checks, isWell } = await examine();
    expect([...checks.keys()]).to.deep.equal(NAMES);
    expect(isWell).to.equal(await hasRoom());
    // Of the machine that the tests run on.
    checks.delete('Disk');
    checks.delete('Memory');
    for (const [name, { mend, verdict }] of checks)
      expect([name, verdict, mend]).to.deep.equal([name, 'ok', '']);
    const said = Object.fromEntries([...checks].map(([name, check]) => [name, check.said]));
    expect(said['Firewall']).to.match(/^instances reach the internet/);
    expect(said).to.deep.include({
      Docker: 'engine 28.2.2',
      "Docker's age": 'engine 28.2.2, runc 1.2.8',
      Compose: 'v2.36.0',
      Odoo: 'addon 19.0.1.0.0 at http://127.0.0.1:9',
      "The bot's rights": 'paid invoices and instances can be read',
      Mail: "Odoo's mails leave",
      Postgres: join(folder(), 'postgresql'),
      Templates: 'odoo, odoo-own-db',
      Instances: '1 running',
      Clock: "Odoo's and Postgres' agree with this host's",
      "The instances' mail": 'no relay (mail.relay): customers set up their own',
      'Use of instances': 'none runs',
    });
    expect(said["Docker's networks"]).to.match(/^addresses for \d+ more of 31$/);
  });

  it('looks closer at a Postgres on the network', async () => {
    patient.hosts = ['pg1.example.com', 'pg2.example.com'];
    const { checks } = await examine();
    const said = Object.fromEntries([...checks].map(([name, check]) => [name, check.said]));
    expect(said).to.deep.include({
      Postgres: 'pg1.example.com, pg2.example.com, port 5432',
      "Postgres' version": 'server 17, pg_dump 17',
      "Postgres' TLS": 'nobody gets in without it',
      "Postgres' standby": '2 hosts, standbys: 1, synchronous: 1',
    });
    patient.hosts = ['pg1.example.com'];
    expect((await examine()).checks.has("Postgres' standby")).to.equal(false);
  });

  const POSTGRES_FAULTS: ReadonlyArray<
    [string, Partial<Patient['postgres']>, number, string, 'WARN' | 'FAIL', RegExp]
  > = [
    ['an old server', { version: 14 }, 17, 'version', 'FAIL', /^server 14, pg_dump 17$/],
    ['an older pg_dump', { version: 18 }, 17, 'version', 'FAIL', /^server 18, pg_dump 17$/],
    ['a host that needs no TLS', { plain: ['b'] }, 17, 'TLS', 'FAIL', /^b: lets in/],
    ['no standby', { standbys: [] }, 17, 'standby', 'FAIL', /standbys: 0/],
    [
      'a late standby',
      { standbys: ['async'] },
      17,
      'standby',
      'FAIL',
      /standbys: 1, synchronous: 0/,
    ],
    ['hidden standbys', { standbys: [null] }, 17, 'standby', 'WARN', /not known.*pg_monitor/],
  ];
  for (const [what, found, ours, check, verdict, says] of POSTGRES_FAULTS)
    it(`finds on the network ${what}`, async () => {
      patient.hosts = ['a', 'b'];
      Object.assign(patient.postgres, found);
      patient.tools.version = async () => ours;
      const { checks } = await examine();
      expect(checks.get(`Postgres' ${check}`)).to.include({ verdict });
      expect(checks.get(`Postgres' ${check}`)?.said).to.match(says);
    });

  const refusal = (kind: 'access' | 'auth') => async () => {
    throw new ManagerError(kind, `no ${kind}`);
  };
  /** What is wrong, the check that finds it, what that says, and the remedy that it names. */
  const FAULTS: ReadonlyArray<[string, () => unknown, string, 'WARN' | 'FAIL', RegExp, RegExp]> = [
    [
      'a Docker that does not answer',
      () => {
        patient.docker.isAway = true;
      },
      ...(['Docker', 'FAIL', /^Docker does not answer\.$/, /start Docker.*docker\.sock/] as const),
    ],
    ...(
      [
        ['an old Docker', { engine: '20.10.24+dfsg1' }, /^Docker 20\.10\.24\+dfsg1: known/],
        ['an old runc', { runc: '1.1.5' }, /^runc 1\.1\.5: known/],
        [
          'both of them old',
          { engine: '25.0.5', runc: '1.2.7' },
          /^Docker 25\.0\.5 and runc 1\.2\.7:/,
        ],
      ] as const
    ).map(
      ([what, versions, said]) =>
        [
          what,
          () => Object.assign(patient.docker.versions, versions),
          ...(["Docker's age", 'WARN', said, /25\.0\.6 and runc 1\.2\.8 or later/] as const),
        ] as [string, () => unknown, string, 'WARN', RegExp, RegExp],
    ),
    [
      'the Compose of before',
      () => Object.assign(patient.docker.versions, { compose: '1.29.2' }),
      ...(['Compose', 'FAIL', /^found 1\.29\.2$/, /install the Compose plugin/] as const),
    ],
    [
      'no Compose',
      () => Object.assign(patient.docker.versions, { compose: '' }),
      ...(['Compose', 'FAIL', /not a docker command/, /install the Compose plugin/] as const),
    ],
    [
      'an Odoo that cannot be reached',
      () => {
        patient.manager.isAway = true;
      },
      ...(['Odoo', 'FAIL', /ECONNREFUSED/, /manager\.url.*API key/] as const),
    ],
    [
      'an Odoo that works with another sidecar',
      () => patient.manager.handshake('other1'),
      ...([
        'Odoo',
        'FAIL',
        /belongs to install other1, this is k3x9ab/,
        /Connect a sidecar/,
      ] as const),
    ],
    [
      'another database than the one of before',
      () => {
        const memory = { checkpoint: 0, highestInstance: 0, distrust: null };
        patient.managerMemory.memory = { databaseUuid: 'another', ...memory };
      },
      ...(['Odoo', 'FAIL', /^this is another manager database/, /manager\.database/] as const),
    ],
    [
      'instances here that Odoo has never heard of',
      () => patient.databases.present.add(7),
      ...([
        'Odoo',
        'FAIL',
        /database is older than what this host has seen/,
        /manager\.database/,
      ] as const),
    ],
    ...(['unclaimed', 'due', 'states'] as const).map(
      (method) =>
        [
          `a bot without the right to ask for ${method}`,
          () => Object.assign(patient.manager, { [method]: refusal('access') }),
          ...(["The bot's rights", 'FAIL', /^no access$/, /group "MicroSaaS sidecar"/] as const),
        ] as [string, () => unknown, string, 'FAIL', RegExp, RegExp],
    ),
    [
      'an Odoo without a mail server',
      () => {
        patient.manager.mail.hasMailServer = false;
      },
      ...(['Mail', 'WARN', /no outgoing mail server/, /Outgoing Email Servers/] as const),
    ],
    [
      'a company without an address',
      () => {
        patient.manager.mail.hasCompanyEmail = false;
      },
      ...(['Mail', 'WARN', /no e-mail address/, /Companies/] as const),
    ],
    [
      'a Postgres that does not answer',
      () => {
        patient.databases.ping = async () => {
          throw new Error('connect ENOENT');
        };
      },
      ...(['Postgres', 'FAIL', /ENOENT/, /postgres\.socketDir/] as const),
    ],
    [
      'a template that cannot be used',
      () => {
        const why = new TerminalError('TemplateInvalid', 'The template "x" cannot be used: y');
        patient.templates = new Templates(templates.all, new Map([['x', why]]));
      },
      ...(['Templates', 'FAIL', /"x" cannot be used: y/, /correct the template/] as const),
    ],
    [
      'the image of a template that cannot be had',
      () => patient.missingImages.add('odoo:19.0'),
      ...(['Templates', 'FAIL', /odoo:19\.0/, /pull its image/] as const),
    ],
    [
      'an instance in error',
      () => {
        const row = patient.manager.rows.get(patient.manager.insert({ state: 'error' }));
        Object.assign(row ?? {}, { reason: 'Unexpected' });
      },
      ...([
        'Instances',
        'WARN',
        /^1 in error: 1 \(Unexpected\)$/,
        /microsaas status <number>/,
      ] as const),
    ],
    [
      'an Odoo whose clock is somewhat ahead',
      () => {
        patient.manager.clockAheadSeconds = 90;
      },
      ...(['Clock', 'WARN', /^Odoo's is (8\d|90) s ahead$/, /NTP/] as const),
    ],
    [
      'a Postgres whose clock is far behind',
      () => {
        patient.databases.clockAheadSeconds = -7_200;
      },
      ...([
        'Clock',
        'FAIL',
        /^Postgres's is 2 h behind: nothing is suspended or removed/,
        /NTP/,
      ] as const),
    ],
    [
      'a relay that does not answer',
      () => {
        patient.relay = { host: 'mail.example.com', port: 587 };
        patient.askRelay = () => Promise.reject(new Error('connect ECONNREFUSED'));
      },
      ...(["The instances' mail", 'FAIL', /ECONNREFUSED/, /mail\.relay/] as const),
    ],
    [
      'few addresses for networks',
      () => {
        patient.docker.subnets = [
          '172.16.0.0/12',
          '192.168.0.0/17',
          '192.168.128.0/18',
          '192.168.192.0/19',
        ];
      },
      ...([
        "Docker's networks",
        'WARN',
        /^addresses for [12] more of 31$/,
        /default-address-pools/,
      ] as const),
    ],
    [
      'no addresses for networks',
      () => {
        patient.docker.subnets = ['172.16.0.0/12', '192.168.0.0/16'];
      },
      ...(["Docker's networks", 'FAIL', /no addresses/, /docker network prune/] as const),
    ],
    [
      'a firewall without its rules',
      () => {
        patient.firewall = {
          check: async () => {
            throw new Error('there is no rule to_host for ms-k3x9ab-*');
          },
        };
      },
      ...([
        'Firewall',
        'FAIL',
        /no rule to_host/,
        /restart the sidecar.*microsaas-base:3/,
      ] as const),
    ],
    [
      'a disk that is full',
      () => {
        const message = '12 MB are free.';
        patient.disk.tooLittle = { reason: 'NotEnoughDisk', detail: [], message };
      },
      ...(['Disk', 'FAIL', /12 MB are free\./, /free at least a tenth/] as const),
    ],
  ];
  for (const [what, breaks, check, verdict, said, mend] of FAULTS)
    it(`${verdict === 'WARN' ? 'warns of' : 'fails for'} ${what}, names the remedy and goes on`, async () => {
      await breaks();
      const { checks, isWell } = await examine();
      expect([...checks.keys()]).to.deep.equal(NAMES);
      expect(checks.get(check)?.verdict).to.equal(verdict);
      expect(checks.get(check)?.said).to.match(said);
      expect(checks.get(check)?.mend).to.match(mend);
      expect(isWell).to.equal(verdict === 'WARN' && (await hasRoom()));
    });

  it('fails for a folder of data that is not there', async () => {
    const { wire } = patient;
    const elsewhere = aConfig(`${folder()}/nowhere`);
    const write = process.stdout.write;
    let text = '';
    process.stdout.write = (chunk) => {
      text += chunk;
      return true;
    };
    const isWell = await doctor(elsewhere, wire).finally(() => {
      process.stdout.write = write;
    });
    expect(isWell).to.equal(false);
    expect(text).to.match(/^FAIL {2}Disk: ENOENT/m);
  });

  it('says whether memory and processors of instances can be measured', async () => {
    const running = { running: true, up: true, httpPort: 0, hasOwnDatabase: false };
    patient.engine.list = async () => new Map([[1, { ...running, containers: ['odoo'] }]]);
    const found = async () => (await examine()).checks.get('Use of instances');
    expect(await found()).to.include({ verdict: 'WARN' });
    expect((await found())?.mend).to.match(/\/host\/sys\/fs\/cgroup/);
    patient.cgroups.of = async () => ({ memoryBytes: 1, cpuSeconds: null });
    expect(await found()).to.include({ verdict: 'ok', said: 'memory and processors are measured' });
  });

  it('says what the relay of the instances answers', async () => {
    patient.relay = { host: 'mail.example.com', port: 587 };
    patient.askRelay = async () => '220 mail.example.com ESMTP';
    const { checks } = await examine();
    expect(checks.get("The instances' mail")).to.include({
      verdict: 'ok',
      said: 'mail.example.com:587 answers: 220 mail.example.com ESMTP',
    });
  });

  const GB = 2 ** 30;
  it('says for how many more instances there is memory, by what those use that run', () => {
    expect(memoryFound(4 * GB, GB, [])).to.match(
      /^4096 MB free, enough for about 15 more .* 200 MB$/,
    );
    expect(memoryFound(4 * GB, GB, [GB / 4, (3 * GB) / 4])).to.match(/about 6 more .* 512 MB$/);
    expect(() => memoryFound(2 * GB, GB, [GB])).to.throw(Warning, /about 1 more/);
    expect(() => memoryFound(GB / 2, GB, [0])).to.throw(Warning, /about 0 more/);
  });

  it('takes a firewall that is switched off for the operator’s wish', async () => {
    patient.firewall = null;
    const { checks } = await examine();
    expect(checks.get('Firewall')).to.include({
      verdict: 'ok',
      said: 'switched off (egress.enforce)',
    });
  });

  it('does not call a runc old that Docker says nothing of', async () => {
    patient.docker.versions.runc = '';
    const { checks } = await examine();
    expect(checks.get("Docker's age")?.said).to.equal('engine 28.2.2, runc unknown');
  });

  it('prints the last line of what went wrong, and nothing that a terminal obeys', async () => {
    patient.databases.ping = async () => {
      throw new CommandError(['psql'], 2, `many words\nthe ${ESCAPE}[31mlast\n`);
    };
    const { checks } = await examine();
    expect(checks.get('Postgres')?.said).to.equal('the [31mlast');
  });

  for (const [version, expected] of [
    ['20.10.24+dfsg1', true],
    ['25.0.5', true],
    ['25.0.6', false],
    ['28.2.2', false],
    ['29.0.0-rc.1', false],
    ['unknown', false],
    ['', false],
  ] as const)
    it(`${expected ? 'warns of' : 'accepts'} Docker ${version || 'without a version'}`, () =>
      expect(isOlder(version, [25, 0, 6])).to.equal(expected));

  it('says how many instances have a proven backup, and warns where some have none', async () => {
    const { manager } = patient;
    const check = async () => (await examine()).checks.get('Backups');
    const { backups: whole } = patient;
    const id = manager.insert({ state: 'running', desiredState: 'running' });
    const other = manager.insert({ state: 'stopped', desiredState: 'stopped' });
    expect(await check()).to.deep.include({ verdict: 'ok', said: 'begin at 02:00, in /backups' });
    const backup: Backup = {
      ...{ snapshot: 'a'.repeat(64), date: new Date(), bytes: 5, isByHand: false },
      ...{ proof: 'data', proofDate: new Date(), reason: '', detail: '' },
    };
    manager.backups.set(id, [backup]);
    expect(await check()).to.deep.include({
      verdict: 'WARN',
      said: '1 of 2 proven within 26 hours, in /backups',
    });
    manager.backups.set(other, [backup]);
    expect(await check()).to.deep.include({
      verdict: 'ok',
      said: '2 of 2 proven within 26 hours, in /backups',
    });
    patient.backups = {
      isNightly: true,
      ofManager: { check: async () => {}, list: async () => [] },
      claim: { replaced: async () => null },
      store: { check: () => Promise.reject(new Error('no such image: microsaas-base:3')) },
    };
    expect(await check()).to.deep.include({
      verdict: 'FAIL',
      said: 'no such image: microsaas-base:3',
    });
    patient.backups = { ...whole, isNightly: false };
    expect(await check()).to.deep.include({
      verdict: 'WARN',
      said: 'switched off (backups.enabled): only the last one is made, at the end',
    });
  });

  it('says whether the manager itself is backed up, and warns where nobody does or its proof is old', async () => {
    const check = async () => (await examine()).checks.get("The manager's backups");
    let replaced: Error | null = null;
    const with_ = (known: Backup[], fault: Error | null = null) => {
      patient.backups = {
        isNightly: true,
        store: { check: async () => {} },
        ofManager: {
          check: () => (fault ? Promise.reject(fault) : Promise.resolve()),
          list: async () => known,
        },
        claim: { replaced: async () => replaced },
      };
    };
    const made = (date: Date, proof: Backup['proof']): Backup => ({
      ...{ snapshot: 'a'.repeat(64), date, bytes: 5, isByHand: false },
      ...{ proof, proofDate: null, reason: '', detail: '' },
    });
    with_([]);
    expect(await check()).to.deep.include({ verdict: 'ok', said: 'begin tonight' });
    with_([made(new Date(), 'data')]);
    expect(await check()).to.have.property('verdict', 'ok');
    with_([made(new Date(), 'failed')]);
    expect(await check()).to.deep.include({ verdict: 'WARN', said: 'none is proven' });
    with_([made(new Date(Date.now() - 27 * 3_600_000), 'data')]);
    expect(await check()).to.have.property('verdict', 'WARN');
    with_([], new TerminalError('ManagerOutOfReach', 'no container'));
    expect(await check()).to.deep.include({ verdict: 'WARN', said: 'no container' });
    with_([], new Error('Docker does not answer.'));
    expect(await check()).to.have.property('verdict', 'FAIL');
    replaced = new TerminalError('HostReplaced', 'another host works for this install');
    with_([made(new Date(), 'data')]);
    expect(await check()).to.have.property('said', 'another host works for this install');
  });

  describe('of a swarm', () => {
    const three = ['n1', 'n2', 'n3'].map((id) => aNode({ id, name: id }));
    const well = { problem: '', noNewPrivileges: true, hasSwap: false };
    const found = three.map(({ name }) => ({ ...well, name }));
    const swarmOf = (over: Partial<SwarmReport> = {}) => ({
      ...{ lost: LOST_HARDENING, nodes: async () => three, probe: async () => found, ...over },
    });

    it('finds three managers that all can run instances, and says what Swarm leaves out', async () => {
      patient.swarm = swarmOf();
      const { checks } = await examine();
      expect(checks.get('Swarm')).to.deep.include({
        verdict: 'ok',
        said: '3 nodes, 3 of them managers',
      });
      expect(checks.get('Nodes')?.said).to.match(/^n1, n2, n3 have the shared folder/);
      expect(checks.get('Firewall')).to.deep.include({ verdict: 'WARN' });
      expect(checks.get('Use of instances')?.said).to.match(/not measured on several hosts/);
      for (const { key } of LOST_HARDENING)
        expect(checks.get("Swarm's hardening")?.said).to.include(key);
    });

    const node = (over: Partial<(typeof found)[number]>) => ({ ...well, name: 'n1', ...over });
    const faults: ReadonlyArray<
      [what: string, over: Partial<SwarmReport>, name: string, verdict: string, says: RegExp]
    > = [
      [
        'two managers',
        { nodes: async () => three.slice(1) },
        'Swarm',
        'WARN',
        /2 of them managers/,
      ],
      [
        'a node that nobody hears of',
        { nodes: async () => [...three.slice(1), aNode({ name: 'n1', isReady: false })] },
        'Swarm',
        'FAIL',
        /nobody hears of n1/,
      ],
      [
        'a node with another folder',
        { probe: async () => [...found, node({ problem: 'not the same folder' })] },
        'Nodes',
        'FAIL',
        /n1: not the same folder/,
      ],
      [
        'a node where processes may gain rights',
        { probe: async () => [node({ noNewPrivileges: false })] },
        'Nodes',
        'FAIL',
        /no-new-privileges is not in force on n1/,
      ],
      [
        'a node with swap',
        { probe: async () => [node({ hasSwap: true })] },
        'Nodes',
        'WARN',
        /swap on n1/,
      ],
    ];
    for (const [what, over, name, verdict, says] of faults)
      it(`finds ${what}`, async () => {
        patient.swarm = swarmOf(over);
        const check = (await examine()).checks.get(name);
        expect(check?.verdict).to.equal(verdict);
        expect(check?.said).to.match(says);
      });
  });
});
