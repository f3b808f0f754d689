import { expect } from 'chai';
import { backupAges } from '../../src/instance/backup-policy.ts';
import type { CertificateState } from '../../src/interfaces.ts';
import { makeMetrics } from '../../src/metrics.ts';

describe('the metrics of certificates', () => {
  let certificates: CertificateState | null;
  const metrics = makeMetrics(() => ({
    ...{ backlog: 0, backlogSeconds: 0, states: null },
    certificates,
    backups: null,
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

describe('the metrics of backups', () => {
  it('say how old the oldest proof is, and how many instances never had one', async () => {
    const now = Date.now() / 1000;
    const never = { lastBackupAt: 0, lastProofAt: 0, lastFailureAt: 0 };
    let backups = backupAges([
      never,
      { ...never, lastProofAt: now - 3_600 },
      { ...never, lastProofAt: now - 60 },
    ]);
    const none = { backlog: 0, backlogSeconds: 0, states: null, certificates: null };
    const metrics = makeMetrics(() => ({ ...none, backups }));
    const read = async (name: string) =>
      new RegExp(`^microsaas_backups_${name} (.*)$`, 'm').exec(await metrics.render())?.[1];
    expect(Number(await read('oldest_proof_seconds'))).to.be.closeTo(3_600, 60);
    expect(await read('never_proven')).to.equal('1');
    backups = backupAges([never]);
    expect(await read('oldest_proof_seconds')).to.equal(undefined);
  });
});
