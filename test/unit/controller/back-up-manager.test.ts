import { expect } from 'chai';
import { RetryableError } from '../../../src/errors.ts';
import { FakeManagerBackups } from '../../fakes/manager-backups.ts';
import { Simulation } from '../../support/simulation.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('backups of the manager, in the loop', () => {
  let sim: Simulation;
  let store: FakeManagerBackups;
  beforeEach(() => {
    sim = new Simulation();
    store = new FakeManagerBackups(sim.time.now);
    sim.managerBackups = store;
    const soon = new Date(sim.time.now().getTime() + 10 * MINUTE);
    sim.backupTime = soon.toTimeString().slice(0, 5);
  });
  afterEach(() => sim.end());

  const made = () => store.kept.taken.get(0) ?? [];
  const taken = () => sim.life.calls.filter((call) => call === 'managerBackups.take').length;
  const said = () => sim.manager.ownBackups.at(-1);
  const night = () => sim.time.pass(20 * MINUTE, 1_000);

  it('are one a night, proven and told to Odoo, whether or not it has sold anything', async () => {
    await sim.start();
    await night();
    expect(made()).to.have.length(1);
    expect(made()[0]).to.include({ proof: 'data', isByHand: false });
    const at = (made()[0]?.date.getTime() ?? 0) / 1000;
    expect(said()).to.deep.equal([{ lastBackupAt: at, lastProofAt: at, lastFailureAt: 0 }, null]);
    await sim.time.pass(24 * HOUR, 1_000);
    expect(taken()).to.equal(2);
  });

  it('come after those of the instances, whose keys and lists they have', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    await night();
    const order = sim.life.calls.filter((call) => /[bB]ackups\.take$/.test(call));
    expect(order).to.deep.equal(['backups.take', 'managerBackups.take']);
  });

  it('are taken once a night, also where the sidecar is started again: the repository says what there is', async () => {
    await sim.start();
    await night();
    await sim.restart();
    await night();
    expect(made()).to.have.length(1);
  });

  it('that fail are told of and tried again in an hour', async () => {
    await sim.start();
    store.kept.refusal = new RetryableError('BackupServerAway', 'no', { detail: 'dial tcp' });
    await night();
    expect(said()?.[1]).to.deep.equal({ reason: 'BackupServerAway', detail: 'dial tcp' });
    const before = taken();
    await sim.time.pass(HOUR + 10 * MINUTE, 1_000);
    expect(taken()).to.equal(before + 1);
    store.kept.refusal = null;
    await sim.time.pass(HOUR + 10 * MINUTE, 1_000);
    expect(made()).to.have.length(1);
    expect(said()?.[1]).to.equal(null);
  });

  it('that fail their proof are told of until another is proven, and not proven again', async () => {
    await sim.start();
    store.kept.damaged.add(`${'0'.repeat(64)}`);
    await night();
    await sim.time.pass(3 * HOUR, 1_000);
    expect(made().map(({ proof }) => proof)).to.deep.equal(['failed']);
    expect(said()?.[1]).to.deep.equal({ reason: 'BackupDamaged', detail: '' });
    expect(sim.life.calls.filter((call) => call === 'managerBackups.prove')).to.have.length(1);
    await sim.time.pass(24 * HOUR, 1_000);
    expect(said()?.[1]).to.equal(null);
  });

  it('are not taken of a database that is in doubt', async () => {
    await sim.start();
    sim.memory.memory = { ...sim.memory.memory, checkpoint: 1e9 } as typeof sim.memory.memory;
    await night();
    expect(taken()).to.equal(0);
  });

  it('count as one more in the ages of proofs', async () => {
    await sim.start();
    await night();
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(sim.controller.backups).to.deep.include({ neverProven: 0 });
    expect(sim.controller.backups?.oldestProof).to.equal((made()[0]?.date.getTime() ?? 0) / 1000);
  });
});
