import { expect } from 'chai';
import { RetryableError } from '../../../src/errors.ts';
import type { Job } from '../../../src/instance/types.ts';
import { Life } from '../../fakes/life.ts';
import { killedAnywhere } from '../../support/killed-anywhere.ts';
import { identityOf } from '../../support/samples.ts';
import { Simulation } from '../../support/simulation.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('backups in the loop', () => {
  let sim: Simulation;
  beforeEach(() => {
    sim = new Simulation();
    const soon = new Date(sim.time.now().getTime() + 10 * MINUTE);
    sim.backupTime = soon.toTimeString().slice(0, 5);
  });
  afterEach(() => sim.end());

  const row = (id = 1) => {
    const found = sim.manager.rows.get(id);
    if (!found) throw new Error(`no instance ${id}`);
    return found;
  };
  const backups = (id = 1) => sim.manager.backups.get(id) ?? [];
  const containers = () => sim.engine.projects.get(1)?.containers;
  const taken = () => sim.life.calls.filter((call) => call === 'backups.take').length;
  /** Sells an instance, some minutes before the night begins. */
  const sell = async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
  };
  const begin = async () => {
    await sim.end();
    sim = new Simulation();
    await sell();
    return sim;
  };
  /** Into the night, until a sweep has looked. */
  const night = () => sim.time.pass(20 * MINUTE, 1_000);
  const ask = (kind: Job['kind'], snapshot = '', id = 5, life = 0) => {
    row().job = { id, identity: identityOf(id, life), kind, snapshot };
    sim.people.nudge('instance:1');
  };

  it('one a night of each instance, proven, and written down in Odoo', async () => {
    await sell();
    await night();
    expect(backups()).to.have.length(1);
    expect(['data', 'boot']).to.include(backups()[0]?.proof);
    await sim.time.pass(24 * HOUR, 1_000);
    expect(backups()).to.have.length(2);
    expect(taken()).to.equal(2);
  });

  it('none by itself where nights are switched off, but the one that a person asks for', async () => {
    sim.isNightly = false;
    await sell();
    await night();
    await sim.time.pass(24 * HOUR, 1_000);
    expect(taken()).to.equal(0);
    expect(sim.controller.backups, 'and no alarm').to.equal(null);
    // Nobody has nudged: the sweep finds it.
    row().job = { id: 5, identity: identityOf(5), kind: 'backup', snapshot: '' };
    await sim.time.pass(6 * MINUTE, 1_000);
    expect(backups()).to.have.length(1);
  });

  it('Odoo is started with one of seven a night, and where a person asks for a proof', async () => {
    await sell();
    for (let more = 0; more < 6; more++) sim.people.pay();
    await sim.untilSettled();
    await night();
    const newest = () => [1, 2, 3, 4, 5, 6, 7].map((id) => backups(id).at(-1)?.proof);
    expect(newest().sort()).to.deep.equal(['boot', ...Array(6).fill('data')]);
    const other = backups(1).at(-1)?.proof === 'data' ? 1 : 2;
    const snapshot = backups(other).at(-1)?.snapshot ?? '';
    row(other).job = { id: 5, identity: identityOf(5), kind: 'prove', snapshot };
    sim.people.nudge(`instance:${other}`);
    await sim.time.pass(MINUTE);
    expect(backups(other).at(-1)?.proof).to.equal('boot');
  });

  it('of a stopped and of a suspended instance too, none of a draft or a removed one', async () => {
    await sell();
    sim.people.pay();
    await sim.untilSettled();
    sim.people.press(1, 'stop');
    sim.people.press(2, 'remove');
    sim.people.create();
    await night();
    expect([...sim.backups.taken.keys()]).to.deep.equal([1]);
    expect(backups()).to.have.length(1);
  });

  it('where none can be taken, why; it is tried again in an hour, and the others go on', async () => {
    await sell();
    sim.people.pay();
    await sim.untilSettled();
    sim.backups.refusal = new RetryableError('BackupServerAway', 'no', { detail: 'refused' });
    await sim.time.pass(3 * HOUR, 1_000);
    expect(sim.manager.backupFailures.get(1)).to.include({ reason: 'BackupServerAway' });
    expect(sim.manager.backupFailures.get(2)).to.include({ reason: 'BackupServerAway' });
    const attempts = taken();
    expect(attempts, 'about one an hour of each').to.be.within(4, 8);
    sim.backups.refusal = null;
    await sim.time.pass(HOUR + 5 * MINUTE, 1_000);
    expect(backups(1)).to.have.length(1);
    expect(backups(2)).to.have.length(1);
  });

  it('one that fails its proof stays listed as failed; the next night makes another', async () => {
    await sell();
    await night();
    const [first] = backups();
    sim.backups.damaged.add(first?.snapshot ?? '');
    ask('prove', first?.snapshot);
    await sim.time.pass(MINUTE);
    expect(backups()[0]).to.include({ proof: 'failed', reason: 'BackupDamaged' });
    expect(sim.manager.jobs.at(-1)).to.include({ state: 'failed', reason: 'BackupDamaged' });
    await sim.time.pass(2 * HOUR, 1_000);
    expect(sim.life.calls.filter((call) => call === 'backups.prove')).to.have.length(2);
    await sim.time.pass(22 * HOUR, 1_000);
    expect(['data', 'boot']).to.include(backups().at(-1)?.proof);
  });

  it('now, for a person who waits, with its progress', async () => {
    await sell();
    ask('backup');
    await sim.time.pass(MINUTE);
    const said = sim.manager.jobs.map(({ state, reason }) => `${state} ${reason}`.trim());
    expect(said).to.deep.equal(['running BackingUp', 'running Proving', 'done']);
    expect(row().job).to.equal(null);
    expect(backups()).to.have.length(1);
  });

  it('now, also while another instance’s backup of the night takes long; what waits shows in the backlog', async () => {
    await sell();
    sim.people.pay();
    await sim.untilSettled();
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    sim.backups.whileTaken = () => {
      sim.backups.whileTaken = async () => {};
      return held;
    };
    await night();
    expect(backups(1)).to.have.length(0);
    expect(sim.controller.backlogSeconds, 'the second instance waits').to.be.above(60);
    row(2).job = { id: 6, identity: identityOf(6), kind: 'backup', snapshot: '' };
    sim.people.nudge('instance:2');
    await sim.time.pass(MINUTE);
    expect(sim.manager.jobs.at(-1)).to.include({ state: 'done' });
    expect(backups(2)).to.have.length(1);
    ask('backup');
    await sim.time.pass(MINUTE);
    expect(sim.manager.jobs.at(-1), 'its own waits').to.include({ id: 6 });
    letGo();
    await sim.time.pass(MINUTE);
    expect(row().job).to.equal(null);
    expect(backups(1)).to.have.length(2);
    expect(taken(), 'of the second the night makes no further one').to.equal(3);
  });

  it('starts the own Postgres of a stopped instance for it, and stops it only afterwards', async () => {
    await sim.start();
    sim.people.create({ templateCode: 'odoo-own-db' });
    sim.people.press(1, 'start');
    await sim.untilSettled();
    sim.people.press(1, 'stop');
    await sim.untilSettled();
    expect(sim.engine.isDatabaseUp(1)).to.equal(false);
    const up: boolean[] = [];
    // Kept on the same server.
    sim.restores.whileDropped = () => void up.push(sim.engine.isDatabaseUp(1));
    sim.backups.whileTaken = async () => {
      // As Docker's event of the start does.
      sim.people.nudge('instance:1');
      await sim.time.pass(5_000);
      up.push(sim.engine.isDatabaseUp(1));
    };
    ask('backup');
    await sim.time.pass(MINUTE);
    expect(up).to.deep.equal([true, true]);
    expect(sim.manager.jobs.at(-1)).to.include({ state: 'done' });
    expect(containers()).to.equal('stopped');
    expect(row()).to.include({ state: 'stopped' });
  });

  it('is tried again when the sidecar was killed while a person waited', async () => {
    await sell();
    for (const moment of ['before', 'after'] as const) {
      const remove = sim.life.trap((call, at) => {
        if (call === 'backups.take' && at === moment) sim.life.kill();
      });
      ask('backup');
      await sim.time.pass(MINUTE);
      remove();
      await sim.stop();
      await sim.start(new Life());
      await sim.time.pass(MINUTE);
      expect(row().job, moment).to.equal(null);
      expect(sim.manager.jobs.at(-1)).to.include({ state: 'done' });
    }
  });

  it('makes none while the manager’s database is in doubt', async () => {
    await sell();
    sim.memory.memory = { ...sim.memory.memory, checkpoint: 1e9 } as typeof sim.memory.memory;
    await night();
    expect(taken()).to.equal(0);
  });

  it('tells who waits for a backup of what was removed meanwhile', async () => {
    await sell();
    sim.people.press(1, 'remove');
    await sim.untilSettled();
    ask('backup');
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(sim.manager.jobs.at(-1)).to.include({ state: 'failed', reason: 'BackupGone' });
  });

  describe('a restore into the same instance', () => {
    const SNAPSHOT = 'a'.repeat(64);
    const data = () => sim.restores.dataOf.get(1) ?? '';
    const said = () => sim.manager.jobs.map(({ state, reason }) => `${state} ${reason}`.trim());

    it('is prepared while the instance runs, swapped while it is stopped, and started again', async () => {
      await sell();
      const stopped: string[] = [];
      sim.life.trap((call, moment) => {
        if (moment === 'before' && /^restores\./.test(call) && containers() !== 'running')
          stopped.push(call);
      });
      ask('restore', SNAPSHOT);
      await sim.time.pass(MINUTE);
      expect(data()).to.equal(SNAPSHOT);
      expect(new Set(stopped)).to.deep.equal(new Set(['restores.carryOut']));
      expect(said()).to.deep.equal([
        ...['running BackingUp', 'running FetchingBackup', 'running RestoringDatabase'],
        ...['running SwappingData', 'done'],
      ]);
      expect(row()).to.include({ state: 'running', job: null });
      expect(containers()).to.equal('running');
    });

    it('and its undo bring the data back', async () => {
      await sell();
      ask('restore', SNAPSHOT);
      await sim.time.pass(MINUTE);
      ask('undo_restore', '', 6);
      await sim.time.pass(MINUTE);
      expect(data()).to.equal('');
      expect(said().at(-1)).to.equal('done');
    });

    it('backs the present data up first, and goes without only where nothing is lost by it', async () => {
      await sell();
      sim.backups.refusal = new RetryableError('BackupServerAway', 'no');
      ask('restore', SNAPSHOT);
      await sim.time.pass(MINUTE);
      expect(data(), 'what it replaces is kept beside the instance').to.equal(SNAPSHOT);
      ask('restore', 'b'.repeat(64), 6);
      await sim.time.pass(MINUTE);
      expect(said().at(-1)).to.equal('failed BackupServerAway');
      expect(data()).to.equal(SNAPSHOT);
      sim.backups.refusal = null;
      ask('restore', 'b'.repeat(64), 7);
      await sim.time.pass(MINUTE);
      expect(data()).to.equal('b'.repeat(64));
      expect(sim.backups.taken.get(1)?.map(({ isByHand }) => isByHand)).to.deep.equal([true]);
      expect(backups(), 'and Odoo lists it').to.have.length(1);
    });

    it('is finished though the instance is removed while it waits to be swapped', async () => {
      await sell();
      const remove = sim.life.trap((call, moment) => {
        if (call === 'restores.carryOut' && moment === 'before') {
          remove();
          sim.people.press(1, 'remove');
          throw new RetryableError('DockerUnavailable', 'no');
        }
      });
      ask('restore', SNAPSHOT);
      await sim.time.pass(2 * MINUTE);
      expect(data()).to.equal(SNAPSHOT);
      expect(said().at(-1)).to.equal('done');
      expect(containers()).to.equal('none');
    });

    it('is another one than an earlier job of its number: a manager that was restored gives numbers again', async () => {
      await sell();
      ask('restore', SNAPSHOT);
      await sim.time.pass(MINUTE);
      expect(data()).to.equal(SNAPSHOT);
      ask('restore', 'b'.repeat(64), 5, 1);
      await sim.time.pass(MINUTE);
      expect(data()).to.equal('b'.repeat(64));
      expect(said().at(-1)).to.equal('done');
    });

    it('makes nothing beside an instance that was purged while it waited', async () => {
      await sell();
      const remove = sim.life.trap((call, moment) => {
        if (call !== 'backups.take' || moment !== 'after') return;
        remove();
        const { subscription } = row();
        if (subscription) row().subscription = { ...subscription, dataRemovedAt: sim.time.now() };
      });
      ask('restore', SNAPSHOT);
      await sim.time.pass(MINUTE);
      expect(row().subscription?.dataRemovedAt).to.be.a('date');
      expect(sim.life.calls).not.to.include('restores.prepare');
      expect(sim.manager.jobs.at(-1)).to.include({ state: 'failed', reason: 'BackupGone' });
    });

    it('leaves a stopped instance stopped', async () => {
      await sell();
      sim.people.press(1, 'stop');
      await sim.untilSettled();
      ask('restore', SNAPSHOT);
      await sim.time.pass(MINUTE);
      expect(data()).to.equal(SNAPSHOT);
      expect(containers()).to.equal('stopped');
    });

    it('that cannot be prepared changes nothing, and says why', async () => {
      await sell();
      sim.restores.damaged.add(SNAPSHOT);
      ask('restore', SNAPSHOT);
      await sim.time.pass(MINUTE);
      expect(data()).to.equal('');
      expect(containers()).to.equal('running');
      expect(said().at(-1)).to.equal('failed BackupDamaged');
      ask('undo_restore', '', 6);
      await sim.time.pass(MINUTE);
      expect(said().at(-1)).to.equal('failed NothingToUndo');
    });

    it('is finished once, whichever call the sidecar is killed before or after', async () => {
      await killedAnywhere({
        begin,
        act: () => ask('restore', SNAPSHOT),
        settle: () => sim.time.pass(MINUTE),
        check: (where) => {
          expect(sim.restores.dataOf.get(1), where).to.equal(SNAPSHOT);
          expect(row().job, where).to.equal(null);
          expect(sim.engine.projects.get(1)?.containers, where).to.equal('running');
        },
      });
    });
  });

  describe('an erasure', () => {
    /** Its data were removed, or are about to be. */
    const end = () => {
      const { subscription } = row();
      if (!subscription) throw new Error('no subscription');
      const now = sim.time.now();
      const moments = { removedAt: now, finalNoticeAt: now, archivedAt: now, dataRemovedAt: now };
      Object.assign(row(), { desiredState: 'removed', endsWithoutArchive: true });
      row().subscription = { ...subscription, ...moments };
    };
    const askToErase = () => {
      const askedBy = 'Ana <ana@example.com>';
      row().job = { id: 5, identity: identityOf(5), kind: 'erase', snapshot: '', askedBy };
      sim.people.nudge('instance:1');
    };
    const jobSaid = () => sim.manager.jobs.at(-1);

    it('removes the data that are left, then the backups, and Odoo lists none', async () => {
      await sell();
      await night();
      expect(backups()).to.have.length(1);
      end();
      askToErase();
      await sim.time.pass(6 * MINUTE, 1_000);
      expect(sim.databases.present.has(1)).to.equal(false);
      const { calls } = sim.life;
      expect(calls.indexOf('erasures.erase')).to.be.above(calls.indexOf('engine.purge'));
      expect(sim.erasures.askedBy.get(1)).to.equal('Ana <ana@example.com>');
      expect(sim.backups.taken.get(1) ?? []).to.deep.equal([]);
      expect(backups()).to.deep.equal([]);
      expect(jobSaid()).to.include({ state: 'done' });
    });

    it('is ended after a kill at any call', async function () {
      this.timeout(120_000);
      await killedAnywhere({
        begin,
        act: () => {
          end();
          askToErase();
        },
        settle: (after) => after.time.pass(6 * MINUTE, 1_000),
        check: (where) => {
          expect(sim.erasures.askedBy.has(1), where).to.equal(true);
          expect(jobSaid(), where).to.include({ state: 'done' });
          expect(sim.databases.present.has(1), where).to.equal(false);
        },
      });
    });

    it('fails, once, where another’s data lie under the number', async () => {
      await sell();
      end();
      sim.databases.marks.set(1, identityOf(9));
      askToErase();
      await sim.time.pass(6 * MINUTE, 1_000);
      const ended = sim.manager.jobs.filter(({ state }) => state === 'failed');
      expect(ended).to.have.length(1);
      expect(ended[0]).to.include({ reason: 'ForeignData', detail: 'database' });
      expect(sim.life.calls).not.to.include('erasures.erase');
    });

    it('is refused as long as the data are not to be removed', async () => {
      await sell();
      askToErase();
      await sim.time.pass(6 * MINUTE, 1_000);
      expect(jobSaid()).to.include({ state: 'failed', reason: 'StillHasData' });
      expect(sim.erasures.askedBy.size).to.equal(0);
      expect(sim.databases.present.has(1)).to.equal(true);
    });
  });

  describe('an export', () => {
    const SNAPSHOT = 'ab'.repeat(32);
    const said = () => sim.manager.jobs.map(({ state, reason }) => `${state} ${reason}`.trim());

    it('is written, and said to be done', async () => {
      await sell();
      ask('export', SNAPSHOT);
      await sim.time.pass(MINUTE);
      expect(sim.exports.snapshots.get(1)).to.equal(SNAPSHOT);
      expect(said()).to.deep.equal(['running FetchingBackup', 'running WritingExport', 'done']);
      expect(containers()).to.equal('running');
      expect(sim.life.calls.filter((call) => call.startsWith('restores.'))).to.deep.equal([
        'restores.prepared',
      ]);
    });

    it('is written of a stopped instance too, which stays stopped', async () => {
      await sell();
      sim.people.press(1, 'stop');
      await sim.untilSettled();
      ask('export', SNAPSHOT);
      await sim.time.pass(MINUTE);
      expect(said().at(-1)).to.equal('done');
      expect(containers()).to.equal('stopped');
    });

    it('of a removed instance, or of what cannot be read, says why there is none', async () => {
      await sell();
      sim.exports.damaged.add(SNAPSHOT);
      ask('export', SNAPSHOT);
      await sim.time.pass(MINUTE);
      expect(said().at(-1)).to.equal('failed BackupDamaged');
      sim.people.press(1, 'remove');
      await sim.untilSettled();
      ask('export', SNAPSHOT, 6);
      await sim.time.pass(MINUTE);
      expect(said().at(-1)).to.equal('failed BackupGone');
      expect(row().job).to.equal(null);
    });

    it('is finished once, whichever call the sidecar is killed before or after', async () => {
      await killedAnywhere({
        begin,
        act: () => ask('export', SNAPSHOT),
        settle: () => sim.time.pass(MINUTE),
        check: (where) => {
          expect(sim.exports.written, where).to.equal(1);
          expect(row().job, where).to.equal(null);
          expect(said().at(-1), where).to.equal('done');
          expect(containers(), where).to.equal('running');
        },
      });
    });

    it('is looked at by each sweep: what is too old goes', async () => {
      await sell();
      const before = sim.exports.drops;
      await sim.time.pass(HOUR, 1_000);
      expect(sim.exports.drops).to.be.greaterThan(before);
    });
  });
});
