import { expect } from 'chai';
import type { Money, Period } from '../../../src/billing/subscription-types.ts';
import { ClockGuard } from '../../../src/controller/clock-guard.ts';
import type { ControllerContext } from '../../../src/controller/controller-context.ts';
import { reconcile } from '../../../src/controller/reconcile.ts';
import { RetryableError, TerminalError } from '../../../src/errors.ts';
import type { DesiredState } from '../../../src/instance/types.ts';
import { Life } from '../../fakes/life.ts';
import { audit } from '../../support/audit.ts';
import { aPeriod } from '../../support/samples.ts';
import { atOnce, Simulation } from '../../support/simulation.ts';

const HOUR = 3_600_000;

/** The policy has its own tests: these are about how it is carried out. One poll an hour. */
describe('A subscription and its instance', function () {
  this.timeout(60_000);
  let sim: Simulation;
  let life: Life;
  let context: ControllerContext;
  beforeEach(() => {
    sim = new Simulation();
    life = new Life();
  });
  afterEach(async () => {
    audit(sim);
    await sim.end();
  });

  const row = (id = 1) => {
    const found = sim.manager.rows.get(id);
    if (!found) throw new Error(`no instance ${id}`);
    return found;
  };
  const subscription = (id = 1) => {
    const found = row(id).subscription;
    if (!found) throw new Error(`no subscription ${id}`);
    return found;
  };
  const mails = () => row().mails.map((mail) => mail.split(' ')[0]);

  /** One look at one instance, to its end, whatever that is. */
  async function look(id: number): Promise<void> {
    const never = new AbortController().signal;
    let isOver = false;
    const signals = {
      stop: never,
      superseded: never,
      markObserved: () => {},
      withoutSlot: atOnce,
      failures: 0,
    };
    void reconcile(id, context, signals)
      .catch(() => {}) // killed, or to be tried again: the next poll shows what became of it
      .then(() => {
        isOver = true;
      });
    await sim.time.until('the look ends', () => isOver);
  }
  async function poll(): Promise<void> {
    for (const id of await sim.manager.due(100)) await look(id);
  }

  async function hours(count: number): Promise<void> {
    for (let hour = 0; hour < count; hour++) {
      await sim.time.pass(HOUR, HOUR);
      await poll();
    }
  }
  const days = (count: number) => hours(count * 24);

  /** A sidecar starts, with nothing in its memory. */
  function start(of = new Life()): void {
    life = of;
    context = sim.context(of);
  }

  async function sell(count = 1): Promise<void> {
    start();
    for (let sold = 0; sold < count; sold++) sim.manager.insert({ desiredState: 'running' });
    await poll();
  }

  /** What people and money do makes the instance due in the same transaction. */
  function press(wish: DesiredState): void {
    Object.assign(row(), { desiredState: wish, active: wish !== 'removed' });
    sim.manager.review(1, sim.time.now());
  }

  function renew(over: Partial<Period> = {}): void {
    const { periods } = subscription();
    const period = aPeriod({ lineId: 900 + periods.length, isFirst: false, sold: null, ...over });
    row().subscription = { ...subscription(), periods: [...periods, period] };
    sim.manager.review(1, sim.time.now());
  }

  function moveMoney(change: Partial<Money>): void {
    const periods = subscription().periods.map((period) => ({
      ...period,
      money: period.money && { ...period.money, ...change },
    }));
    row().subscription = { ...subscription(), periods };
    sim.manager.review(1, sim.time.now());
  }
  const refund = () => moveMoney({ reversedRatio: 1 });

  it('sends the welcome mail once, and makes no link before the customer asks for one', async () => {
    await sell();
    expect(row().mails).to.deep.equal(['welcome']);
    start();
    await days(2);
    expect(mails()).to.deep.equal(['welcome']);
    expect(sim.databases.invitations).to.equal(0);
  });

  it('is reviewed when its day comes, and once a day in between', async () => {
    await sell();
    const before = life.calls.filter((call) => call === 'manager.desired').length;
    await days(10);
    const looks = life.calls.filter((call) => call === 'manager.desired').length - before;
    expect(looks).to.be.within(9, 11);
  });

  it('is suspended when unpaid, keeps its data, and is resumed by a payment', async () => {
    await sell();
    await days(32);
    expect(row().state, 'grace').to.equal('running');
    await days(1);
    expect(row()).to.include({ state: 'stopped', reason: 'Expired', desiredState: 'running' });
    expect(sim.engine.projects.get(1)?.containers).to.equal('stopped');
    expect(mails()).to.deep.equal(['welcome', 'expiring', 'suspended']);
    renew();
    await poll();
    expect(row()).to.include({ state: 'running', reason: 'Running' });
    expect(mails().at(-1)).to.equal('renewed');
  });

  it('is suspended at once when its payment is refunded', async () => {
    await sell();
    refund();
    await poll();
    expect(row()).to.include({ state: 'stopped', reason: 'Refunded' });
  });

  it('reconsiders missing money for a day, to the hour', async () => {
    await sell();
    moveMoney({ paymentState: 'not_paid' });
    await hours(1);
    await hours(23);
    expect(row().state, 'after 23 hours').to.equal('running');
    await hours(2);
    expect(row()).to.include({ state: 'stopped', reason: 'Refunded' });
    moveMoney({ paymentState: 'paid' });
    await poll();
    expect(row().state).to.equal('running');
  });

  it('is not affected by a correction within the reconsideration time', async () => {
    await sell();
    const { engine } = sim;
    const { calls } = life;
    moveMoney({ state: 'draft' });
    await hours(20);
    moveMoney({ state: 'posted' });
    await hours(40);
    expect(calls.filter((call) => call === 'engine.stop')).to.deep.equal([]);
    expect([row().state, engine.projects.get(1)?.containers]).to.deep.equal(['running', 'running']);
    expect(mails()).to.deep.equal(['welcome']);
  });

  it('counts a payment in process by the setting at that review', async () => {
    await sell();
    row().inPaymentIsPaid = false;
    moveMoney({ paymentState: 'in_payment' });
    await hours(26);
    expect(row().reason).to.equal('Refunded');
    row().inPaymentIsPaid = true;
    sim.manager.review(1, sim.time.now());
    await poll();
    expect(row().reason).to.equal('Running');
  });

  it('reports until when the data of a removed instance are kept, and keeps them longer when it is paid', async () => {
    await sell();
    press('removed');
    await poll();
    const { detail } = row();
    renew();
    await poll();
    expect(row().reason).to.equal('Removed');
    expect(detail).to.match(/^\d{4}-\d\d-\d\d$/);
    expect(row().detail > detail, `${row().detail} is later`).to.equal(true);
    expect(mails()).to.deep.equal(['welcome', 'removed', 'paidThoughRemoved']);
    expect(row().state).to.equal('removed');
    await days(40);
    expect(sim.databases.present.has(1)).to.equal(true);
  });

  it('stays stopped by hand, whatever is paid', async () => {
    await sell();
    press('stopped');
    await days(40);
    renew();
    await poll();
    expect(row()).to.include({ state: 'stopped', reason: 'Stopped' });
  });

  it('goes through all stages, and leaves only its last backup, of which Odoo knows', async () => {
    await sell();
    await days(67);
    const [last, ...others] = sim.backups.taken.get(1) ?? [];
    expect(last)
      .to.include({ proof: 'data' })
      .with.property('ending')
      .that.match(/^\d{8}T\d{6}Z$/);
    expect(others).to.deep.equal([]);
    const [told] = sim.manager.backups.get(1) ?? [];
    expect(told).to.include({ snapshot: last?.snapshot, kept: 'end' });
    expect(row()).to.include({ state: 'removed', reason: 'Purged', active: false, ports: null });
    expect([sim.databases.present.size, sim.engine.projects.size]).to.deep.equal([0, 0]);
    const { changes } = sim;
    await days(10);
    expect(sim.changes, 'changes at rest').to.equal(changes);
    renew();
    await poll();
    expect(mails().at(-1)).to.equal('paidAfterRemoval');
    expect(row().state).to.equal('removed');
  });

  it('loses its containers at Remove and its data at the end of retention, unless it is restored', async () => {
    await sell();
    press('removed');
    await poll();
    expect(row()).to.include({ state: 'removed', reason: 'Removed', active: false, ports: null });
    expect(sim.engine.projects.get(1)?.containers).to.equal('none');
    await days(20);
    press('running');
    await poll();
    expect(row().state).to.equal('running');
    press('removed');
    await days(29);
    expect(sim.databases.present.has(1)).to.equal(true);
    await days(2);
    expect(row().reason).to.equal('Purged');
    expect(sim.databases.present.has(1)).to.equal(false);
  });

  it('survives a kill at every call of suspension and removal', async () => {
    await sell();
    await days(64);
    const before = life.calls.length;
    await days(3);
    const calls = life.calls.length - before;
    expect(row().reason).to.equal('Purged');
    for (let n = 0; n < 2 * calls; n++) {
      await sim.end();
      sim = new Simulation();
      await sell();
      await days(64);
      start();
      life.killAt(Math.floor(n / 2), n % 2 === 0 ? 'before' : 'after');
      await days(2);
      start();
      await days(2);
      expect(row().reason, `killed at call ${n / 2}`).to.equal('Purged');
      expect(mails()).to.deep.equal(['welcome', 'expiring', 'suspended', 'finalNotice']);
      expect(sim.backups.taken.get(1)?.map(({ proof }) => proof)).to.deep.equal(['data']);
      expect(sim.manager.backups.get(1), 'Odoo knows of it').to.have.length(1);
      audit(sim);
    }
  });

  it('keeps data whose last backup is not proven, takes another once a day, and keeps the last of those', async () => {
    await sell();
    const { prove } = sim.backups;
    sim.backups.prove = async (desired, snapshot, options) => {
      sim.backups.damaged.add(snapshot);
      await prove.call(sim.backups, desired, snapshot, options);
    };
    await days(70);
    expect(row()).to.include({ state: 'error', reason: 'BackupDamaged' });
    expect(sim.databases.present.has(1)).to.equal(true);
    const before = life.calls.filter((call) => call === 'backups.take').length;
    await days(40);
    expect(life.calls.filter((call) => call === 'backups.take').length - before).to.equal(40);
    expect(sim.backups.taken.get(1)?.length, 'by their days, weeks and months').to.be.below(15);
    Object.assign(sim.backups, { prove });
    sim.manager.review(1, sim.time.now());
    await days(1);
    expect(row().reason).to.equal('Purged');
  });

  it('keeps data whose last backup has gone since it was proven, and reports it', async () => {
    await sell();
    const { list } = sim.backups;
    sim.backups.list = async (desired) =>
      desired.subscription?.archivedAt ? [] : list.call(sim.backups, desired);
    await days(70);
    expect(row()).to.include({ state: 'error', reason: 'BackupGone' });
    expect(sim.databases.present.has(1)).to.equal(true);
    Object.assign(sim.backups, { list });
    sim.manager.review(1, sim.time.now());
    await poll();
    expect(row().reason).to.equal('Purged');
  });

  it('makes its last backup once one of the night that is under way has ended', async () => {
    await sell();
    await days(50);
    let isEnded = false;
    const night = context.backups?.oneByOne.take(1, async () => {
      await sim.time.until('the night is over', () => isEnded, 90 * 24 * HOUR);
    });
    void days(20);
    await sim.time.until(
      'it waits for its turn',
      () => life.calls.includes('engine.observe') && row().reason === 'Archiving',
      30 * 24 * HOUR,
    );
    expect(life.calls).not.to.include('archives.write');
    isEnded = true;
    await night;
    await sim.time.until('it is removed', () => row().reason === 'Purged', 5 * 24 * HOUR);
  });

  it('keeps data that cannot be backed up, retries once a day, and removes them when a person has confirmed', async () => {
    await sell();
    // What the data themselves are in the way of is not tried again at once.
    const refusal = new RetryableError('BackupTooLarge', 'it became larger than 3 MB');
    sim.backups.refusal = refusal;
    await days(70);
    expect(row()).to.include({ state: 'error', reason: 'BackupTooLarge' });
    const attempts = () => life.calls.filter((call) => call === 'archives.write').length;
    const before = attempts();
    await days(3);
    expect(attempts() - before, 'in three days').to.equal(3);
    expect(sim.databases.present.has(1)).to.equal(true);
    row().endsWithoutArchive = true;
    sim.manager.review(1, sim.time.now());
    await days(2);
    expect(row().reason).to.equal('Purged');
    expect([sim.databases.present.size, sim.engine.projects.size]).to.deep.equal([0, 0]);
    expect(row().log.join()).to.include('go without one, as a person has confirmed');
  });

  it('reports an own Postgres that does not start, once a day, until it is backed up or a person has confirmed', async () => {
    await sell();
    row().templateCode = 'odoo-own-db';
    const { awaitServer, observe } = sim.databases;
    sim.databases.observe = async () => 'offline';
    sim.databases.awaitServer = async () => {
      throw new RetryableError('PostgresUnavailable', 'The database server does not answer.');
    };
    await days(70);
    expect(row()).to.include({ state: 'error', reason: 'ArchiveServerDown' });
    expect(row().log.join()).to.include('own Postgres does not start');
    const attempts = () => life.calls.filter((call) => call === 'engine.startDatabase').length;
    const before = attempts();
    await days(3);
    expect(attempts() - before, 'in three days').to.equal(3);
    Object.assign(sim.databases, { observe });
    sim.databases.observe = async (desired, state) =>
      desired.subscription?.dataRemovedAt ? observe.call(sim.databases, desired, state) : 'offline';
    row().endsWithoutArchive = true;
    sim.manager.review(1, sim.time.now());
    await days(2);
    expect(row().reason).to.equal('Purged');
    Object.assign(sim.databases, { awaitServer });
  });

  it('makes no last backup of missing files, and removes the rest when a person has confirmed', async () => {
    await sell();
    sim.engine.emptied.add(1);
    await days(70);
    expect(row()).to.include({ state: 'error', reason: 'FilesMissing' });
    expect(life.calls).not.to.include('archives.write');
    expect(sim.databases.present.has(1)).to.equal(true);
    row().endsWithoutArchive = true;
    sim.manager.review(1, sim.time.now());
    await days(2);
    expect(row().reason).to.equal('Purged');
  });

  it('does not skip the last backup because Docker, Odoo or the server of the backups is unavailable', async () => {
    await sell();
    await days(60);
    row().endsWithoutArchive = true;
    sim.backups.refusal = new RetryableError('DockerUnavailable', 'Docker does not answer.');
    await days(10);
    expect(sim.databases.present.has(1)).to.equal(true);
    for (const reason of ['DockerFailed', 'BackupServerAway', 'BackupLocked'] as const) {
      sim.backups.refusal = new RetryableError(reason, 'not now');
      await days(2);
      expect(sim.databases.present.has(1), reason).to.equal(true);
    }
    sim.backups.refusal = null;
    await days(2);
    expect(sim.backups.taken.get(1)).to.have.length(1);
    expect(row().reason).to.equal('Purged');
  });

  it('does not skip the last backup on a host that another has replaced', async () => {
    await sell();
    await days(60);
    row().endsWithoutArchive = true;
    sim.backups.refusal = new TerminalError('HostReplaced', 'another host has taken over');
    await days(10);
    expect(sim.databases.present.has(1)).to.equal(true);
    sim.backups.refusal = null;
    sim.manager.review(1, sim.time.now());
    await days(2);
    expect(sim.backups.taken.get(1)).to.have.length(1);
    expect(row().reason).to.equal('Purged');
  });

  it('goes without one where the disk has no room for it, or its key is lost, once a person has confirmed', async () => {
    for (const refusal of [
      new RetryableError('NotEnoughDisk', 'no room'),
      new TerminalError('BackupKeyWrong', 'wrong password'),
    ]) {
      await sell();
      await days(60);
      const [id] = [...sim.manager.rows.keys()].slice(-1);
      const found = sim.manager.rows.get(id ?? 0);
      if (!found) throw new Error('nothing was sold');
      found.endsWithoutArchive = true;
      sim.backups.refusal = refusal;
      await days(10);
      expect(found.reason, refusal.reason).to.equal('Purged');
      sim.backups.refusal = null;
    }
  });

  it('catches up after months of downtime one stage at a time', async () => {
    await sell();
    await sim.time.pass(90 * 24 * HOUR, 24 * HOUR);
    start();
    await days(1);
    expect(row().reason).to.equal('Expired');
    await days(28);
    expect(sim.databases.present.has(1), 'retention counts from the suspension').to.equal(true);
    await days(3);
    expect(row().reason).to.equal('Purged');
  });

  it('enters one stage per review, also where none has to wait', async () => {
    await sell();
    const terms = { ...subscription().terms, grace: 0, retention: 0, finalNotice: 0 };
    row().subscription = { ...subscription(), terms };
    await sim.time.pass(60 * 24 * HOUR, 24 * HOUR);
    const reasons = [];
    for (let looks = 0; looks < 4; looks++) {
      await look(1);
      reasons.push(row().reason);
    }
    expect(reasons).to.deep.equal(['Expired', 'Expired', 'Expired', 'Purged']);
    expect(mails()).to.deep.equal(['welcome', 'suspended', 'finalNotice']);
  });

  for (const jump of [24, -24])
    it(`is not suspended early when the clock jumps by ${jump} h`, async () => {
      await sell();
      await days(32);
      const { now } = sim.time;
      const jumped = () => new Date(now().getTime() + jump * HOUR);
      context = {
        ...context,
        now: jumped,
        clockGuard: new ClockGuard(
          jumped,
          () => now().getTime(),
          () => {},
        ),
      };
      sim.manager.review(1, now());
      await poll();
      expect(row().state).to.equal('running');
    });

  it('requests approval before more than ten, and more than a tenth, are suspended within an hour', async () => {
    await sell(15);
    const suspended = () =>
      [...sim.manager.rows.values()].filter((it) => it.subscription?.suspendedAt).length;
    while (sim.manager.waiting.size === 0) await hours(1);
    expect(suspended()).to.equal(10);
    expect(sim.manager.waiting.size, 'every one that waits is listed').to.equal(5);
    const [last, ...others] = [...sim.manager.waiting];
    for (const id of others) sim.manager.approved.add(id);
    for (const id of sim.manager.waiting) sim.manager.review(id, sim.time.now());
    await poll();
    expect(suspended(), 'those that people have seen, and no other').to.equal(14);
    expect(row(last).subscription?.suspendedAt).to.equal(null);
  });
});
