import { expect } from 'chai';
import type { Vitals } from '../../src/controller/vitals.ts';
import { backupAges } from '../../src/instance/backup-policy.ts';
import type { ShownState } from '../../src/instance/shown-state.ts';
import type { CertificateState } from '../../src/interfaces.ts';
import { type Measured, makeMetrics } from '../../src/metrics.ts';

const noDisk = () => Promise.reject(new Error('no disk'));

const IDLE = { keys: 0, ageSeconds: 0, failing: 0 };
const VITALS: Vitals = {
  queues: { instances: IDLE, plans: IDLE, backups: IDLE, jobs: IDLE },
  ...{ beats: new Map(), down: new Set(), errors: new Map() },
  ...{ silent: 0, orphans: 0, failedMails: null, odooCronAt: 0 },
};

/** What a sidecar has measured that has just started. */
const measured = (over: Partial<Measured> = {}): Measured => ({
  ...{ backlog: 0, backlogSeconds: 0, states: null, certificates: null, backups: null },
  ...{ vitals: VITALS },
  ...over,
});

describe('the metrics of certificates', () => {
  let certificates: CertificateState | null;
  const metrics = makeMetrics(() => measured({ certificates }), noDisk);
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
    const metrics = makeMetrics(() => measured({ backups }), noDisk);
    const read = async (name: string) =>
      new RegExp(`^microsaas_backups_${name} (.*)$`, 'm').exec(await metrics.render())?.[1];
    expect(Number(await read('oldest_proof_seconds'))).to.be.closeTo(3_600, 60);
    expect(await read('never_proven')).to.equal('1');
    backups = backupAges([never]);
    expect(await read('oldest_proof_seconds')).to.equal(undefined);
  });
});

