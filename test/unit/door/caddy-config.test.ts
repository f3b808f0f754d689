import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type CaddySettings, caddyConfig } from '../../../src/door/caddy-config.ts';
import { certificateNames, hostMappings } from '../../../src/door/host-names.ts';
import type { DoorRoute } from '../../../src/interfaces.ts';

const GOLDEN = join(import.meta.dirname, 'golden');

const SETTINGS: CaddySettings = {
  domain: 'example.com',
  manager: 'manager',
  managerPort: 8069,
  https: true,
  address: '0.0.0.0',
  httpPort: 80,
  httpsPort: 443,
  wildcard: null,
  acme: { directory: 'https://acme.example.net/directory', email: 'ops@example.com', root: '' },
  publishAddress: '127.0.0.1',
};

const route = (id: number, subdomain: string, over: Partial<DoorRoute> = {}): DoorRoute => ({
  ...{ id, subdomain, formerSubdomains: [], domains: [] },
  ports: { http: 20_000 + id, longpolling: 25_000 + id },
  ...over,
});
const own = (name: string, isVerified = true, hasCertificate = isVerified) => ({
  ...{ id: 1, name, isVerified, hasCertificate, token: 'proof-of-the-domain' },
});

/** One of each kind: plain, a staging copy, renamed, with a domain of its own, with one that is not verified, without ports, without a name. */
const ROUTES = [
  route(3, 'acme'),
  route(1, 'new', { formerSubdomains: ['old', 'older'] }),
  route(2, 'shop', { domains: [own('www.shop.com'), own('shop.org')] }),
  route(4, 'pending', { domains: [own('not-yet.com', false)] }),
  route(5, 'removed', { ports: null }),
  route(7, 'acme-staging', { isCopy: true }),
  route(6, ''),
];

describe('the configuration of Caddy', () => {
  const cases: Record<string, CaddySettings> = {
    https: SETTINGS,
    http: { ...SETTINGS, domain: 'localhost', https: false, address: '127.0.0.1', httpPort: 8080 },
    wildcard: {
      ...SETTINGS,
      manager: '',
      address: '::',
      httpsPort: 8443,
      wildcard: { certificate: '/run/door/a.pem', key: '/run/door/b.pem' },
      acme: { ...SETTINGS.acme, email: '', root: '/run/door/c.pem' },
      publishAddress: '::1',
    },
  };
  for (const [name, settings] of Object.entries(cases))
    it(`is what it was: ${name}`, () => {
      const text = `${JSON.stringify(caddyConfig(settings, ROUTES), null, 2)}\n`;
      expect(text).to.equal(readFileSync(join(GOLDEN, `${name}.json`), 'utf8'));
    });

  it('is the same whatever the order of the routes: it is compared with what is loaded', () => {
    const turned = [...ROUTES].reverse();
    expect(caddyConfig(SETTINGS, turned)).to.deep.equal(caddyConfig(SETTINGS, ROUTES));
  });

  it('redirects nobody to a domain that has no certificate yet, and orders one', () => {
    const waiting = [route(2, 'shop', { domains: [own('www.shop.com', true, false)] })];
    const text = JSON.stringify(caddyConfig(SETTINGS, waiting));
    expect(text).not.to.include('https://www.shop.com');
    expect(certificateNames(SETTINGS, waiting)).to.include('www.shop.com');
    const plain = { ...SETTINGS, https: false };
    expect(JSON.stringify(caddyConfig(plain, waiting))).to.include('"http://www.shop.com"');
  });

  it('leads from plain http to the domain itself once it has a certificate, and until then to the address that has one', () => {
    /** Where a host's plain requests are sent: to https of the same name, or to another address. */
    const led = (hasCertificate: boolean) => {
      const domains = [own('www.shop.com', true, hasCertificate)];
      const hosts = hostMappings(SETTINGS, [route(2, 'shop', { domains })]);
      const found = hosts.find(({ host }) => host === 'www.shop.com');
      return found?.hasCertificate ? 'https' : found?.redirect;
    };
    expect([led(false), led(true)]).to.deep.equal(['https://shop.example.com', 'https']);
    const names = hostMappings(SETTINGS, [route(1, 'new', { formerSubdomains: ['old'] })]);
    expect(names.map(({ hasCertificate }) => hasCertificate)).to.deep.equal([true, true]);
  });

  it('orders certificates for the names that are ours and the domains that are verified, and no other', () => {
    expect(certificateNames(SETTINGS, ROUTES)).to.deep.equal([
      ...['acme-staging.example.com', 'acme.example.com', 'manager.example.com'],
      ...['new.example.com', 'old.example.com'],
      ...['older.example.com', 'pending.example.com', 'removed.example.com', 'shop.example.com'],
      ...['shop.org', 'www.shop.com'],
    ]);
    const wildcard = { certificate: 'a', key: 'b' };
    expect(certificateNames({ ...SETTINGS, wildcard }, ROUTES)).to.deep.equal([
      'shop.org',
      'www.shop.com',
    ]);
  });

  it('has each host once, whoever else says that it is theirs: Caddy would refuse it for everybody', () => {
    const claims = [
      route(1, 'one', { formerSubdomains: ['acme', 'was'] }),
      route(2, 'two', { domains: [own('acme.example.com'), own('was.example.com')] }),
      route(3, 'acme', { formerSubdomains: ['acme'] }),
      route(4, 'four', { domains: [own('www.shop.com')] }),
      route(5, 'five', { domains: [own('www.shop.com')] }),
    ];
    for (const routes of [claims, [...claims].reverse()]) {
      const hosts = hostMappings(SETTINGS, routes).map(({ host, http }) => [host, http]);
      expect(Object.fromEntries(hosts)).to.include({
        'acme.example.com': '127.0.0.1:20003', // the present name of 3, a domain of 2, a former name of 1
        'was.example.com': '127.0.0.1:20002', // a domain of 2, a former name of 1
        'www.shop.com': '127.0.0.1:20004', // 4 is older than 5
      });
      expect(new Set(hosts.map(([host]) => host)).size).to.equal(hosts.length);
    }
  });

  it('has nothing in it that is not a name, a domain, a port or a setting', () => {
    const text = JSON.stringify(caddyConfig(SETTINGS, ROUTES));
    expect(text).not.to.include('not-yet.com');
    for (const { domains } of ROUTES)
      for (const { token } of domains) expect(text).not.to.include(`"${token}"`);
  });

  it('leads to another host where an instance is on one', () => {
    const routes = [
      route(1, 'acme', { address: '192.0.2.7' }),
      route(2, 'far', { address: '2001:db8::7' }),
    ];
    const upstreams = hostMappings(SETTINGS, routes).map(({ http, longpolling }) => [
      http,
      longpolling,
    ]);
    expect(upstreams).to.deep.equal([
      ['192.0.2.7:20001', '192.0.2.7:25001'],
      ['[2001:db8::7]:20002', '[2001:db8::7]:25002'],
    ]);
  });
});
