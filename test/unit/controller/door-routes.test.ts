import { expect } from 'chai';
import { DoorRoutes } from '../../../src/controller/door-routes.ts';
import type { CustomerDomain, DesiredInstance } from '../../../src/instance/types.ts';
import { anInstance, aSubscription } from '../../support/samples.ts';

const domain = (over: Partial<CustomerDomain> = {}): CustomerDomain => ({
  id: 3,
  name: 'www.acme.com',
  isVerified: true,
  hasCertificate: true,
  token: 'the-token',
  ...over,
});

describe('the routes of the door', () => {
  let changes: number;
  let routes: DoorRoutes;
  beforeEach(() => {
    changes = 0;
    routes = new DoorRoutes('example.com', () => {
      changes += 1;
    });
  });
  const acme = (over: Partial<DesiredInstance> = {}) =>
    anInstance({ subdomain: 'acme', formerSubdomains: ['old-acme'], domains: [domain()], ...over });

  it('know an instance by its name, its former names and its verified domains', () => {
    routes.replace([
      acme({ domains: [domain(), domain({ name: 'acme.org', isVerified: false })] }),
    ]);
    const hosts = ['acme.example.com', 'old-acme.example.com', 'www.acme.com', 'acme.org', 'acme'];
    expect(hosts.map((host) => routes.instanceAt(host))).to.deep.equal([7, 7, 7, null, null]);
  });

  it('know nothing before they were given, which is not the same as nobody’s name', () => {
    expect(routes.instanceAt('acme.example.com')).to.equal(undefined);
    routes.replace([]);
    expect(routes.instanceAt('acme.example.com')).to.equal(null);
  });

  it('know no host of an instance without a name', () => {
    routes.replace([anInstance({ subdomain: '' })]);
    expect(routes.instanceAt('.example.com')).to.equal(null);
  });

  it('prove a domain that is still to be verified too', () => {
    routes.replace([acme({ domains: [domain({ isVerified: false })] })]);
    expect(routes.domainToken('www.acme.com', 3)).to.equal('the-token');
    expect(routes.domainToken('www.other.com', 3)).to.equal(null);
  });

  it('prove each customer’s own claim where several have entered one domain', () => {
    const rival = domain({ id: 4, isVerified: false, token: 'another-token' });
    routes.replace([acme(), anInstance({ id: 8, domains: [rival] })]);
    expect(routes.instanceAt('www.acme.com')).to.equal(7);
    const tokens = [3, 4, 5].map((id) => routes.domainToken('www.acme.com', id));
    expect(tokens).to.deep.equal(['the-token', 'another-token', null]);
  });

  it('are to be given again when names, domains or ports of an instance have changed, and only then', () => {
    routes.replace([acme()]);
    routes.compare(acme({ state: 'error', name: 'Other label', revision: 9 }));
    expect(changes).to.equal(0);
    const others: Partial<DesiredInstance>[] = [
      { subdomain: 'acme2' },
      { formerSubdomains: [] },
      { domains: [] },
      { domains: [domain({ isVerified: false })] },
      { domains: [domain({ hasCertificate: false })] },
      { ports: null },
      { ports: { http: 20_009, longpolling: 25_000 } },
    ];
    for (const over of others) routes.compare(acme(over));
    expect(changes).to.equal(others.length);
  });

  it('are to be given again for a new instance and for one whose data are removed', () => {
    routes.replace([acme()]);
    routes.compare(anInstance({ id: 8 }));
    expect(changes).to.equal(1);
    const subscription = aSubscription({ dataRemovedAt: new Date() });
    routes.compare(acme({ state: 'removed', subscription }));
    expect(changes).to.equal(2);
    routes.compare(anInstance({ id: 9, state: 'removed', subscription }));
    expect(changes).to.equal(2);
  });

  it('are to be given again for a staging copy, and once it is to go', () => {
    const copyOf = { id: 3, identity: anInstance().identity, snapshot: 'ab'.repeat(32) };
    const copy = acme({ copyOf, subscription: null });
    routes.replace([acme()]);
    routes.compare(copy);
    expect(changes, 'search engines are told').to.equal(1);
    routes.replace([{ ...copy, isCopy: true }]);
    routes.compare(copy);
    expect(changes).to.equal(1);
    routes.compare({ ...copy, desiredState: 'removed' });
    expect(changes).to.equal(2);
    routes.replace([]);
    routes.compare({ ...copy, desiredState: 'removed', state: 'removed' });
    expect(changes).to.equal(2);
  });
});