describe('the metrics for an operator', () => {
  let now: Measured | null;
  let free = { bytes: 7 * 2 ** 30, inodes: 1_000, share: 0.25 };
  let metrics: ReturnType<typeof makeMetrics>;
  beforeEach(() => {
    now = measured();
    metrics = makeMetrics(
      () => now,
      async () => free,
    );
  });

  /** The values of a metric by their labels, as they are printed. */
  const read = async (name: string): Promise<Record<string, number>> => {
    const lines = (await metrics.render()).matchAll(
      new RegExp(`^microsaas_${name}(\\{.*\\})? (.*)$`, 'gm'),
    );
    return Object.fromEntries(
      Array.from(lines, ([, labels = '', value]) => [labels, Number(value)]),
    );
  };

  it('count instances by what people see', async () => {
    now = measured({ states: ['asleep', 'running', 'running', 'suspended'] });
    const found = await read('instances');
    expect(found).to.include({ '{state="running"}': 2, '{state="asleep"}': 1 });
    expect(found).to.include({ '{state="suspended"}': 1, '{state="error"}': 0 });
  });

  it('say how long a sale takes, as a histogram from the payment on', async () => {
    metrics.meter.usable(1.7);
    metrics.meter.usable(45);
    expect(await read('time_to_usable_seconds_bucket')).to.include({
      '{le="1"}': 0,
      '{le="2"}': 1,
      '{le="60"}': 2,
    });
    expect(await read('time_to_usable_seconds_sum')).to.deep.equal({ '': 46.7 });
  });

  it('say of each queue how much waits, for how long, and how much fails', async () => {
    const queues = { ...VITALS.queues, backups: { keys: 3, ageSeconds: 61, failing: 1 } };
    now = measured({ vitals: { ...VITALS, queues } });
    expect(await read('queue_keys')).to.include({ '{queue="backups"}': 3, '{queue="plans"}': 0 });
    expect(await read('queue_oldest_age_seconds')).to.include({ '{queue="backups"}': 61 });
    expect(await read('queue_failing_keys')).to.include({ '{queue="backups"}': 1 });
  });

  it('say when each loop last ended well, and when Odoo last answered and worked', async () => {
    expect(await read('odoo_last_answer_timestamp_seconds')).to.deep.equal({});
    expect(await read('odoo_cron_last_run_timestamp_seconds')).to.deep.equal({});
    now = measured({ vitals: { ...VITALS, beats: new Map([['poll', 1_000]]), odooCronAt: 900 } });
    metrics.odooAnswered();
    expect(await read('loop_last_success_timestamp_seconds')).to.deep.equal({
      '{loop="poll"}': 1_000,
    });
    expect(await read('odoo_cron_last_run_timestamp_seconds')).to.deep.equal({ '': 900 });
    const [answered = 0] = Object.values(await read('odoo_last_answer_timestamp_seconds'));
    expect(answered).to.be.closeTo(Date.now() / 1000, 60);
  });

  it('say which part is missing', async () => {
    now = measured({ vitals: { ...VITALS, down: new Set(['docker']) } });
    expect(await read('part_up')).to.include({ '{part="docker"}': 0, '{part="odoo"}': 1 });
  });

  it('name no more reasons than there are, whatever Odoo says', async () => {
    const errors = new Map([
      ['CrashLoop', 2],
      ...Array.from({ length: 500 }, (_, index): [string, number] => [`Made${index}up`, 1]),
    ]);
    now = measured({ vitals: { ...VITALS, errors } });
    expect(await read('instances_failing')).to.deep.equal({
      '{reason="CrashLoop"}': 2,
      '{reason="Other"}': 500,
    });
    now = measured();
    expect(await read('instances_failing'), 'over').to.deep.equal({});
  });

  it('count drift from 0 on', async () => {
    metrics.meter.mended('Silent');
    expect(await read('drift_mended_total')).to.include({
      '{found="Silent"}': 1,
      '{found="ContainersGone"}': 0,
    });
  });

  it('say what is left of the disk, nothing where it does not answer, and no inodes where none are counted', async () => {
    expect(await read('disk_free_bytes')).to.deep.equal({ '': 7 * 2 ** 30 });
    expect(await read('disk_free_ratio')).to.deep.equal({ '': 0.25 });
    expect(await read('disk_free_inodes')).to.deep.equal({ '': 1_000 });
    free = { ...free, inodes: Number.POSITIVE_INFINITY };
    expect(await read('disk_free_inodes')).to.deep.equal({});
    metrics = makeMetrics(() => now, noDisk);
    expect(await read('disk_free_bytes')).to.deep.equal({});
    expect(await read('memory_available_bytes'))
      .to.have.property('')
      .above(0);
  });

  it('say of mails how many did not leave, and nothing before Odoo has said so', async () => {
    expect(await read('mails_failed')).to.deep.equal({});
    now = measured({ vitals: { ...VITALS, failedMails: 93 } });
    expect(await read('mails_failed')).to.deep.equal({ '': 93 });
  });

  it('say the same to a hundred who ask at once', async () => {
    now = measured({ states: ['running', 'error'] });
    const own = async () =>
      (await metrics.render())
        .split('\n')
        .filter((line) => line.startsWith('microsaas_instances'))
        .join('\n');
    const answers = await Promise.all(Array.from({ length: 100 }, own));
    expect(new Set(answers)).to.have.property('size', 1);
    expect(answers[0]).to.include('microsaas_instances{state="error"} 1');
  });

  it('count each instance once in a scrape that comes while many are being started', async () => {
    const states: ShownState[] = Array.from({ length: 50 }, () => 'preparing');
    const busy = makeMetrics(
      () => {
        const before = [...states];
        states[states.indexOf('preparing')] = 'running';
        return measured({ states: before });
      },
      async () => free,
    );
    const scrapes = await Promise.all(Array.from({ length: 5 }, () => busy.render()));
    const counted = scrapes.map((text) =>
      Array.from(text.matchAll(/^microsaas_instances\{.*\} (.*)$/gm), ([, count]) =>
        Number(count),
      ).reduce((sum, count) => sum + count, 0),
    );
    expect(counted).to.deep.equal([50, 50, 50, 50, 50]);
  });

  it('are there before the controller is, and hold fewer than a thousand lines', async () => {
    now = null;
    expect(await read('queue_keys')).to.deep.equal({});
    expect(await read('backlog')).to.deep.equal({ '': 0 });
    expect((await metrics.render()).split('\n').length).to.be.below(1_000);
  });
});
