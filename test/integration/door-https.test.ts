import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import {
  createServer,
  type IncomingMessage,
  request as plainRequest,
  type RequestOptions,
  type Server,
} from 'node:http';
import { request as secureRequest } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { dockerCli } from '../../src/docker/docker-cli.ts';
import { CaddyDoor } from '../../src/door/door.ts';
import type { DoorRoute } from '../../src/interfaces.ts';
import { freePort } from '../../stack/free-port.ts';
import { images } from '../../stack/images.ts';
import { run } from '../../stack/run.ts';

const SOCKET = '/var/run/docker.sock';
const DOMAIN = 'door.test';
const MEBIBYTE = 1024 ** 2;

interface Seen {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly mebibytes?: number;
}

describe('the door over https with a wildcard of the operator’s, a real Caddy', function () {
  this.timeout(60_000);
  const install = `z${randomInt(36 ** 4, 36 ** 5 - 1).toString(36)}`;
  let folder: string;
  let authority: string;
  let httpPort: number;
  let httpsPort: number;
  let odoo: Server;
  let pages: Server;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'microsaas-door-https-'));
    authority = makeCertificates(folder);
    odoo = createServer((req, res) => {
      res.setHeader('Set-Cookie', ['session_id=abc; HttpOnly; Path=/', 'frontend_lang=en_US']);
      req.on('error', () => {});
      req.resume().on('end', () => res.end(JSON.stringify({ url: req.url, headers: req.headers })));
    }).listen(0, '127.0.0.1');
    await once(odoo, 'listening');
    const own = (odoo.address() as AddressInfo).port;
    httpPort = await freePort(18_700);
    httpsPort = await freePort(httpPort + 1);
    const dead = await freePort(httpsPort + 1);
    const door = new CaddyDoor({
      ...{ install, dataDir: folder, api: new DockerApi(SOCKET), docker: dockerCli(SOCKET) },
      settings: {
        ...{ image: images.caddy, domain: DOMAIN, manager: 'manager', managerPort: own },
        ...{ https: true, address: '127.0.0.1', httpPort, httpsPort, publishAddress: '127.0.0.1' },
        ...{ certificateFile: join(folder, 'wildcard.crt'), keyFile: join(folder, 'wildcard.key') },
        acme: { directory: 'https://acme.invalid/directory', email: '', rootFile: '' },
      },
    });
    pages = createServer((req, res) => {
      const host = req.headers['x-door-host'] ?? req.headers.host;
      res.writeHead(req.url === '/page' ? 404 : 200).end(`page for ${host}`);
    }).listen(await door.pagesSocket());
    await once(pages, 'listening');
    const route = (id: number, subdomain: string, port: number): DoorRoute => ({
      ...{ id, subdomain, formerSubdomains: [], domains: [] },
      ports: { http: port, longpolling: port },
    });
    const claimed = { ...route(3, 'other', dead), formerSubdomains: ['acme'] };
    await door.ensure([route(1, 'acme', own), route(2, 'dead', dead), claimed]);
  });
  after(async () => {
    await run('docker', ['rm', '--force', '--', `ms-${install}-door`]);
    for (const server of [odoo, pages]) {
      server?.close();
      server?.closeAllConnections();
    }
    await rm(folder, { recursive: true, force: true });
  });

  const ask = (label: string, path: string, sent: Sent = {}, isSecure = true) => {
    const host = `${label}.${DOMAIN}:${isSecure ? httpsPort : httpPort}`;
    const { method = 'GET', headers = {}, mebibytes = 0 } = sent;
    const place = { host: '127.0.0.1', path, method, agent: false };
    const options = { ...place, headers: { host, ...headers } };
    if (!isSecure) return answer(plainRequest, { ...options, port: httpPort }, mebibytes);
    const tls = { port: httpsPort, servername: `${label}.${DOMAIN}`, ca: authority };
    return answer(secureRequest, { ...options, ...tls }, mebibytes);
  };

  it('serves the certificate of the files, and says so to browsers: Secure cookie and HSTS', async () => {
    for (const label of ['acme', 'manager']) {
      const { headers, status, text } = await ask(label, '/web/login');
      expect(status, label).to.equal(200);
      expect(headers['set-cookie']).to.deep.equal([
        'session_id=abc; HttpOnly; Path=/; Secure',
        'frontend_lang=en_US',
      ]);
      expect(headers['strict-transport-security']).to.equal('max-age=31536000');
      expect(JSON.parse(text).headers['x-forwarded-proto']).to.equal('https');
    }
  });

  it('leads from http to https, except where a domain is proved', async () => {
    const { headers, status } = await ask('acme', '/web?a=1', { method: 'POST' }, false);
    expect(status).to.equal(308);
    expect(headers.location).to.equal(`https://acme.${DOMAIN}:${httpsPort}/web?a=1`);
    expect(headers).not.to.include.keys('strict-transport-security', 'set-cookie');
    const proof = await ask('nobody', '/.well-known/microsaas-domain', {}, false);
    expect(proof).to.deep.include({ status: 200, text: `page for nobody.${DOMAIN}:${httpPort}` });
  });

  it('redirects nobody to the https of a host that is nobody’s', async () => {
    const { headers, status, text } = await ask('nobody', '/web', {}, false);
    expect(headers).not.to.include.keys('location');
    expect({ status, text }).to.deep.equal({ status: 404, text: `page for nobody.${DOMAIN}` });
  });

  it('knows a host also in capitals', async () => {
    for (const label of ['ACME', 'Acme', 'aCmE', 'MANAGER']) {
      const { status, text } = await ask(label, '/');
      expect(status, label).to.equal(200);
      const host = `${label.toLowerCase()}.${DOMAIN}:${httpsPort}`;
      expect(JSON.parse(text).headers).to.include({ host, 'x-forwarded-host': host });
    }
    const plain = await ask('ACME', '/', {}, false);
    expect(plain.headers.location).to.equal(`https://acme.${DOMAIN}:${httpsPort}/`);
    expect((await ask('DEAD', '/')).text, 'where nobody listens').to.equal(
      `page for dead.${DOMAIN}`,
    );
  });

  it('says that a body is too large, and does not ask for it again', async () => {
    for (const label of ['acme', 'manager']) {
      const over = { method: 'POST', mebibytes: 257 };
      const { headers, status } = await ask(label, '/web/binary/upload_attachment', over);
      expect(status, label).to.equal(413);
      expect(headers).not.to.include.keys('retry-after');
    }
    const under = { method: 'POST', mebibytes: 200 };
    expect((await ask('acme', '/web/binary/upload_attachment', under)).status).to.equal(200);
  });

  it('refuses headers beyond 64 KiB', async () => {
    const headers = { 'x-large': 'a'.repeat(100_000) };
    expect((await ask('acme', '/', { headers })).status).to.equal(431);
  });

  it('does not wait for somebody who sends headers slowly', async () => {
    const socket = connect(httpPort, '127.0.0.1');
    await once(socket, 'connect');
    const began = Date.now();
    socket.write(`GET / HTTP/1.1\r\nHost: acme.${DOMAIN}\r\n`);
    await once(socket.resume(), 'close');
    expect(Date.now() - began).to.be.within(5_000, 20_000);
  });
});

