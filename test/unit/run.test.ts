import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { pino } from 'pino';
import { Webhook } from 'standardwebhooks';
import type { Config } from '../../src/config.ts';
import { ConfigError, RetryableError } from '../../src/errors.ts';
import {
  lockExports,
  lockInstall,
  lockManagerBackups,
  readInstallId,
} from '../../src/install-id.ts';
import { run } from '../../src/run.ts';
import { assemble, type Observers, type Sidecar } from '../../src/wiring.ts';
import { FakeDatabases } from '../fakes/databases.ts';
import { FakeDocker } from '../fakes/docker.ts';
import { FakeDoor } from '../fakes/door.ts';
import { FakeEngine } from '../fakes/engine.ts';
import { OdooHttp } from '../fakes/odoo-http.ts';
import { aConfig } from '../support/a-config.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { ask } from './http/server-suite.ts';
import { INSTANCE_ROW, SUBSCRIPTION_ROW } from './manager/sample-rows.ts';

/** The lock on Postgres that spans hosts, as databases/ promises it. */
class FakeLock {
  isHeld = false;
  /** How often it was asked for. */
  asked = 0;
  /** Called at the release, to see what is still up then. */
  onRelease: () => Promise<void> = async () => {};
  lose: (error: Error) => void = () => {};

  take = async (_stop: AbortSignal, onLost: (error: Error) => void) => {
    this.isHeld = true;
    this.asked += 1;
    this.lose = onLost;
    return {
      release: async () => {
        await this.onRelease();
        this.isHeld = false;
      },
    };
  };
}

