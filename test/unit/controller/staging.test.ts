import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Report } from '../../../src/instance/types.ts';
import { Simulation } from '../../support/simulation.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('a staging copy in the loop', () => {
  let sim: Simulation;
  beforeEach(() => {
    sim = new Simulation();
    const soon = new Date(sim.time.now().getTime() + 10 * MINUTE);
    sim.backupTime = soon.toTimeString().slice(0, 5);
  });
  afterEach(() => sim.end());

  const row = (id: number) => {
    const found = sim.manager.rows.get(id);
    if (!found) throw new Error(`no instance ${id}`);
    return found;
  };
  const calls = (name: string) => sim.life.calls.filter((call) => call === name);
  const containers = (id: number) => sim.engine.projects.get(id)?.containers ?? 'none';
  /** Sells instance 1 and has it copied as instance 2, which Odoo is told of in a moment. */
  const stage = async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    return sim.people.stage(1);
  };

  it('is made from the backup, without a template, and told as no sale', async () => {
    const id = await stage();
    const clones = calls('databases.clone').length;
    const reports: Report[] = [];
    const report = sim.manager.report.bind(sim.manager);
    sim.manager.report = async (some) => {
      reports.push(...some);
      await report(some);
    };
    await sim.untilSettled();
    expect(sim.copies.madeOf.get(id)).to.equal('ab'.repeat(32));
    expect(calls('databases.clone')).to.have.length(clones);
    expect(row(id)).to.include({ state: 'running', reason: 'Running' });
    expect(row(id).mails).to.deep.equal([]);
    expect(reports.some((one) => one.id === id && one.state === 'running')).to.equal(true);
    expect(reports.filter(({ secondsToReady }) => secondsToReady !== undefined)).to.deep.equal([]);
    expect(sim.firewall.areThere).to.equal(true);
  });

  it('is not backed up, and counts for no proof and no metric', async () => {
    const id = await stage();
    await sim.untilSettled();
    await sim.time.pass(26 * HOUR, 1_000);
    expect([...sim.backups.taken.keys()]).to.deep.equal([1]);
    expect(sim.controller.states).to.deep.equal(['running']);
    expect(sim.controller.backups).to.include({ neverProven: 0 });
    row(id).job = { id: 5, identity: randomUUID(), kind: 'backup', snapshot: '' };
    sim.people.nudge(`instance:${id}`);
    await sim.time.pass(MINUTE);
    expect(sim.manager.jobs.at(-1)).to.include({ id: 5, state: 'failed' });
    expect([...sim.backups.taken.keys()]).to.deep.equal([1]);
  });

  it('never starts where its modules keep it from being neutralised', async () => {
    sim.copies.hostile.add('ab'.repeat(32));
    const id = await stage();
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(row(id)).to.include({ state: 'error', reason: 'NeutraliseFailed', detail: 'no' });
    expect(sim.copies.begun, 'a retry would end as this did').to.equal(1);
    expect(containers(id)).to.equal('none');
    sim.people.press(id, 'remove');
    await sim.untilSettled();
    expect(row(1).state).to.equal('running');
  });

  it('does not start where no firewall keeps it in, and starts once there is one', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.firewall.isUsable = false;
    const id = sim.people.stage(1);
    await sim.time.pass(2 * MINUTE);
    expect(row(id)).to.include({ state: 'error', reason: 'CopyNotClosed' });
    expect(containers(id)).to.equal('none');
    sim.firewall.isUsable = true;
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(containers(id)).to.equal('running');
    sim.firewall.isUsable = false;
    sim.people.press(id, 'restart');
    await sim.time.pass(2 * MINUTE);
    expect(row(id).reason).to.equal('CopyNotClosed');
  });

  it('that hangs is not restarted either while nothing keeps it in', async () => {
    await sim.start();
    sim.people.pay(3);
    await sim.untilSettled();
    const id = sim.people.stage(1);
    await sim.untilSettled();
    await sim.time.pass(5 * MINUTE, 1_000);
    sim.firewall.isUsable = false;
    sim.engine.hang(id);
    sim.engine.curable.add(id);
    await sim.time.until('it is told', () => row(id).reason === 'CopyNotClosed', 10 * MINUTE);
    expect(calls('engine.restart')).to.deep.equal([]);
    sim.firewall.isUsable = true;
    await sim.time.until('restarted', () => calls('engine.restart').length === 1, 10 * MINUTE);
  });

  it('with a Postgres of its own begins with an empty one', async () => {
    await sim.start();
    const original = sim.people.create({ templateCode: 'odoo-own-db' });
    sim.people.press(original, 'start');
    await sim.untilSettled();
    const prepared = calls('databases.prepareFor').length;
    const id = sim.people.stage(original);
    await sim.untilSettled();
    expect(containers(id)).to.equal('running');
    expect(calls('databases.prepareFor')).to.have.length(prepared);
  });

  it('is refused without memory, and goes on when there is some; the others wait for theirs as ever', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.hasMemory = false;
    const id = sim.people.stage(1);
    await sim.time.pass(MINUTE);
    expect(row(id)).to.include({ state: 'error', reason: 'NotEnoughMemory' });
    expect(sim.copies.begun).to.equal(0);
    sim.hasMemory = true;
    await sim.time.pass(10 * MINUTE, 1_000);
    await sim.untilSettled();
    expect(containers(id)).to.equal('running');
  });

  it('is purged when it is removed, without an archive, and so is one that never came to be', async () => {
    const id = await stage();
    await sim.untilSettled();
    sim.people.press(id, 'remove');
    await sim.untilSettled();
    expect(row(id)).to.include({ state: 'removed', reason: 'Purged', active: false });
    expect(sim.databases.present.has(id)).to.equal(false);
    expect(sim.engine.projects.get(id)?.files ?? null).to.equal(null);
    expect(calls('archives.verify').concat(calls('archives.write'))).to.deep.equal([]);
    expect(sim.databases.present.has(1)).to.equal(true);
    const second = sim.people.stage(1);
    sim.people.press(second, 'remove');
    await sim.untilSettled();
    expect(row(second).reason).to.equal('Purged');
  });

  it('is not removed for a manager in doubt', async () => {
    const id = await stage();
    await sim.untilSettled();
    await sim.stop();
    sim.manager.databaseUuid = 'another';
    sim.people.press(id, 'remove');
    await sim.start();
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(sim.databases.present.has(id)).to.equal(true);
  });
});