/** @param mebibytes how large a body is sent, in parts, as long as somebody reads it */
function answer(
  request: typeof plainRequest | typeof secureRequest,
  options: RequestOptions,
  mebibytes: number,
): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const call = request(options, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('error', reject);
      const { headers, statusCode: status = 0 } = response;
      response.on('end', () => resolve({ status, headers, text }));
    });
    call.on('error', reject);
    const part = Buffer.alloc(MEBIBYTE);
    let left = mebibytes;
    const send = () => {
      while (left > 0) {
        left -= 1;
        if (!call.write(part)) return void call.once('drain', send);
      }
      call.end();
    };
    send();
  });
}

/** An authority of our own and its certificate for every name below the domain. @returns the authority's certificate */
function makeCertificates(folder: string): string {
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  const days = ['-days', '2'];
  openssl(
    'req',
    '-x509',
    ...key,
    ...days,
    '-subj',
    '/CN=test authority',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
  );
  openssl(
    'req',
    ...key,
    '-subj',
    '/CN=wildcard',
    '-keyout',
    'wildcard.key',
    '-out',
    'wildcard.csr',
  );
  writeFileSync(join(folder, 'names.ext'), `subjectAltName=DNS:*.${DOMAIN}\n`);
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', ...days];
  openssl(
    'x509',
    '-req',
    '-in',
    'wildcard.csr',
    ...signed,
    '-extfile',
    'names.ext',
    '-out',
    'wildcard.crt',
  );
  return readFileSync(join(folder, 'ca.crt'), 'utf8');
}
