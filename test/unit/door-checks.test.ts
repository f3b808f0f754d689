import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { Warning } from '../../src/check.ts';
import type { LoggedError } from '../../src/door/error-log.ts';
import { DomainVerifier } from '../../src/door/verify-domain.ts';
import { doorChecks } from '../../src/door-checks.ts';
import type { Sidecar } from '../../src/wiring.ts';
import { FakeCertificates } from '../fakes/certificates.ts';
import { FakeDns } from '../fakes/dns.ts';
import { FakeManager } from '../fakes/manager.ts';
import { aConfig } from '../support/a-config.ts';

/** An address of our own, so that no other program's ports are in the way. */
const ADDRESS = '127.63.14.1';
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);

describe('the doctor looks at the front door:', () => {
  let dns: FakeDns;
  let taken: Server;
  let manager: FakeManager;
  let certificates: FakeCertificates & { checkGiven?: () => Promise<void> };
  let door: ReturnType<typeof aConfig>['door'];
  let isRunning: boolean;
  let logged: LoggedError[];
  let freePort: number;

  /** A port of ADDRESS that something listens on. */
  const listen = (server: Server) =>
    new Promise<number>((done) =>
      server.listen(0, ADDRESS, () => done((server.address() as AddressInfo).port)),
    );
  beforeEach(async () => {
    dns = new FakeDns();
    taken = createServer();
    const httpPort = await listen(taken);
    const other = createServer();
    freePort = await listen(other);
    await new Promise((done) => other.close(done));
    manager = new FakeManager({ now: () => new Date() });
    manager.insert({ subdomain: 'acme' });
    certificates = new FakeCertificates();
    certificates.checkGiven = async () => {};
    certificates.ends.set('acme.host.example', inDays(60));
    isRunning = true;
    logged = [];
    const resolver = await dns.listen();
    door = {
      ...aConfig('').door,
      ...{ domain: 'host.example', address: ADDRESS, addresses: ['192.0.2.1'], resolver },
      ...{ httpPort, httpsPort: httpPort },
    };
    for (const label of ['manager', 'microsaas-doctor'])
      dns.names.set(`${label}.host.example`, { a: ['192.0.2.1'] });
  });
  afterEach(async () => {
    await new Promise((done) => taken.close(done));
    await dns.close();
  });

  /** What each check finds: its verdict and what it says. */
  const examine = async () => {
    const docker = async () => {
      if (!isRunning) throw new Error('no such container');
      return 'running\n';
    };
    const verifier = new DomainVerifier(door);
    const parts = { install: 'k3x9ab', docker, manager, certificates, verifier };
    const sidecar = { ...parts, door: { errors: async () => logged } };
    const checks = doorChecks({ ...aConfig(''), door }, sidecar as unknown as Sidecar);
    const found = checks.map(async ({ name, probe }): Promise<[string, string]> => {
      const said = await probe().catch((error: Error) => error);
      if (!(said instanceof Error)) return [name, `ok: ${said}`];
      return [name, `${said instanceof Warning ? 'WARN' : 'FAIL'}: ${said.message}`];
    });
    return new Map(await Promise.all(found));
  };
  const finds = async (name: string) => (await examine()).get(name);

  it('nothing where there is none', async () => {
    door = { ...door, domain: '' };
    expect((await examine()).size).to.equal(0);
  });

  it('all is well', async () => {
    const at = `${ADDRESS}:${door.httpPort}`;
    expect([...(await examine())]).to.deep.equal([
      ['Door', `ok: open at ${at} and ${at}`],
      ["The door's names", 'ok: *.host.example leads to 192.0.2.1'],
      ['Certificates', `ok: all there, the first until ${inDays(60).toISOString().slice(0, 10)}`],
    ]);
  });

  it('its ports are taken by another program, free for it, or not listened on', async () => {
    isRunning = false;
    expect(await finds('Door')).to.equal(
      `FAIL: another program has bound ${ADDRESS}:${door.httpPort} and ${door.httpPort}`,
    );
    door = { ...door, httpPort: freePort, httpsPort: freePort };
    expect(await finds('Door')).to.match(/^WARN: shut; .* are free for it$/);
    isRunning = true;
    expect(await finds('Door')).to.match(/^FAIL: runs, but does not listen on/);
  });

  it('what it was refused last is said where it is shut, and where it was refused a moment ago', async () => {
    const message = 'listening on :80: bind: address already in use';
    logged = [
      { name: '', message: 'an earlier one', at: Date.now() - 1_000 },
      { name: '', message, at: Date.now() },
      { name: 'acme.host.example', message: 'HTTP 429', at: Date.now() },
    ];
    expect(await finds('Door')).to.match(/^FAIL: open at .*, but with an earlier configuration: /);
    expect(await finds('Door'))
      .to.include(message)
      .and.not.include('an earlier one');
    logged = [{ name: '', message, at: Date.now() - 3_600_000 }];
    expect(await finds('Door'), 'long ago').to.match(/^ok: open at/);
    door = { ...door, httpPort: freePort, httpsPort: freePort };
    expect(await finds('Door')).to.match(/^FAIL: runs, but does not listen on .*already in use$/);
    isRunning = false;
    expect(await finds('Door')).to.match(/^WARN: shut; .*already in use$/);
  });

  it('its names are not in DNS, or lead elsewhere', async () => {
    dns.names.delete('microsaas-doctor.host.example');
    expect(await finds("The door's names")).to.equal(
      'FAIL: DNS does not know microsaas-doctor.host.example',
    );
    dns.names.set('microsaas-doctor.host.example', { a: ['192.0.2.9'] });
    expect(await finds("The door's names")).to.equal(
      'FAIL: microsaas-doctor.host.example leads to 192.0.2.9, not to 192.0.2.1',
    );
    door = { ...door, addresses: [] };
    expect(await finds("The door's names")).to.equal(
      'WARN: manager.host.example leads to 192.0.2.1, which is no address of this host',
    );
    for (const name of dns.names.keys()) dns.names.set(name, { a: ['127.0.0.1'] });
    expect(await finds("The door's names")).to.match(/^ok:/);
  });

  it('localhost needs no DNS, and plain HTTP no certificate', async () => {
    door = { ...door, domain: 'localhost', https: false };
    expect(await finds("The door's names")).to.equal('ok: browsers know localhost by themselves');
    expect(await finds('Certificates')).to.equal('ok: none: plain HTTP (door.https)');
  });

  it('certificates are missing, about to end, or given and wrong', async () => {
    const name = 'acme.host.example';
    certificates.overdue = { name, until: inDays(13) };
    expect(await finds('Certificates')).to.match(/^WARN: that of acme\.host\.example ends on 20/);
    certificates.ends.clear();
    expect(await finds('Certificates')).to.equal('WARN: 1 missing: acme.host.example');
    logged = [
      { name, message: 'HTTP 403', at: Date.now() },
      { name, message: 'HTTP 429 too many', at: Date.now() },
      { name: 'other.host.example', message: 'HTTP 500', at: Date.now() },
    ];
    expect(await finds('Certificates')).to.equal(
      'WARN: 1 missing: acme.host.example; acme.host.example: HTTP 429 too many',
    );
    certificates.checkGiven = async () => {
      throw new Error('/x.key is not the key of /x.crt');
    };
    expect(await finds('Certificates')).to.equal('FAIL: /x.key is not the key of /x.crt');
  });
});
