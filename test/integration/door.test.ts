import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { dockerCli } from '../../src/docker/docker-cli.ts';
import { CaddyDoor, type CaddyDoorOptions } from '../../src/door/door.ts';
import { type PagesServer, servePages, type Visit } from '../../src/http/pages.ts';
import type { DoorRoute } from '../../src/interfaces.ts';
import { freePort } from '../../stack/free-port.ts';
import { images } from '../../stack/images.ts';
import { run } from '../../stack/run.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { ask as askServer } from '../unit/http/server-suite.ts';

const SOCKET = '/var/run/docker.sock';
/** Where Caddy's admin API is unless it is told otherwise. */
const ADMIN_PORT = 2019;
const MEGABYTES = 3 * 1024 * 1024;

/** What an instance's Odoo was sent: the tests compare it with what the visitor sent. */
interface Echo {
  readonly url: string;
  readonly method: string;
  readonly bytes: number;
  readonly headers: IncomingMessage['headers'];
}

describe('the door, a real Caddy', function () {
  this.timeout(60_000);
  let folder: string;
  const install = `z${randomInt(36 ** 4, 36 ** 5 - 1).toString(36)}`;
  const container = `ms-${install}-door`;
  let port: number;
  let deadPort: number;
  let odoo: Server;
  let pages: PagesServer;
  let door: CaddyDoor;
  let routes: DoorRoute[];
  let visits: Visit[];
  let takes: () => Promise<boolean>;
  const sockets = new Set<Socket>();

  const options = (over: Partial<CaddyDoorOptions['settings']> = {}): CaddyDoorOptions => ({
    install,
    dataDir: folder,
    api: new DockerApi(SOCKET),
    docker: dockerCli(SOCKET),
    settings: {
      ...{ image: images.caddy, domain: 'localhost', manager: 'manager' },
      managerPort: (odoo.address() as AddressInfo).port,
      ...{ https: false, address: '127.0.0.1', httpPort: port, httpsPort: port },
      ...{ certificateFile: '', keyFile: '', publishAddress: '127.0.0.1' },
      acme: { directory: 'https://acme.invalid/directory', email: '', rootFile: '' },
      ...over,
    },
  });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'microsaas-door-'));
    odoo = createServer((req, res) => {
      let bytes = 0;
      req.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      req.on('end', () => {
        const { headers, method, url } = req;
        res.setHeader('Set-Cookie', 'session_id=abc; HttpOnly; Path=/');
        res.end(JSON.stringify({ url, method, bytes, headers }));
      });
    });
    odoo.on('upgrade', (_req, socket) => {
      sockets.add(socket as Socket);
      socket.on('error', () => {});
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      );
      socket.on('data', (data) => socket.write(data));
    });
    odoo.listen(0, '127.0.0.1');
    await once(odoo, 'listening');
    port = await freePort(18_100);
    deadPort = await freePort(port + 1);
    const own = (odoo.address() as AddressInfo).port;
    const route = (id: number, subdomain: string, http: number | null): DoorRoute => ({
      ...{ id, subdomain, formerSubdomains: [], domains: [] },
      ports: http === null ? null : { http, longpolling: http },
    });
    routes = [
      { ...route(1, 'acme', own), formerSubdomains: ['old'] },
      route(2, 'dead', deadPort),
      route(3, 'preparing', null),
      { ...route(4, 'acme-staging', own), isCopy: true },
    ];
    door = new CaddyDoor(options());
    const ids: Record<string, number> = {
      acme: 1,
      old: 1,
      dead: 2,
      preparing: 3,
      'acme-staging': 4,
    };
    pages = await servePages(await door.pagesSocket(), {
      instanceAt: (host) => ids[host.replace('.localhost', '')] ?? null,
      domainToken: (host) => `token of ${host}`,
      takes: (visit) => {
        visits.push(visit);
        return takes();
      },
      page: async (host, id) => ({
        ...{ status: id === 0 ? 404 : 503, retryAfter: 3, lang: 'en_US', title: `Page of ${host}` },
        ...{ lines: [], action: null, secondAction: null, company: 'Hosting', logoUrl: '' },
      }),
      download: async (req, res) => {
        if (!req.url?.includes('cut')) return void res.end(`download ${req.url}`);
        // As where the sidecar is killed meanwhile.
        res.writeHead(200, { 'Content-Length': 9 }).write('half', () => res.destroy());
      },
      logIn: async (req, res, instance) =>
        void res.end(`${instance} ${req.headers['x-forwarded-host']} ${req.url}`),
      log: pino({ level: 'silent' }),
    });
    await door.ensure(routes);
  });
  beforeEach(() => {
    visits = [];
    takes = async () => false;
  });
  after(async () => {
    await run('docker', ['rm', '--force', '--', container]);
    await pages?.close();
    for (const socket of sockets) socket.destroy();
    odoo?.close();
    odoo?.closeAllConnections();
    await rm(folder, { recursive: true, force: true });
  });

  const ask = (
    label: string,
    path: string,
    more: { method?: string; headers?: Record<string, string>; body?: Buffer } = {},
  ) => {
    const { method = 'GET', headers = {}, body } = more;
    const host = label.includes('.') ? label : `${label}.localhost:${port}`;
    return askServer({ port, path, method, headers: { host, ...headers } }, body);
  };
  const refused = async (taken: number) => {
    const [error] = await once(connect(taken, '127.0.0.1'), 'error');
    expect((error as NodeJS.ErrnoException).code, `port ${taken}`).to.equal('ECONNREFUSED');
  };
  /** The status of a request whose target is sent as it is. */
  const statusOfTarget = async (target: string): Promise<number> => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`GET ${target} HTTP/1.1\r\nHost: acme.localhost\r\nConnection: close\r\n\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return Number(answer.toString().split(' ')[1]);
  };
  const echo = async (...args: Parameters<typeof ask>): Promise<Echo> =>
    JSON.parse((await ask(...args)).text);

  it('passes a request on to the instance of its host, and says who asks', async () => {
    const seen = await echo('acme', '/web/login?db=x');
    expect(seen).to.include({ url: '/web/login?db=x', method: 'GET' });
    expect(seen.headers).to.include({
      host: `acme.localhost:${port}`,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': `acme.localhost:${port}`,
      'x-forwarded-proto': 'http',
    });
  });

  it('tells search engines to leave a staging copy out, and no other', async () => {
    const robots = async (label: string) =>
      (await ask(label, '/web/login')).headers['x-robots-tag'];
    expect(await robots('acme-staging')).to.equal('noindex, nofollow');
    for (const label of ['acme', 'manager']) expect(await robots(label), label).to.equal(undefined);
  });

  it('believes nobody who says to be somebody else', async () => {
    const headers = {
      ...{ 'x-forwarded-for': '203.0.113.9', 'x-forwarded-host': 'evil.example.com' },
      ...{ 'x-forwarded-proto': 'https', 'x-door-host': 'acme.localhost', 'x-door-refused': 'yes' },
    };
    const seen = await echo('acme', '/', { headers });
    expect(seen.headers).to.include({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': `acme.localhost:${port}`,
      'x-forwarded-proto': 'http',
    });
    expect(Object.keys(seen.headers).filter((name) => name.startsWith('x-door'))).to.deep.equal([]);
    expect((await ask('nobody', '/', { headers })).text).to.include('Page of nobody.localhost');
  });

  it('has the manager behind its own name', async () => {
    expect(await echo('manager', '/shop')).to.include({ url: '/shop' });
  });

  it('lets nobody manage databases, however the path is written', async () => {
    const others = [
      ...['/WEB/DATABASE/drop', '/xmlrpc/db', '/xmlrpc/2/db', '/en/web/database/backup'],
      ...['/es_ES/web/database/manager', '/en/xmlrpc/db'],
    ];
    const paths = ['/web/database/manager', '/web/%64atabase/selector', '/web//database/list'];
    for (const path of [...paths, ...others])
      for (const label of ['acme', 'manager'])
        expect((await ask(label, path)).status, `${label} ${path}`).to.equal(404);
    expect((await ask('acme', '/xmlrpc/2/common')).status).to.equal(200);
    // A target that is no path at all, which Odoo would take for one.
    for (const target of ['x:web/database/manager', 'http:web/database/manager'])
      expect(await statusOfTarget(target), target).to.equal(400);
  });

  it('takes a host in capitals or with a closing dot for the same host', async () => {
    for (const host of ['ACME.localhost', 'acme.localhost.', `Acme.Localhost.:${port}`]) {
      const seen = await echo(host, '/web');
      expect(String(seen.headers['x-forwarded-host']), host).to.match(/^acme\.localhost(:\d+)?$/);
    }
    expect((await ask('MANAGER.localhost.', '/shop')).status).to.equal(200);
    expect((await ask('old.localhost.', '/web')).headers.location).to.match(/^http:\/\/acme\./);
  });

  it('redirects a former name for good, but programs that call it go on', async () => {
    const { headers, status } = await ask('old', '/web?a=1', { method: 'POST' });
    expect(status).to.equal(308);
    expect(headers.location).to.equal(`http://acme.localhost:${port}/web?a=1`);
    expect(await echo('old', '/xmlrpc/2/common', { method: 'POST' })).to.include({
      url: '/xmlrpc/2/common',
    });
  });

  it('shows the sidecar’s page for a host that is nobody’s and for one without ports', async () => {
    for (const host of ['nobody', '127.0.0.1', 'www.example.com', 'localhost']) {
      const answer = await ask(host, '/web');
      expect(answer.status, host).to.equal(404);
    }
    expect((await ask('preparing', '/web')).status).to.equal(503);
    expect(visits, 'no instance could take these').to.deep.equal([]);
  });

  it('shows the sidecar’s page where nobody listens, and tells it what was asked for', async () => {
    const answer = await ask('dead', '/web/login?x=1');
    expect(answer.status).to.equal(503);
    expect(answer.headers['retry-after']).to.equal('3');
    expect(answer.text).to.include('Page of dead.localhost');
    expect(visits).to.deep.equal([{ id: 2, method: 'GET', uri: '/web/login?x=1' }]);
  });

  it('bothers the sidecar with no websocket of an open tab', async () => {
    expect((await ask('dead', '/websocket?version=1')).status).to.equal(503);
    expect(visits).to.deep.equal([]);
  });

  it('gives an instance that answers by then the whole request, its body included', async () => {
    const late = createServer((req, res) => {
      let bytes = 0;
      req.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      req.on('end', () => res.end(JSON.stringify({ url: req.url, method: req.method, bytes })));
    });
    takes = async () => {
      late.listen(deadPort, '127.0.0.1');
      await once(late, 'listening');
      return true;
    };
    const body = Buffer.alloc(MEGABYTES, 'x');
    const seen = await echo('dead', '/web/dataset?a=b', { method: 'POST', body });
    late.close();
    late.closeAllConnections();
    expect(seen).to.deep.equal({ url: '/web/dataset?a=b', method: 'POST', bytes: MEGABYTES });
    expect(visits).to.deep.equal([{ id: 2, method: 'POST', uri: '/web/dataset?a=b' }]);
  });

  it('lets an instance that has just woken wait for no body that comes slowly', async () => {
    const late = createServer((req, res) => {
      req.resume().on('end', () => res.end(req.headers['content-length']));
    });
    const socket = connect(port, '127.0.0.1');
    let arrived = 0;
    late.on('connection', () => {
      arrived += 1;
    });
    const woken = new Promise<void>((resolve) => {
      takes = async () => {
        late.listen(deadPort, '127.0.0.1');
        await once(late, 'listening');
        resolve();
        return true;
      };
    });
    const head = `POST /web HTTP/1.1\r\nHost: dead.localhost\r\nConnection: close\r\nContent-Length: 10\r\n\r\n`;
    await once(socket, 'connect');
    socket.write(head);
    await woken;
    for (const byte of '123456789') {
      socket.write(byte);
      // Another visitor goes the whole way meanwhile.
      expect((await ask('acme', '/')).status).to.equal(200);
      expect(arrived).to.equal(0);
    }
    socket.write('0');
    const answer = (await socket.toArray()).join('');
    late.close();
    late.closeAllConnections();
    expect(answer)
      .to.match(/^HTTP\/1\.1 200 /)
      .and.match(/10\r\n0\r\n|\r\n10$/);
    expect(arrived).to.equal(1);
  });

  it('proves a domain, whosever it is, by what the sidecar says of it', async () => {
    const { status, text } = await ask('www.acme.com', '/.well-known/microsaas-domain');
    expect({ status, text }).to.deep.equal({ status: 200, text: 'token of www.acme.com' });
  });

  it('leaves downloads to the sidecar on every name, and keeps their tokens out of its logs', async () => {
    const path = '/.well-known/microsaas-download?token=';
    for (const name of ['acme', 'dead', 'nobody'])
      expect((await ask(name, `${path}secret-1`)).text).to.equal(`download ${path}secret-1`);
    const cut = await ask('acme', `${path}secret-2-cut`).then(
      () => 'whole',
      () => 'cut',
    );
    expect(cut).to.equal('cut');
    const accessLog = join(folder, 'door', 'run', 'access.log');
    await eventually(async () => {
      const requests = await readFile(accessLog, 'utf8');
      expect(requests.split('microsaas-download').length).to.be.greaterThan(4);
      expect(requests).not.to.include('secret-');
    }, 10);
    const errors = await run('docker', ['logs', '--', container], { both: true });
    expect(errors).to.include('microsaas-download').and.not.to.include('secret-');
  });

  it('leaves logins to the sidecar, which learns at whose address, and keeps their tokens out of its log', async () => {
    const path = '/.well-known/microsaas-login?token=secret-3';
    const headers = { 'x-forwarded-host': 'another.example.com' };
    const { text } = await ask('acme', path, { headers });
    expect(text).to.match(/^1 acme\.localhost(:\d+)? /);
    const accessLog = join(folder, 'door', 'run', 'access.log');
    await eventually(async () => {
      const requests = await readFile(accessLog, 'utf8');
      expect(requests).to.include('microsaas-login').and.not.to.include('secret-');
    }, 10);
  });

  it('keeps websockets open while other routes are loaded', async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      `GET /websocket HTTP/1.1\r\nHost: acme.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    const [greeting] = (await once(socket, 'data')) as [Buffer];
    expect(greeting.toString()).to.match(/^HTTP\/1\.1 101 /);
    const [first] = routes as [DoorRoute];
    await door.ensure([...routes, { ...first, id: 9, subdomain: 'another', formerSubdomains: [] }]);
    expect((await ask('another', '/')).status).to.equal(200);
    socket.write('still there?');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).to.equal('still there?');
    socket.destroy();
    await door.ensure(routes);
    expect((await ask('another', '/')).status).to.equal(404);
  });

  it('is made again when it was killed, removed or lost its configuration', async () => {
    const breaks: Record<string, () => Promise<unknown>> = {
      killed: () => run('docker', ['kill', '--', container]),
      'with a configuration that was cut short': async () => {
        await run('docker', ['rm', '--force', '--', container]);
        const saved = join(folder, 'door', 'data', 'config', 'caddy', 'autosave.json');
        await writeFile(saved, (await readFile(saved, 'utf8')).slice(0, 200));
      },
      removed: () => run('docker', ['rm', '--force', '--', container]),
      emptied: async () => {
        await run('docker', ['rm', '--force', '--', container]);
        await rm(join(folder, 'door', 'data', 'config'), { recursive: true, force: true });
      },
    };
    for (const [name, breakIt] of Object.entries(breaks)) {
      await breakIt();
      await door.ensure(routes);
      expect((await ask('acme', '/')).status, name).to.equal(200);
    }
  });

  it('is made again at the first look when it has been stopped where it was, and hangs', async () => {
    await run('docker', ['kill', '--signal=STOP', '--', container]);
    // While the manager is away, all that is known is what the door had.
    await door.ensureRunning();
    expect((await ask('acme', '/')).status).to.equal(200);
  });

  it('is told everything again when its configuration was wiped, and opens no port for that', async () => {
    const socketPath = join(folder, 'door', 'run', 'admin.sock');
    const wipe = request({ socketPath, method: 'DELETE', path: '/config/', headers: { host: '' } });
    const [answer] = (await once(wipe.end(), 'response')) as [IncomingMessage];
    expect(answer.statusCode).to.equal(200);
    answer.resume();
    await refused(port);
    await refused(ADMIN_PORT);
    await door.ensure(routes);
    expect((await ask('acme', '/')).status).to.equal(200);
  });

  it('serves what it served when it is started without the sidecar', async () => {
    await run('docker', ['restart', '--time', '1', '--', container]);
    await eventually(async () => expect((await ask('acme', '/')).status).to.equal(200), 10);
  });

  it('tells at once when it has ended', async () => {
    const stop = new AbortController();
    let ended = 0;
    const watching = door.watch(() => {
      ended += 1;
    }, stop.signal);
    await eventually(async () => expect(ended, 'asked once when it begins').to.equal(1), 10);
    await run('docker', ['kill', '--', container]);
    await eventually(async () => expect(ended).to.be.greaterThan(1), 10);
    stop.abort();
    await watching;
    await door.ensure(routes);
  });

  it('says why when its port is another’s', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const taken = (other.address() as AddressInfo).port;
    const error = await new CaddyDoor(options({ httpPort: taken })).ensure(routes).then(
      () => null,
      (thrown: Error) => thrown,
    );
    other.close();
    expect(error?.message).to.include('address already in use').and.to.include(String(taken));
    expect((await ask('acme', '/')).status, 'what was served is served on').to.equal(200);
  });

  it('is confined: read-only, one capability, no admin port', async () => {
    const [found] = JSON.parse(await run('docker', ['inspect', '--', container]));
    expect(found.HostConfig).to.deep.include({
      ...{ ReadonlyRootfs: true, Privileged: false, CapDrop: ['ALL'] },
      SecurityOpt: ['no-new-privileges'],
    });
    expect(found.HostConfig.CapAdd.map((it: string) => it.replace(/^CAP_/, ''))).to.deep.equal([
      'NET_BIND_SERVICE',
    ]);
    await refused(ADMIN_PORT);
  });
});
