import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request as plainly, type Server } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pino } from 'pino';
import { DoorRoutes } from '../../src/controller/door-routes.ts';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { dockerCli } from '../../src/docker/docker-cli.ts';
import { StoredCertificates } from '../../src/door/certificates.ts';
import { CaddyDoor } from '../../src/door/door.ts';
import { DomainVerifier } from '../../src/door/verify-domain.ts';
import { servePages } from '../../src/http/pages.ts';
import { UNAVAILABLE } from '../../src/http/state-page.ts';
import type { DoorRoute } from '../../src/interfaces.ts';
import { images } from '../../stack/images.ts';
import { run } from '../../stack/run.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { FakeDns } from '../fakes/dns.ts';
import { AcmeAuthority } from '../support/acme-authority.ts';

const SOCKET = '/var/run/docker.sock';

/** Addresses of their own, so that the ports are the real ones: an authority validates on 80 and 443 alone. */
const network = `127.${randomInt(64, 127)}.${randomInt(1, 254)}`;
const DOOR = `${network}.2`;
const AUTHORITY = `${network}.3`;
const NAME_SERVER = `${network}.4`;

const OWN = 'www.acme.test';
const BARE = 'acme.test';
const WILDCARD = 'shop.former-customer.test';
const SUBDOMAIN = 'acme.host.test';
const MANAGER = 'manager.host.test';
const FOREIGN = 'foreign.test';
const REFUSED = 'refused.test';

