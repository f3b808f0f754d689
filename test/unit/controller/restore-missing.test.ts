import { expect } from 'chai';
import { makeActions } from '../../../src/controller/actions.ts';
import { RetryableError } from '../../../src/errors.ts';
import { Life } from '../../fakes/life.ts';
import { killedAnywhere } from '../../support/killed-anywhere.ts';
import { aRepository, identityOf } from '../../support/samples.ts';
import { Simulation } from '../../support/simulation.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const SNAPSHOT = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);

describe('a restore where nothing is', () => {
  let sim: Simulation;
  beforeEach(() => {
    sim = new Simulation();
  });
  afterEach(() => sim.end());

  const row = () => {
    const found = sim.manager.rows.get(1);
    if (!found) throw new Error('no instance 1');
    return found;
  };
  const said = () => sim.manager.jobs.map(({ state, reason }) => `${state} ${reason}`.trim());
  const ask = (snapshot = SNAPSHOT, id = 5) => {
    row().job = { id, identity: identityOf(id), kind: 'restore', snapshot };
    sim.people.nudge('instance:1');
  };
  const sell = async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
  };
  /** Its retention is over. */
  const purge = async () => {
    await sell();
    sim.people.press(1, 'remove');
    await sim.time.pass(31 * DAY, 10 * MINUTE);
    expect(row()).to.include({ state: 'removed', reason: 'Purged', ports: null });
    expect(sim.databases.present.size).to.equal(0);
  };
  /** The same, without the days that it takes. */
  const gone = async () => {
    await sell();
    await sim.stop();
    sim.engine.die(1);
    sim.engine.projects.clear();
    sim.databases.present.clear();
    sim.databases.marks.clear();
    const { subscription } = row();
    if (!subscription) throw new Error('no subscription');
    const now = sim.time.now();
    const removed = { removedAt: now, archivedAt: now, dataRemovedAt: now };
    Object.assign(row(), { subscription: { ...subscription, ...removed }, ports: null });
    Object.assign(row(), { state: 'removed', desiredState: 'removed', reason: 'Purged' });
    await sim.start(new Life());
    await sim.time.pass(MINUTE);
  };
  /** The host is another one: Odoo alone knows of the instance. */
  const moveHost = async (templateCode = 'odoo') => {
    await sim.start();
    sim.people.create({ templateCode });
    sim.people.press(1, 'start');
    await sim.untilSettled();
    await sim.stop();
    sim.engine.die(1);
    sim.engine.projects.clear();
    sim.databases.present.clear();
    sim.databases.marks.clear();
    await sim.start(new Life());
    await sim.time.pass(MINUTE);
  };
  /** All parts are of one backup. */
  const data = () => {
    const parts = [sim.restores.secretsOf, sim.restores.filesOf, sim.restores.dataOf];
    return [...new Set(parts.map((of) => of.get(1)))];
  };

  it('brings a removed instance back from its backup, stopped, with ports again', async () => {
    await purge();
    ask();
    await sim.time.pass(MINUTE);
    expect(said()).to.deep.equal([
      ...['running FetchingBackup', 'running RestoringDatabase'],
      'done NothingReplaced',
    ]);
    expect(data()).to.deep.equal([SNAPSHOT]);
    expect(sim.databases.copies.get(1), 'its secrets stay').to.equal(false);
    expect(sim.databases.marks.get(1)).to.equal(row().identity);
    expect(row()).to.include({ state: 'stopped', job: null, active: true });
    expect(sim.restoring.unfinished.size).to.equal(0);
    sim.people.press(1, 'start');
    await sim.time.pass(MINUTE);
    expect(row()).to.include({ state: 'running' });
  });

  it('brings back on another host what Odoo wants to run, and starts it', async () => {
    for (const template of ['odoo', 'odoo-own-db']) {
      await sim.end();
      sim = new Simulation();
      await moveHost(template);
      expect(row()).to.include({ state: 'error', reason: 'FilesMissing' });
      ask();
      await sim.time.pass(5 * MINUTE, 1_000);
      expect(said().at(-1), template).to.equal('done NothingReplaced');
      expect(data(), template).to.deep.equal([SNAPSHOT]);
      expect(row(), template).to.include({ state: 'running', desiredState: 'running' });
    }
  });

  it('fetches the addons that the new host has not got, before anything of it is there', async () => {
    await moveHost();
    const commit = 'c'.repeat(40);
    const repositories = [aRepository({ commit })];
    Object.assign(row(), { repositories });
    sim.engine.brokenRepositories.set(
      repositories[0]?.url ?? '',
      new RetryableError('RepositoryUnreachable', 'no connection'),
    );
    ask();
    await sim.time.pass(MINUTE);
    expect(said().at(-1)).to.equal('failed RepositoryUnreachable');
    expect(sim.restoring.unfinished.size, 'nothing has begun').to.equal(0);
    sim.engine.brokenRepositories.clear();
    ask(SNAPSHOT, 6);
    await sim.time.pass(5 * MINUTE, 1_000);
    expect(said().at(-1)).to.equal('done NothingReplaced');
    expect(row()).to.include({ state: 'running' });
  });

  it('says why it cannot be, and can be asked for again', async () => {
    await gone();
    sim.restores.damaged.add(SNAPSHOT);
    ask();
    await sim.time.pass(MINUTE);
    expect(said().at(-1)).to.equal('failed BackupDamaged');
    expect(row(), 'nothing has changed').to.include({ state: 'removed', desiredState: 'removed' });
    ask(OTHER, 6);
    await sim.time.pass(MINUTE);
    expect(said().at(-1)).to.equal('done NothingReplaced');
    expect(data()).to.deep.equal([OTHER]);
  });

  it('leaves nothing of another backup whose restore failed half-way', async () => {
    await gone();
    const failed = new RetryableError('PostgresUnavailable', 'no');
    sim.life.failOnce('databases.restore', 'before', failed);
    ask();
    await sim.time.pass(MINUTE);
    expect(said().at(-1)).to.equal('failed PostgresUnavailable');
    expect(row()).to.include({ desiredState: 'draft' });
    expect(sim.restores.filesOf.get(1)).to.equal(SNAPSHOT);
    ask(OTHER, 6);
    await sim.time.pass(MINUTE);
    expect(data()).to.deep.equal([OTHER]);
    expect(row()).to.include({ state: 'stopped' });
  });

  it('that was complete but for its end is ended before another backup takes its place', async () => {
    await gone();
    const failed = new RetryableError('PostgresUnavailable', 'no');
    sim.life.failOnce('databases.restore', 'after', failed);
    ask();
    await sim.time.pass(MINUTE);
    expect(said().at(-1)).to.equal('failed PostgresUnavailable');
    ask(OTHER, 6);
    await sim.time.pass(2 * MINUTE);
    expect(said().at(-1), 'put in the place of the first, with an undo').to.equal('done');
    expect(sim.restores.dataOf.get(1)).to.equal(OTHER);
    expect(row()).to.include({ state: 'stopped' });
  });

  it('refuses where another instance’s data are in its place', async () => {
    await gone();
    sim.databases.present.add(1);
    sim.databases.marks.set(1, identityOf(2));
    ask();
    await sim.time.pass(MINUTE);
    expect(said().at(-1)).to.equal('failed ForeignData');
    expect(row()).to.include({ desiredState: 'removed' });
    expect(sim.restoring.unfinished.size).to.equal(0);
  });

  it('makes nothing beside a database that is still there', async () => {
    await gone();
    sim.databases.present.add(1);
    sim.databases.marks.set(1, row().identity);
    ask();
    await sim.time.pass(MINUTE);
    expect(said().at(-1)).to.equal('failed DatabaseExists');
    expect(row()).to.include({ desiredState: 'removed' });
    expect(sim.restoring.unfinished.size).to.equal(0);
  });

  it('keeps what it has restored from a removal that was decided before it', async () => {
    await gone();
    const [stale] = await sim.manager.desired([1]);
    if (!stale) throw new Error('no instance 1');
    ask();
    await sim.time.pass(MINUTE);
    const { signal } = new AbortController();
    const { purge: purgeNow } = makeActions(sim.context());
    await purgeNow({ ...stale, endsWithoutArchive: true }, { stop: signal, superseded: signal });
    expect(sim.databases.present.has(1)).to.equal(true);
    expect(data()).to.deep.equal([SNAPSHOT]);
    expect(sim.engine.projects.get(1)?.files).to.be.a('string');
  });

  for (const [what, begin, ends] of [
    ['of a removed instance', gone, 'stopped'],
    ['on another host', () => moveHost('odoo-own-db'), 'running'],
  ] as const)
    it(`${what} is finished once, whichever call the sidecar is killed before or after`, async function () {
      this.timeout(60_000);
      await killedAnywhere({
        begin: async () => {
          await sim.end();
          sim = new Simulation();
          await begin();
          return sim;
        },
        act: () => ask(),
        settle: () => sim.time.pass(5 * MINUTE, 1_000),
        check: (where) => {
          expect(data(), where).to.deep.equal([SNAPSHOT]);
          expect(row().job, where).to.equal(null);
          expect(row().state, where).to.equal(ends);
          expect(sim.restoring.unfinished.size, where).to.equal(0);
        },
      });
    });
});
