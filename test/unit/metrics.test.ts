import { expect } from 'chai';
import type { CertificateState } from '../../src/interfaces.ts';
import { makeMetrics } from '../../src/metrics.ts';

describe('the metrics of certificates', () => {
  let certificates: CertificateState | null;
  const metrics = makeMetrics(() => ({
    ...{ backlog: 0, backlogSeconds: 0, states: null },
    certificates,
  }));
  /** The value of a gauge; null: it has none. */
  const read = async (name: string) => {
    const found = new RegExp(`^${name} (.*)$`, 'm').exec(await metrics.render());
    return found ? Number(found[1]) : null;
  };

  it('say when the first ends and how many are missing, and nothing of an end where there is none', async () => {
    const until = new Date(Date.now() + 3_600_000);
    certificates = {
      soonest: { name: 'a.com', until },
      overdue: null,
      missing: ['b.com', 'c.com'],
    };
    expect(await read('microsaas_certificate_expiry_seconds')).to.be.closeTo(3_600, 60);
    expect(await read('microsaas_certificates_missing')).to.equal(2);
    certificates = null;
    expect(await read('microsaas_certificate_expiry_seconds')).to.equal(null);
    expect(await read('microsaas_certificates_missing')).to.equal(0);
    certificates = { soonest: { name: 'a.com', until }, overdue: null, missing: [] };
    expect(await read('microsaas_certificate_expiry_seconds')).to.be.closeTo(3_600, 60);
  });
});
