import { expect } from 'chai';
import { ManagerError, TerminalError } from '../../../src/errors.ts';
import type { Job } from '../../../src/instance/types.ts';
import { killedAnywhere } from '../../support/killed-anywhere.ts';
import { identityOf } from '../../support/samples.ts';
import { Simulation } from '../../support/simulation.ts';

const MINUTE = 60_000;

describe('an update of an instance', function () {
  this.timeout(60_000);
  let sim: Simulation;
  beforeEach(async () => {
    sim = new Simulation();
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.engine.newestImage = 'sha256:newer';
  });
  afterEach(() => sim.end());

  const row = () => {
    const found = sim.manager.rows.get(1);
    if (!found) throw new Error('no instance');
    return found;
  };
  const project = () => sim.engine.projects.get(1);
  const data = () => sim.restores.dataOf.get(1) ?? '';
  const said = () => sim.manager.jobs.map(({ state, reason }) => `${state} ${reason}`.trim());
  const ask = (kind: Job['kind'], id = 5) => {
    row().job = { id, identity: identityOf(id), kind, snapshot: '' };
    sim.people.nudge('instance:1');
  };
  /** The image, the data and the running container are all of one version. */
  const expectVersion = (image: string, where = '') => {
    const updated = image === 'sha256:first' ? '' : `updated to ${image}`;
    expect(data(), where).to.equal(updated);
    expect(row().imageDigest, where).to.equal(image);
    expect(project()?.madeFrom, where).to.include(image);
    expect(project()?.containers, where).to.equal('running');
    expect(row().job, where).to.equal(null);
  };

  it('is rehearsed on a proven backup while it runs, made while it is stopped, and started with its new image', async () => {
    const states: Array<string | undefined> = [];
    sim.life.trap((call, moment) => {
      if (moment === 'before' && (call === 'updates.rehearse' || call === 'updates.make'))
        states.push(project()?.containers);
    });
    ask('update');
    await sim.time.pass(MINUTE);
    expect(states).to.deep.equal(['running', 'stopped']);
    expect(said()).to.include.members(['running Rehearsing', 'running Updating', 'done']);
    expect(sim.backups.taken.get(1), 'there was none yet').to.have.length(1);
    expectVersion('sha256:newer');
  });

  it('whose rehearsal fails is told with the reason, and its customer notices nothing', async () => {
    sim.updates.fails = 'rehearsed';
    const stops = sim.life.calls.filter((call) => call === 'engine.stop').length;
    ask('update');
    await sim.time.pass(MINUTE);
    expect(sim.manager.jobs.at(-1)).to.include({ state: 'failed', reason: 'UpdateFailed' });
    expect(sim.life.calls.filter((call) => call === 'engine.stop')).to.have.length(stops);
    expectVersion('sha256:first');
  });

  it('that fails on the present data leaves them and the versions as they were, and its customer up', async () => {
    sim.updates.fails = 'made';
    ask('update');
    await sim.time.pass(MINUTE);
    expect(sim.manager.jobs.at(-1)).to.include({ state: 'failed', reason: 'UpdateFailed' });
    expectVersion('sha256:first');
    expect(await sim.restores.prepared({ id: 1 }), 'nothing is left of it').to.equal('');
    sim.updates.fails = 'never';
    ask('update', 6);
    await sim.time.pass(MINUTE);
    expectVersion('sha256:newer');
  });

  it('is made all the same where Odoo does not answer for a moment', async () => {
    const removeTrap = sim.life.trap((call, moment) => {
      if (call !== 'engine.stop' || moment !== 'after') return;
      removeTrap();
      sim.life.failOnce('manager.reportJob', 'before', new ManagerError('transport', 'away'));
    });
    ask('update');
    await sim.time.pass(MINUTE);
    expect(sim.life.calls).not.to.include('updates.abandon');
    expect(said()).not.to.include('failed Unexpected');
    expectVersion('sha256:newer');
  });

  it('whose last step wants a person first is tried again at the next sweep, not without end', async () => {
    let tries = 0;
    const mend = sim.life.trap((call, moment) => {
      if (call !== 'engine.stop' || moment !== 'before') return;
      tries += 1;
      // A loop without end would never come back to this test.
      if (tries < 50) throw new TerminalError('UnknownTemplate', 'There is no such template.');
    });
    ask('update');
    await sim.time.pass(MINUTE);
    expect(tries).to.be.within(1, 3);
    expect(row().state).to.equal('error');
    mend();
    await sim.time.pass(6 * MINUTE);
    expectVersion('sha256:newer');
  });

  it('is refused where nothing is newer, and there is nothing to undo before one', async () => {
    ask('undo_update');
    await sim.time.pass(MINUTE);
    expect(sim.manager.jobs.at(-1)).to.include({ state: 'failed', reason: 'NothingToUndo' });
    sim.engine.newestImage = 'sha256:first';
    ask('update', 6);
    await sim.time.pass(MINUTE);
    expect(sim.manager.jobs.at(-1)).to.include({ state: 'failed', reason: 'NothingToUpdate' });
    expectVersion('sha256:first');
  });

  it('is undone with its data and its versions', async () => {
    ask('update');
    await sim.time.pass(MINUTE);
    ask('undo_update', 6);
    await sim.time.pass(MINUTE);
    expect(said().at(-1)).to.equal('done');
    expectVersion('sha256:first');
  });

  it('is rehearsed on a backup of the versions that it runs, not on one from before the last update or its undo', async () => {
    const rehearsedOn: number[] = [];
    sim.life.trap((call, moment) => {
      if (moment === 'before' && call === 'updates.rehearse')
        rehearsedOn.push(sim.backups.taken.get(1)?.length ?? 0);
    });
    for (const [index, kind] of (['update', 'undo_update', 'update'] as const).entries()) {
      ask(kind, 5 + index);
      await sim.time.pass(MINUTE);
    }
    expect(rehearsedOn).to.deep.equal([1, 2]);
    sim.engine.newestImage = 'sha256:newest';
    sim.updates.fails = 'rehearsed';
    for (const id of [8, 9]) {
      ask('update', id);
      await sim.time.pass(MINUTE);
    }
    expect(rehearsedOn, 'the second is of the data as they are').to.deep.equal([1, 2, 3, 3]);
  });

  it('of a stopped instance leaves it stopped, with the new image for its next start', async () => {
    sim.people.press(1, 'stop');
    await sim.untilSettled();
    ask('update');
    await sim.time.pass(MINUTE);
    expect(project()?.containers).to.equal('stopped');
    sim.people.press(1, 'start');
    await sim.untilSettled();
    expectVersion('sha256:newer');
  });

  for (const [kind, image] of [
    ['update', 'sha256:newer'],
    ['undo_update', 'sha256:first'],
  ] as const)
    it(`survives a kill at any call of ${kind}: it is finished, and data and versions are of one kind`, async () => {
      const begin = async () => {
        await sim.end();
        sim = new Simulation();
        await sim.start();
        sim.people.pay();
        await sim.untilSettled();
        sim.engine.newestImage = 'sha256:newer';
        if (kind === 'undo_update') {
          ask('update', 4);
          await sim.time.pass(MINUTE);
        }
        return sim;
      };
      await killedAnywhere({
        begin,
        act: () => ask(kind),
        settle: (again) => again.time.pass(MINUTE),
        check: (where) => expectVersion(image, where),
      });
    });
});
