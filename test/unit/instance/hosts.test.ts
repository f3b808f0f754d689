import { expect } from 'chai';
import { hostOwners, type Named } from '../../../src/instance/hosts.ts';

const named = (id: number, subdomain: string, over: Partial<Named> = {}): Named => ({
  ...{ id, subdomain, formerSubdomains: [], domains: [] },
  ...over,
});
const own = (name: string, isVerified = true) => ({
  ...{ id: 1, name, isVerified, hasCertificate: isVerified, token: 'token' },
});

describe('a host name', () => {
  /** By which instance each host is had, whatever the order in which they come. */
  const owners = (...instances: Named[]) => {
    const ids = (all: readonly Named[]) =>
      Object.fromEntries([...hostOwners('example.com', all)].map(([host, { id }]) => [host, id]));
    const turned = ids([...instances].reverse());
    expect(ids(instances)).to.deep.equal(turned);
    return turned;
  };

  it('is that of the instance that has it, had it, or has it as a verified domain of its own', () => {
    const domains = [own('www.acme.org'), own('acme.org', false)];
    expect(owners(named(7, 'acme', { formerSubdomains: ['old'], domains }))).to.deep.equal({
      ...{ 'acme.example.com': 7, 'old.example.com': 7, 'www.acme.org': 7 },
    });
  });

  it('is nobody’s where an instance has no name', () => {
    expect(owners(named(7, '', { formerSubdomains: [''] }))).to.deep.equal({});
  });

  it('is of the present name before a verified domain', () => {
    const claims = owners(
      named(1, 'one', { domains: [own('acme.example.com')] }),
      named(2, 'acme'),
    );
    expect(claims['acme.example.com']).to.equal(2);
  });

  it('is of a verified domain before a former name', () => {
    const former = named(1, 'one', { formerSubdomains: ['was'] });
    const claims = owners(former, named(2, 'two', { domains: [own('was.example.com')] }));
    expect(claims['was.example.com']).to.equal(2);
  });

  it('is of the present name before a former one', () => {
    const claims = owners(named(1, 'one', { formerSubdomains: ['acme'] }), named(2, 'acme'));
    expect(claims['acme.example.com']).to.equal(2);
  });

  it('is of the oldest of several that claim it alike', () => {
    const domains = [own('www.acme.org')];
    const both = [named(5, 'acme', { domains }), named(4, 'acme', { domains })];
    const former = [
      named(9, 'a', { formerSubdomains: ['b'] }),
      named(8, 'c', { formerSubdomains: ['b'] }),
    ];
    expect(owners(...both, ...former)).to.include({
      ...{ 'acme.example.com': 4, 'www.acme.org': 4, 'b.example.com': 8 },
    });
  });

  it('is not had by a domain that is not verified', () => {
    const pending = named(1, 'one', { domains: [own('www.acme.org', false)] });
    const claims = owners(pending, named(2, 'two', { domains: [own('www.acme.org')] }));
    expect(claims['www.acme.org']).to.equal(2);
  });
});
