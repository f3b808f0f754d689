import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { DomainVerifier } from '../../../src/door/verify-domain.ts';
import { FakeDns } from '../../fakes/dns.ts';

const OURS = '127.0.0.1';
const TOKEN = 'a-token-that-nobody-guesses';
const NAME = 'www.acme.com';
const OWN = 'acme.apps.host.example';
const PROOF = `_microsaas.${NAME}`;

describe("a customer's domain is verified", () => {
  let dns: FakeDns;
  let server: Server;
  let hosts: Array<string | undefined>;
  let listener: RequestListener;
  let verifier: DomainVerifier;
  let unaddressed: DomainVerifier;

  beforeEach(async () => {
    dns = new FakeDns();
    hosts = [];
    listener = (_req, res) => void res.end(TOKEN);
    server = createServer((req, res) => {
      hosts.push(`${req.headers.host}${req.url}`);
      listener(req, res);
    });
    const resolver = await dns.listen();
    await new Promise<void>((done) => server.listen(0, OURS, done));
    const httpPort = (server.address() as AddressInfo).port;
    const options = { domain: 'apps.host.example', manager: 'manager', httpPort, resolver };
    verifier = new DomainVerifier({ ...options, addresses: [OURS] });
    unaddressed = new DomainVerifier({ ...options, addresses: [] });
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    await dns.close();
  });

  const verify = (name = NAME, { token = TOKEN, cnames = [OWN] } = {}) =>
    verifier.verify({ id: 3, name, token, cnames });
  const unproven = { reason: 'DomainUnproven', detail: '' };

  it('when it leads to this host, by a CNAME to its instance, and its token is answered', async () => {
    dns.names.set(NAME, { cname: OWN, a: [OURS] });
    expect(await verify()).to.deep.equal({ proof: 'cname' });
    expect(hosts).to.deep.equal(['www.acme.com/.well-known/microsaas-domain?id=3']);
  });

  it('whatever the case of the CNAME', async () => {
    dns.names.set(NAME, { cname: 'ACME.Apps.Host.Example', a: [OURS] });
    expect(await verify()).to.deep.equal({ proof: 'cname' });
  });

  it('when it leads to this host by its addresses, and a TXT record has its token', async () => {
    dns.names.set(NAME, { a: [OURS] });
    dns.names.set(PROOF, { txt: ['v=spf1 -all', TOKEN] });
    expect(await verify()).to.deep.equal({ proof: 'txt' });
    dns.names.set(PROOF, { txt: [[TOKEN.slice(0, 5), TOKEN.slice(5)]] });
    expect(await verify(), 'in parts, as long ones are').to.deep.equal({ proof: 'txt' });
  });

  it('by the TXT record where both are there', async () => {
    dns.names.set(NAME, { cname: OWN, a: [OURS] });
    dns.names.set(PROOF, { txt: [TOKEN] });
    expect(await verify()).to.deep.equal({ proof: 'txt' });
  });

  it("by the addresses of the manager's name, or of the domain, where none is configured", async () => {
    dns.names.set(NAME, { a: [OURS] });
    dns.names.set(PROOF, { txt: [TOKEN] });
    const ask = () => unaddressed.verify({ id: 3, name: NAME, token: TOKEN, cnames: [] });
    const elsewhere = { reason: 'DomainElsewhere', detail: OURS };
    expect(await ask()).to.deep.equal(elsewhere);
    dns.names.set('apps.host.example', { a: [OURS] });
    expect(await ask()).to.deep.equal({ proof: 'txt' });
    dns.names.set('manager.apps.host.example', { a: ['192.0.2.9'] });
    expect(await ask()).to.deep.equal(elsewhere);
  });

  describe('and refused, without a connection to any address but ours,', () => {
    afterEach(() => expect(hosts, 'nothing is connected to').to.deep.equal([]));

    const fault = async (name = NAME) => {
      const found = await verify(name);
      if ('proof' in found) throw new Error(`proven by ${found.proof}`);
      return found;
    };

    it('when it leads here and nothing says whose it is: a former customer’s, or a wildcard record', async () => {
      dns.names.set(NAME, { a: [OURS] });
      expect(await verify()).to.deep.equal(unproven);
    });

    it('when it is a CNAME to another instance, to our domain or to a name of its own', async () => {
      for (const cname of ['other.apps.host.example', 'apps.host.example', 'acme.com']) {
        dns.names.set(NAME, { cname, a: [OURS] });
        expect(await verify(), cname).to.deep.equal(unproven);
      }
    });

    it('when it is a CNAME to its instance, and a CNAME proves nothing: it was another’s until lately', async () => {
      dns.names.set(NAME, { cname: OWN, a: [OURS] });
      expect(await verify(NAME, { cnames: [] })).to.deep.equal(unproven);
    });

    it('when the TXT record has another token, a part of it, nothing, or is at the domain itself', async () => {
      dns.names.set(NAME, { a: [OURS], txt: [TOKEN] });
      for (const txt of ['another-token', TOKEN.slice(1), `${TOKEN}0`, '']) {
        dns.names.set(PROOF, { txt: [txt] });
        expect(await verify(), txt).to.deep.equal(unproven);
      }
      expect(await verify(NAME, { token: '' }), 'where Odoo has none').to.deep.equal(unproven);
    });

    it('when the name server fails over the proof', async () => {
      dns.names.set(NAME, { a: [OURS] });
      dns.names.set(PROOF, { trouble: 'servfail' });
      expect(await verify()).to.deep.equal({ ...unproven, detail: 'ESERVFAIL' });
    });

    it('when it has no address', async () => {
      expect(await verify()).to.deep.equal({ reason: 'DomainNotFound', detail: 'www.acme.com' });
    });

    it('when it leads elsewhere, be it with one of several addresses', async () => {
      dns.names.set('www.acme.com', { a: ['192.0.2.7', OURS, '192.0.2.8'], aaaa: ['2001:db8::7'] });
      expect(await verify()).to.deep.equal({
        reason: 'DomainElsewhere',
        detail: '192.0.2.7, 192.0.2.8, 2001:db8::7',
      });
    });

    it('when it leads to an address inside our network', async () => {
      dns.names.set('www.acme.com', { a: ['169.254.169.254'] });
      expect(await verify()).to.deep.include({ reason: 'DomainElsewhere' });
    });

    it('when its answer is huge: a thousand addresses, or more than a packet holds', async () => {
      const a = Array.from({ length: 1_000 }, (_, at) => `192.0.${at >> 8}.${at & 0xff}`);
      dns.names.set('www.acme.com', { a });
      const found = await fault();
      expect(found.reason).to.be.oneOf(['DomainElsewhere', 'DomainNotFound']);
      expect(found.detail.length).to.be.below(200);
      dns.names.set('www.acme.com', { trouble: 'truncated' });
      expect(await verify()).to.deep.include({ reason: 'DomainNotFound' });
    });

    it('when its CNAMEs go round in a circle, which a resolver answers with a failure', async () => {
      dns.names.set('www.acme.com', { trouble: 'servfail' });
      expect(await verify()).to.deep.equal({
        reason: 'DomainNotFound',
        detail: 'www.acme.com (ESERVFAIL)',
      });
      dns.names.set('www.acme.com', { cname: 'www.acme.com' });
      expect(await verify()).to.deep.include({ reason: 'DomainNotFound' });
    });

    it('when its name server does not answer, within some seconds', async function () {
      this.timeout(15_000);
      dns.names.set('www.acme.com', { trouble: 'silent' });
      expect(await verify()).to.deep.include({ reason: 'DomainNotFound' });
    });

    const NO_NAMES: ReadonlyArray<[string, string]> = [
      ['an IP address', '127.0.0.1'],
      ['an IPv6 address', '::1'],
      ['a number that browsers take for an address', '2130706433'],
      ['one label', 'localhost'],
      ['a name below what is no top-level domain', 'acme.1a'],
      ['another one', 'acme.a1'],
      ['500 characters', `${'a'.repeat(60)}.`.repeat(8).concat('example.com')],
      ['a label of 64', `${'a'.repeat(64)}.com`],
      ['a port', 'www.acme.com:8069'],
      ['a path', 'www.acme.com/x'],
      ['a line feed, which would be a header', 'www.acme.com\r\nX-A: 1'],
      ['no ASCII', 'ñandú.com'],
      ['capitals', 'WWW.acme.com'],
      ['nothing', ''],
      ['a wildcard', '*.acme.com'],
      ['our own domain', 'apps.host.example'],
      ['the domain above ours', 'host.example'],
      ["another customer's name below it", 'acme.apps.host.example'],
    ];
    for (const [what, name] of NO_NAMES)
      it(`when it is ${what}, which nobody is asked about`, async () => {
        dns.names.set(name, { a: [OURS] });
        const found = await fault(name);
        expect(found.reason).to.equal('DomainNotFound');
        expect(found.detail).to.match(/^[\x20-\x7e]{0,100}$/);
        expect(dns.asked).to.equal(0);
      });
  });

  describe('and refused when our address', () => {
    beforeEach(() => dns.names.set(NAME, { cname: OWN, a: [OURS] }));
    const wrong = { reason: 'DomainAnswersWrong' };

    it('knows no token of it, or that of another', async () => {
      listener = (_req, res) => void res.writeHead(404).end();
      expect(await verify()).to.deep.equal({ ...wrong, detail: '127.0.0.1, status 404' });
      listener = (_req, res) => void res.end('another-token');
      expect(await verify()).to.deep.equal({ ...wrong, detail: '127.0.0.1' });
    });

    it('answers nothing where Odoo has no token', async () => {
      listener = (_req, res) => void res.end('');
      expect(await verify(NAME, { token: '' })).to.deep.include(wrong);
    });

    it('redirects: that is not followed', async () => {
      listener = (req, res) => {
        if (req.url === '/elsewhere') res.end(TOKEN);
        else res.writeHead(308, { Location: '/elsewhere' }).end(TOKEN);
      };
      expect(await verify()).to.deep.equal({ ...wrong, detail: '127.0.0.1, status 308' });
      expect(hosts).to.have.length(1);
    });

    it('answers without end', async () => {
      listener = (_req, res) => {
        const more = () => {
          if (!res.destroyed) res.write('x'.repeat(10_000), more);
        };
        more();
      };
      expect(await verify()).to.deep.equal({ ...wrong, detail: '127.0.0.1' });
    });

    it('does not answer, within some seconds', async function () {
      this.timeout(15_000);
      listener = () => {};
      const detail = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      expect(await verify()).to.deep.equal({ reason: 'DomainUnreachable', detail });
    });

    it('takes no connection', async () => {
      const detail = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      await new Promise((done) => server.close(done));
      expect(await verify()).to.deep.equal({ reason: 'DomainUnreachable', detail });
    });
  });
});