describe('the sidecar, from its start to its end', () => {
  let odoo: OdooHttp;
  let docker: FakeDocker;
  let engine: FakeEngine;
  let databases: FakeDatabases;
  /** Null: there is none. */
  let door: FakeDoor | null;
  let lock: FakeLock;
  let logged: Array<Record<string, unknown> & { readonly msg: string }>;
  let asked: AbortController;
  let running: Promise<void> | null;
  /** What Odoo answers beside what it always does, by method; thrown where it is an error. */
  let answers: Record<string, () => unknown>;

  // Hooks run in their order: nothing writes into the folder any more when that is removed.
  afterEach(async () => {
    asked.abort();
    await running?.catch(() => {});
    await odoo.stop();
  });
  const folder = temporaryFolder();

  beforeEach(async () => {
    odoo = await new OdooHttp().start();
    docker = new FakeDocker();
    engine = new FakeEngine();
    databases = new FakeDatabases(() => true);
    door = null;
    lock = new FakeLock();
    logged = [];
    asked = new AbortController();
    running = null;
    answers = {};
    const usual = managerWithoutCustomers();
    odoo.answer = ({ args, method }) => answers[method]?.() ?? usual(method, args);
  });

  const config = (over: Partial<Config> = {}) => {
    const config = aConfig(folder());
    const manager = { ...config.manager, url: odoo.url, apiKey: odoo.apiKey };
    return { ...config, manager, ...over };
  };
  /** The real wiring, with fakes in place of Docker and Postgres. */
  const wire = async (config: Config, observers?: Observers): Promise<Sidecar> => {
    const withLock = Object.assign(databases, { lockInstall: lock.take });
    const fakes = { api: docker.api, engine, databases: withLock };
    const pagesSocket = async () => join(folder(), 'pages.sock');
    const doors = door && { door: Object.assign(door, { pagesSocket }) };
    return { ...(await assemble(config, observers)), ...fakes, ...doors } as unknown as Sidecar;
  };
  /** Asks for a one-time link, signed as the addon does. */
  const askForLink = async (path: string, content: object) => {
    const body = JSON.stringify(content);
    const now = new Date();
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(config().webhookSecret).sign('msg_1', now, body),
    };
    const response = await fetch(`${origin()}${path}`, { method: 'POST', headers, body });
    return { status: response.status, text: await response.text() };
  };
  const start = (over?: Partial<Config>): Promise<void> => {
    const log = pino({ level: 'info' }, { write: (line) => void logged.push(JSON.parse(line)) });
    running = run(config(over), log, asked.signal, wire);
    running.catch(() => {}); // whoever waits for it hears of it
    return running;
  };
  const failureOf = async (over?: Partial<Config>) =>
    start(over).then(
      () => null,
      (thrown: unknown) => thrown,
    );
  const stop = async () => {
    asked.abort();
    await running;
  };

  const messages = () => logged.map(({ msg }) => msg);
  const called = () => odoo.calls.map(({ method }) => method);
  const templatesTold = () => {
    const sync = odoo.calls.find(({ method }) => method === 'microsaas_sync');
    return (sync?.args['templates'] ?? []) as ReadonlyArray<{ readonly code: string }>;
  };
  const until = async (what: string, holds: () => boolean | Promise<boolean>) => {
    for (const deadline = Date.now() + 9_000; !(await holds()); await sleep(5))
      if (Date.now() > deadline)
        throw new Error(`never: ${what}; logged: ${messages().join(', ')}`);
  };
  /** Where it listens; fails until it does. */
  const origin = () => {
    const up = logged.find(({ msg }) => msg === 'sidecar is up');
    const [{ port = 0 } = {}] = (up?.['listening'] ?? []) as Array<{ readonly port: number }>;
    return `http://127.0.0.1:${port}`;
  };
  const get = async (path: string) => {
    const response = await fetch(origin() + path).catch(() => null);
    const body = (await response?.json()) as Record<string, unknown> | undefined;
    return { status: response?.status ?? null, body: body ?? {} };
  };
  const isReady = async () => (await get('/readyz')).status === 200;

  it('is ready once all answer and Odoo knows the templates, and begins to work only then', async () => {
    let know = () => {};
    const known = new Promise<void>((resolve) => {
      know = resolve;
    });
    answers['microsaas_sync'] = async () => {
      await known;
      return true;
    };
    void start();
    await until('Odoo hears of the templates', () => called().includes('microsaas_sync'));
    expect(await get('/readyz')).to.deep.equal({
      status: 503,
      body: {
        odoo: 'answers, but the sidecar is still introducing itself',
        docker: true,
        postgres: true,
      },
    });
    expect((await get('/healthz')).status, 'it lives').to.equal(200);
    expect(called()).not.to.include.members(['microsaas_due']);
    know();
    await until('it is ready', isReady);
    expect((await get('/readyz')).body).to.include({ odoo: true, docker: true, postgres: true });
    await until('it works', () => called().includes('microsaas_due'));
    const codes = templatesTold().map(({ code }) => code);
    expect(codes).to.deep.equal(['odoo', 'odoo-own-db']);
  });

  it('offers no template of which no instance can run on several hosts', async () => {
    void start({ swarm: { sharedDir: folder(), sockets: [join(folder(), 'docker.sock')] } });
    await until('Odoo hears of the templates', () => called().includes('microsaas_sync'));
    expect(templatesTold().map(({ code }) => code)).to.deep.equal(['odoo']);
  });

  for (const [part, breaks] of [
    ['docker', () => Object.assign(docker, { isAway: true })],
    ['postgres', () => Object.assign(databases, { isAway: true })],
    ['odoo', () => Object.assign(odoo, { instead: unavailable })],
  ] as const)
    it(`is not ready while ${part} is away, and says why, whatever else is there`, async () => {
      void start();
      await until('it is ready', isReady);
      breaks();
      const { body, status } = await get('/readyz');
      expect(status).to.equal(503);
      expect(body[part]).to.be.a('string').and.not.equal('');
      expect(Object.values(body).filter((it) => it === true)).to.have.length(2);
    });

  it('is not ready for a manager’s database that is in doubt', async () => {
    await mkdir(join(folder(), 'data'), { recursive: true });
    databases.present.add(9);
    void start();
    await until('it has begun', () => called().includes('microsaas_distrust'));
    await until('Odoo hears of the templates', () => called().includes('microsaas_sync'));
    await until('it is in doubt', async () =>
      String((await get('/readyz')).body['odoo']).includes('older'),
    );
    expect((await get('/readyz')).status).to.equal(503);
  });

  it('waits for a manager that is away, and says so once', async function () {
    this.timeout(20_000); // between two greetings it waits two seconds
    let greetings = 0;
    odoo.instead = (request, response) => {
      greetings += 1;
      unavailable(request, response);
    };
    void start();
    await until('it greets again', () => greetings === 2);
    odoo.instead = null;
    await until('it greets once more', () => messages().includes('the manager answers'));
    expect(messages().filter((it) => it.startsWith('the manager is away'))).to.have.length(1);
  });

  it('ends at once and without an error where it is stopped while it waits for the manager', async () => {
    odoo.instead = unavailable;
    void start();
    await until('it waits', () => messages().includes('the manager is away; trying again'));
    await stop();
    expect(lock.isHeld).to.equal(false);
    expect((await get('/healthz')).status).to.equal(null);
  });

  it('refuses a manager that works with another sidecar, and leaves everything as it was', async () => {
    answers['microsaas_hello'] = () => ({ ...FACTS, install_id: 'other1' });
    const error = await failureOf();
    const install = (await readFile(join(folder(), 'data', 'install-id'), 'utf8')).trim();
    expect(error).to.be.instanceOf(ConfigError);
    expect((error as Error).message)
      .to.include(install)
      .and.include('other1');
    expect(new Set(called()), 'nothing is told or asked').to.deep.equal(
      new Set(['microsaas_hello']),
    );
    expect((await get('/healthz')).status).to.equal(null);
    expect(lock.isHeld).to.equal(false);
    (await lockInstall(install))();
  });

  it('does not give up on a manager that refuses the key: a person may mend it', async () => {
    odoo.apiKey = 'another';
    void start({ manager: { ...config().manager, apiKey: 'k'.repeat(40) } });
    await until('it waits', () => messages().includes('the manager is away; trying again'));
  });

  it('is the only one of its install on this host: the first goes on, the second never begins', async () => {
    void start();
    await until('it is ready', isReady);
    const first = running;
    const error = await failureOf();
    running = first;
    expect(error).to.be.instanceOf(ConfigError);
    expect((error as Error).message).to.include('another sidecar of the install');
    expect(lock.asked).to.equal(1);
    expect(messages().filter((it) => it === 'sidecar is up')).to.have.length(1);
    expect(await isReady()).to.equal(true);
  });

  it('begins nothing before it has the lock on Postgres', async () => {
    const away = new RetryableError('PostgresUnavailable', 'The database server does not answer.');
    lock.take = async () => {
      throw away;
    };
    expect(await failureOf()).to.equal(away);
    expect(called()).to.deep.equal([]);
    expect((await get('/healthz')).status).to.equal(null);
  });

  it('ends with the error when it loses the lock on Postgres: somebody else may act by then', async () => {
    void start();
    await until('it is ready', isReady);
    const lost = new Error('the lock is lost');
    lock.lose(lost);
    expect(await running?.catch((thrown) => thrown)).to.equal(lost);
    expect((await get('/healthz')).status).to.equal(null);
  });

  it('stops in order: nobody is heard any more, the work ends, and only then may another begin', async () => {
    const seen: string[] = [];
    const { install } = await assemble(config());
    lock.onRelease = async () => {
      const { status } = await get('/healthz');
      seen.push(status === null ? 'nobody is heard' : 'somebody is heard');
      seen.push(isWatching ? 'the controller works' : 'the controller has ended');
      seen.push(
        await lockInstall(install).then(
          () => 'unlocked',
          () => 'locked',
        ),
      );
    };
    let isWatching = false;
    engine.watch = async (_changed, signal) => {
      isWatching = true;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      await sleep(50);
      isWatching = false;
    };
    void start();
    await until('it is ready', isReady);
    expect(isWatching).to.equal(true);
    await stop();
    expect(seen).to.deep.equal(['nobody is heard', 'the controller has ended', 'locked']);
    expect(lock.isHeld).to.equal(false);
    (await lockInstall(install))();
  });

  it('removes customers’ data that a killed sidecar has left, and nothing that a command is at', async () => {
    const { backups, dataDir } = config();
    const left = [
      ...['work/7-restored', 'work/7-take', 'staging/9-restored', 'proof/pgdata'],
      ...['export/7-restored', 'export-proof/pgdata', 'manager-work/manager'],
    ].map((name) => join(dataDir, 'backups', name));
    const draft = join(dataDir, 'exports', `.7-${'a'.repeat(64)}.zip.${'b'.repeat(12)}.part`);
    const kept = [
      join(dataDir, 'backups', 'escrow.json'),
      join(dataDir, 'exports', `7-${'a'.repeat(64)}.zip`),
      join(dataDir, 'exports', '.mine.zip.abcdef.part'),
    ];
    const make = async () => {
      for (const path of left) await mkdir(path, { recursive: true });
      await mkdir(join(dataDir, 'exports'), { recursive: true });
      for (const path of [draft, ...kept]) await writeFile(path, 'theirs');
    };
    const there = () => [...left, draft, ...kept].filter((path) => existsSync(path));
    await make();
    const install = readInstallId(dataDir);
    const release = [await lockExports(install), await lockManagerBackups(install)];
    const over = { backups: { ...backups, enabled: true } };
    void start(over);
    await until('it is ready', isReady);
    await stop();
    expect(there()).to.deep.equal([...left.slice(4), ...kept]);
    for (const end of release) end();
    await make();
    asked = new AbortController();
    logged.length = 0;
    void start(over);
    await until('it is ready', isReady);
    expect(there()).to.deep.equal(kept);
  });

  it('goes on without a template that cannot be used, and says which it is', async () => {
    const templatesDir = join(folder(), 'templates');
    await cp(config().templatesDir, templatesDir, { recursive: true });
    await writeFile(join(templatesDir, 'odoo-own-db', 'template.yaml'), 'nothing: of use');
    void start({ templatesDir });
    await until('it is ready', isReady);
    const said = logged.find(({ msg }) => msg === 'template left out');
    expect(said).to.include({ template: 'odoo-own-db' });
    expect(templatesTold().map(({ code }) => code)).to.deep.equal(['odoo']);
  });

  it('begins though Docker is away: what is missed is found by a later look', async () => {
    docker.isAway = true;
    engine.isAway = true;
    void start();
    await until('Odoo hears of the templates', () => called().includes('microsaas_sync'));
    await until('it works', () => called().includes('microsaas_due'));
    expect(messages().join('; ')).to.match(/the host could not be/);
  });

  describe('asked for a link to log in', () => {
    /** @param row what Odoo says of the instance; null: nothing */
    async function linkFor(row: object | null, isFirst: boolean) {
      answers['microsaas_desired'] = () => (row === null ? [] : [{ ...INSTANCE_ROW, ...row }]);
      if (running === null) void start();
      await until('it is ready', isReady);
      const body = JSON.stringify({ instance: INSTANCE_ROW.id, is_first: isFirst });
      const at = new Date();
      const id = `msg_${at.getTime()}`;
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
        'webhook-signature': new Webhook(config().webhookSecret).sign(id, at, body),
      };
      const response = await fetch(`${origin()}/invitations`, { method: 'POST', headers, body });
      return { status: response.status, text: await response.text() };
    }
    const READY = { was_ready: true, http_port: 20_000, longpolling_port: 21_000 };

    it('makes one for an instance that Odoo says runs', async () => {
      const { status, text } = await linkFor(READY, true);
      expect(status).to.equal(200);
      expect(text).to.include(`https://${INSTANCE_ROW.id}.example.com/web/reset_password?token=1`);
    });

    it('makes none as the first where somebody has logged in, and another one where that is wished', async () => {
      databases.loggedIn.add(INSTANCE_ROW.id);
      expect((await linkFor(READY, true)).status).to.equal(410);
      expect((await linkFor(READY, false)).status).to.equal(200);
    });

    for (const [what, row] of [
      ['Odoo does not know', null],
      ['has never run', { was_ready: false }],
      ['is stopped', { ...READY, desired_state: 'stopped' }],
      ['is suspended', { ...READY, subscription: SUBSCRIPTION_ROW }],
      ['is removed', { ...READY, desired_state: 'removed' }],
    ] as const)
      it(`makes none for an instance that ${what}`, async () => {
        expect((await linkFor(row, false)).status).to.equal(404);
        expect(databases.invitations).to.equal(0);
      });
  });

  describe('a link to a download', () => {
    const snapshot = 'ab'.repeat(32);
    const READY = { was_ready: true, http_port: 20_000, longpolling_port: 21_000 };
    /** Asks for a link as the addon does. @param row what of the instance differs from INSTANCE_ROW; null: there is none */
    async function linkTo(row: object | null) {
      answers['microsaas_desired'] = () => (row ? [{ ...INSTANCE_ROW, ...row }] : []);
      const folderOfExports = join(folder(), 'data', 'exports');
      await mkdir(folderOfExports, { recursive: true });
      await writeFile(join(folderOfExports, `${INSTANCE_ROW.id}-${snapshot}.zip`), 'the data');
      const { backups } = config();
      void start({ backups: { ...backups, enabled: true } });
      await until('it is ready', isReady);
      return askForLink('/downloads', { instance: INSTANCE_ROW.id, snapshot });
    }

    for (const [what, row] of [
      ['runs', READY],
      ['is stopped', { ...READY, desired_state: 'stopped' }],
      ['is suspended', { ...READY, subscription: SUBSCRIPTION_ROW }],
    ] as const)
      it(`leads to the data of an instance that ${what}; without a door, at the sidecar itself`, async () => {
        const { status, text } = await linkTo(row);
        expect(status).to.equal(200);
        const { url } = JSON.parse(text) as { url: string };
        expect(url.startsWith(`${origin()}/`)).to.equal(true);
        expect(await (await fetch(url)).text()).to.equal('the data');
        expect((await fetch(url)).status).to.equal(410);
        expect(JSON.stringify(logged)).not.to.include(url.split('token=')[1]);
      });

    for (const [what, row] of [
      ['Odoo does not know', null],
      ['is removed', { ...READY, desired_state: 'removed' }],
    ] as const)
      it(`is none for an instance that ${what}`, async () => {
        expect((await linkTo(row)).status).to.equal(404);
      });

    it('is none where no browser would reach it', async () => {
      engine.url = () => 'http://203.0.113.5:20000';
      expect((await linkTo(READY)).status).to.equal(404);
    });
  });

  describe('a link that logs in', () => {
    const READY = { was_ready: true, http_port: 20_000, longpolling_port: 21_000 };
    const LOGIN = 'ana@example.com';
    const ROUTE_ROW = {
      ...{ id: INSTANCE_ROW.id, subdomain: 'acme', former_subdomains: [], domains: [] },
      ...{ http_port: 20_000, longpolling_port: 21_000, is_copy: false },
    };
    /** Opens it as the door passes a browser's request on. */
    const open = async (url: string) => {
      const { pathname, search } = new URL(url);
      await until('the door has its routes', () => door?.routes != null);
      const { headers, status } = await ask({
        socketPath: join(folder(), 'pages.sock'),
        path: pathname + search,
        headers: { host: 'acme.example.com', 'x-forwarded-for': '203.0.113.9' },
      });
      return { status, location: headers.location, cookie: headers['set-cookie']?.[0] };
    };
    /** Asks for a link as the addon does. @param row what of the instance differs from INSTANCE_ROW; null: there is none */
    async function linkFor(row: object | null, hasDoor = true, endsAt: number | null = null) {
      answers['microsaas_desired'] = () => (row ? [{ ...INSTANCE_ROW, ...row }] : []);
      answers['microsaas_routes'] = () => [ROUTE_ROW];
      if (hasDoor) door = new FakeDoor();
      databases.users.add(LOGIN);
      void start({ door: { ...config().door, domain: hasDoor ? 'example.com' : '' } });
      await until('it is ready', isReady);
      return askForLink('/logins', { instance: INSTANCE_ROW.id, login: LOGIN, ends_at: endsAt });
    }

    it('leads to the instance’s own address, and nobody is logged in before it is used', async () => {
      const { status, text } = await linkFor(READY);
      expect(status).to.equal(200);
      const { url } = JSON.parse(text) as { url: string };
      expect(url).to.match(/^http:\/\/[^/]+:20000\/\.well-known\/microsaas-login\?token=/);
      expect(engine.admitted).to.deep.equal([]);
      const cookie = `session_id=session-of-${LOGIN}; HttpOnly; Path=/`;
      expect(await open(url)).to.deep.equal({ status: 303, location: '/odoo', cookie });
      expect(engine.admitted).to.deep.equal([
        {
          id: INSTANCE_ROW.id,
          sid: `session-of-${LOGIN}`,
          browser: { 'x-forwarded-for': '203.0.113.9' },
        },
      ]);
      expect((await open(url)).status).to.equal(410);
      expect(JSON.stringify(logged)).not.to.include(url.split('token=')[1]);
      expect(JSON.stringify(logged)).not.to.include(`session-of-${LOGIN}`);
    });

    it('logs nobody in whose instance was stopped meanwhile, and leads them to its login page', async () => {
      const { text } = await linkFor(READY);
      answers['microsaas_desired'] = () => [
        { ...INSTANCE_ROW, ...READY, desired_state: 'stopped' },
      ];
      const refused = { status: 303, location: '/web/login', cookie: undefined };
      expect(await open((JSON.parse(text) as { url: string }).url)).to.deep.equal(refused);
      expect(engine.admitted).to.deep.equal([]);
    });

    for (const [what, support_until, location] of [
      ['lets support in while their consent holds', INSTANCE_ROW.now + 1, '/odoo'],
      ['lets support in no more once their consent is taken back', 0, '/web/login'],
      ['lets support in no more once their consent is over', INSTANCE_ROW.now, '/web/login'],
    ] as const)
      it(what, async () => {
        const endsAt = Math.floor(INSTANCE_ROW.now) + 3600;
        const { text } = await linkFor({ ...READY, support_until: endsAt }, true, endsAt);
        answers['microsaas_desired'] = () => [{ ...INSTANCE_ROW, ...READY, support_until }];
        const answer = await open((JSON.parse(text) as { url: string }).url);
        expect(answer).to.include({ status: 303, location });
        expect(engine.admitted).to.have.length(location === '/odoo' ? 1 : 0);
      });

    for (const [what, row] of [
      ['Odoo does not know', null],
      ['has never run', { was_ready: false }],
      ['is stopped', { ...READY, desired_state: 'stopped' }],
      ['is suspended', { ...READY, subscription: SUBSCRIPTION_ROW }],
      ['is removed', { ...READY, desired_state: 'removed' }],
    ] as const)
      it(`is none for an instance that ${what}`, async () => {
        expect((await linkFor(row)).status).to.equal(404);
      });

    it('is none without a door: the manager may have the same host, and with it the same cookie', async () => {
      expect((await linkFor(READY, false)).status).to.equal(404);
    });

    it('is none for whom that Odoo does not let in by a password alone', async () => {
      databases.users.add = () => databases.users;
      expect((await linkFor(READY)).status).to.equal(404);
    });
  });

  it('names the Docker network through which the manager should reach it where there is none', async () => {
    const http = { host: '127.0.0.1', port: 0, managerNetwork: 'odoo_default' };
    const error = await failureOf({ http });
    expect(error).to.be.instanceOf(ConfigError);
    expect((error as Error).message).to.match(/http\.managerNetwork.*odoo_default/);
    expect(called()).to.deep.equal([]);
    expect(existsSync(join(folder(), 'data', 'install-id'))).to.equal(true);
  });
});

const FACTS = {
  addon_version: '19.0.1.0.0',
  http_ports: [20_000, 20_099],
  longpolling_ports: [21_000, 21_099],
  database_uuid: '0a1b2c3d-0000-4000-8000-000000000001',
  checkpoint: 1,
  highest_instance: 0,
  has_mail_server: true,
  has_company_email: true,
};

/** What a manager without customers answers. Its checkpoints only grow. */
function managerWithoutCustomers() {
  let { checkpoint } = FACTS;
  return (method: string, args: Record<string, unknown>): unknown => {
    switch (method) {
      case 'microsaas_hello':
        return { ...FACTS, checkpoint, install_id: args['install_id'] };
      case 'microsaas_checkpoint':
        checkpoint += 1;
        return checkpoint;
      case 'microsaas_sync':
      case 'microsaas_distrust':
        return true;
      default:
        return [];
    }
  };
}

/** As a proxy answers whose Odoo is down. */
function unavailable(_: unknown, response: ServerResponse): void {
  response.writeHead(502).end('<html>Bad Gateway</html>');
}