describe("a customer's own domain, with a real authority", function () {
  this.timeout(120_000);
  const install = `z${randomInt(36 ** 4, 36 ** 5 - 1).toString(36)}`;
  const folder = mkdtempSync(join(tmpdir(), 'ms-domains-'));
  const container = `ms-${install}-door`;
  const dns = new FakeDns();
  let authority: AcmeAuthority;
  let odoo: Server | undefined;
  let odooPort: number;
  let pages: Awaited<ReturnType<typeof servePages>> | undefined;
  let door: CaddyDoor;
  let verifier: DomainVerifier;
  const routes = new DoorRoutes('host.test', () => {});
  const certificates = new StoredCertificates({
    dataDir: join(folder, 'door', 'data'),
    ...{ given: null, always: [MANAGER] },
  });

  const domain = (name: string, isVerified: boolean, token = `token-of-${name}`) => ({
    ...{ id: name.length, name, isVerified, hasCertificate: isVerified, token },
  });
  const open = async (...domains: DoorRoute['domains']) => {
    const ports = { http: odooPort, longpolling: odooPort };
    const route = { id: 7, subdomain: 'acme', formerSubdomains: [], domains, ports };
    routes.replace([route]);
    await door.ensure([route]);
  };
  const verify = (name: string, cnames = [SUBDOMAIN]) =>
    verifier.verify({ ...domain(name, false), cnames });

  /** What a browser gets that trusts the authority. @throws where the chain or the name is wrong */
  const get = (host: string) =>
    new Promise<{ readonly status: number; readonly body: string }>((resolve, reject) => {
      const ca = readFileSync(authority.rootFile);
      const where = { host: DOOR, servername: host, ca, agent: false, path: '/web/login' };
      const asked = request({ ...where, headers: { Host: host }, timeout: 10_000 }, (answer) => {
        let body = '';
        answer.on('data', (chunk) => {
          body += chunk;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
      });
      asked.on('timeout', () => asked.destroy(new Error('no answer')));
      asked.on('error', reject).end();
    });
  const served = (host: string) =>
    eventually(async () => {
      expect(await get(host)).to.deep.equal({ status: 200, body: `Odoo for ${host}` });
    }, 60);
  /** Where a browser is sent that asks by plain http. */
  const plain = (host: string) =>
    new Promise<string | undefined>((resolve, reject) => {
      const where = { host: DOOR, path: '/web/login', agent: false, headers: { Host: host } };
      plainly(where, (answer) => {
        answer.resume();
        resolve(answer.headers.location);
      })
        .on('error', reject)
        .end();
    });
  /** Resolves with the reason why there is no connection. */
  const refusal = (host: string) =>
    get(host).then(
      ({ status }) => `answered ${status}`,
      (error: Error) => error.message,
    );

  before(async () => {
    const resolver = await dns.listen(NAME_SERVER);
    const names = [OWN, BARE, SUBDOMAIN, MANAGER, FOREIGN];
    for (const name of [...names, WILDCARD]) dns.names.set(name, { a: [DOOR] });
    for (const name of [OWN, FOREIGN]) dns.names.set(name, { cname: SUBDOMAIN, a: [DOOR] });
    dns.names.set(`_microsaas.${BARE}`, { txt: [`token-of-${BARE}`] });
    const hosts = new Map(names.map((name) => [name, DOOR]));
    const place = { name: `ms-${install}-authority`, folder: join(folder, 'authority') };
    authority = new AcmeAuthority({ ...place, address: AUTHORITY, port: 9_443, hosts });
    await authority.start();
    odoo = createServer((req, res) => void res.end(`Odoo for ${req.headers.host}`));
    await new Promise<void>((done) => odoo?.listen(0, '127.0.0.1', done));
    odooPort = (odoo.address() as AddressInfo).port;
    const acme = { directory: authority.directory, email: '', rootFile: authority.rootFile };
    const http = { https: true, address: DOOR, httpPort: 80, httpsPort: 443 };
    const below = { domain: 'host.test', manager: 'manager' };
    door = new CaddyDoor({
      ...{ install, dataDir: folder, api: new DockerApi(SOCKET), docker: dockerCli(SOCKET) },
      settings: {
        ...{ ...below, ...http, acme, image: images.caddy, certificateFile: '', keyFile: '' },
        ...{ managerPort: odooPort, publishAddress: '127.0.0.1' },
      },
    });
    pages = await servePages(await door.pagesSocket(), {
      instanceAt: (host) => routes.instanceAt(host),
      domainToken: (host, id) => routes.domainToken(host, id),
      takes: async () => false,
      page: async () => UNAVAILABLE,
      download: async (_req, res) => void res.writeHead(410).end(),
      logIn: async (_req, res) => void res.writeHead(410).end(),
      log: pino({ level: 'silent' }),
    });
    verifier = new DomainVerifier({ ...below, httpPort: 80, addresses: [DOOR], resolver });
  });
  after(async () => {
    await run('docker', ['rm', '--force', '--volumes', '--', container]);
    await authority.stop();
    await pages?.close();
    odoo?.close();
    odoo?.closeAllConnections();
    await dns.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is verified through the door by its CNAME or its TXT record and its token', async () => {
    await open(domain(OWN, false), domain(BARE, false));
    expect(await verify(OWN)).to.deep.equal({ proof: 'cname' });
    expect(await verify(BARE, [])).to.deep.equal({ proof: 'txt' });
  });

  it('is not, where it only leads here, is another customer’s or nobody has entered it', async () => {
    await open(domain(OWN, false), domain(WILDCARD, false));
    const unproven = { reason: 'DomainUnproven', detail: '' };
    expect(await verify(WILDCARD)).to.deep.equal(unproven);
    expect(await verify(OWN, ['other.host.test'])).to.deep.equal(unproven);
    const wrong = 'DomainAnswersWrong';
    expect(await verify(FOREIGN)).to.deep.equal({ reason: wrong, detail: `${DOOR}, status 404` });
    const another = { ...domain(OWN, false, 'of another customer'), cnames: [SUBDOMAIN] };
    expect(await verifier.verify(another)).to.deep.equal({ reason: wrong, detail: DOOR });
  });

  it('gets no certificate before it is verified: those of the instance’s and the manager’s names alone are ordered', async () => {
    await served(SUBDOMAIN);
    await served(MANAGER);
    expect(await authority.orders()).to.equal(2);
    expect(await refusal(OWN)).to.match(/alert|handshake/i);
    expect(await certificates.until(OWN)).to.equal(null);
  });

  it('leads from plain http to the name that has a certificate, until it has its own', async () => {
    await open({ ...domain(OWN, true), hasCertificate: false });
    expect(await plain(OWN)).to.equal(`https://${SUBDOMAIN}/web/login`);
    // An order that the next load interrupts would be made again.
    await eventually(async () => expect(await certificates.until(OWN)).not.to.equal(null), 60);
  });

  it('gets one of the authority once it is verified, and is served with it', async () => {
    await open(domain(OWN, true));
    await served(OWN);
    expect(await plain(OWN)).to.equal(`https://${OWN}/web/login`);
    expect(await authority.orders()).to.equal(3);
    const until = await certificates.until(OWN);
    expect(until?.getTime()).to.be.within(Date.now() + 3_600_000, Date.now() + 48 * 3_600_000);
    expect((await certificates.state(routes.hosts)).missing).to.deep.equal([]);
  });

  it('is still verified with its certificate, as it is daily', async () => {
    expect(await verify(OWN)).to.deep.equal({ proof: 'cname' });
  });

  it('orders nothing for a name that is nobody’s, though it leads here', async () => {
    expect(await refusal(FOREIGN)).to.match(/alert|handshake/i);
    expect(await authority.orders()).to.equal(3);
  });

  it('is served from the same volume by a second Caddy, which orders nothing', async () => {
    await run('docker', ['rm', '--force', '--', container]);
    await open(domain(OWN, true));
    expect((await get(OWN)).status).to.equal(200);
    expect((await get(SUBDOMAIN)).status, 'redirects to the domain').to.equal(308);
    expect(await authority.orders()).to.equal(3);
  });

  it('is served on while the authority refuses another name', async () => {
    await open(domain(OWN, true), domain(REFUSED, true));
    await eventually(async () => expect(await authority.orders()).to.be.at.least(4));
    expect(await refusal(REFUSED)).to.match(/alert|handshake/i);
    await served(OWN);
    expect((await certificates.state([OWN, REFUSED])).missing).to.deep.equal([REFUSED]);
  });

  it('is served on while the authority is away', async () => {
    await authority.stop();
    await run('docker', ['restart', '--time', '1', '--', container]);
    await served(OWN);
  });
});
