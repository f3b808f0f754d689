import { expect } from 'chai';
import { type DomainFault, judgeDomain, nextLookMs } from '../../../src/instance/domain.ts';

const NOW = new Date('2026-11-26T12:00:00Z');
const daysAgo = (days: number) => new Date(NOW.getTime() - days * 86_400_000);
const ELSEWHERE: DomainFault = { reason: 'DomainElsewhere', detail: '192.0.2.7' };
const STOPPED = { reason: 'DomainStoppedLeadingHere', detail: '192.0.2.7' };
const PROVEN = { proof: 'cname' } as const;

describe("a customer's domain", () => {
  const judge = (state: 'pending' | 'verified' | 'failed', since: Date | null, fault = ELSEWHERE) =>
    judgeDomain({ state, failingSince: since }, fault, NOW);

  it('is verified whenever it leads here, whatever it was before', () => {
    for (const state of ['pending', 'verified', 'failed'] as const)
      expect(judgeDomain({ state, failingSince: daysAgo(9) }, PROVEN, NOW)).to.deep.equal({
        ...{ state: 'verified', fault: null, proof: 'cname' },
      });
  });

  it('stays pending, with the reason, until it leads here', () => {
    expect(judge('pending', null)).to.deep.equal({
      ...{ state: 'pending', fault: ELSEWHERE, proof: null },
    });
  });

  it('stays verified for three days in which it leads elsewhere, and then has failed', () => {
    const still = { state: 'verified', fault: ELSEWHERE, proof: null };
    const over = { state: 'failed', fault: STOPPED, proof: null };
    expect(judge('verified', null)).to.deep.equal(still);
    expect(judge('verified', daysAgo(2.99))).to.deep.equal(still);
    expect(judge('verified', daysAgo(3))).to.deep.equal(over);
    expect(judge('failed', null)).to.deep.equal(over);
  });

  it('is looked at daily when all is well, else after a minute, two, four … and at least once an hour', () => {
    const minutes = [0, 1, 2, 3, 6, 7, 8, 5_000].map(
      (attempts) => nextLookMs(attempts, 'domain') / 60_000,
    );
    expect(minutes).to.deep.equal([1_440, 1, 2, 4, 32, 60, 60, 60]);
  });

  it('is looked at again within seconds when only its certificate is missing', () => {
    expect([1, 2, 3].map((attempts) => nextLookMs(attempts, 'certificate'))).to.deep.equal([
      10_000, 20_000, 40_000,
    ]);
  });
});
