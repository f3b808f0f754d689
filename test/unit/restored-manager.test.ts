import { expect } from 'chai';
import { Life, type Moment } from '../fakes/life.ts';
import { audit } from '../support/audit.ts';
import { aPlan, identityOf } from '../support/samples.ts';
import { Simulation } from '../support/simulation.ts';

/** Containers that nobody has made by this product. */
const anOrphan = () => ({
  ...{
    mark: null,
    containersMark: null,
    files: null,
    madeFrom: null,
    limits: '',
    appsList: '',
    ports: null,
  },
  ...{ isDatabaseUp: false, isAnswering: false, containers: 'running' as const },
});

/** Longer than the sweep's five minutes. */
const SWEEP = 301_000;

describe('A manager’s database restored from an older backup', function () {
  this.timeout(60_000);
  let sim: Simulation;
  beforeEach(() => {
    sim = new Simulation();
  });
  afterEach(() => sim.end());

  const row = (id: number) => {
    const found = sim.manager.rows.get(id);
    if (!found) throw new Error(`no instance ${id}`);
    return found;
  };

  /** Sells `before` instances, takes a dump, sells `since` more and puts the dump back. */
  async function restored(before: number, since: number): Promise<void> {
    await sim.start();
    if (before > 0) sim.people.pay(before);
    await sim.untilSettled();
    const putBack = sim.manager.dump();
    if (since > 0) sim.people.pay(since);
    await sim.untilSettled();
    putBack();
  }

  it('sells and changes nothing, while running instances keep running', async () => {
    await restored(1, 2);
    const { changes } = sim;
    sim.people.pay();
    await sim.time.pass(60_000);
    expect([...sim.manager.rows.keys()]).to.deep.equal([1]);
    expect(sim.changes).to.equal(changes);
    expect(sim.manager.distrusted?.kind).to.equal('older');
    expect(sim.manager.distrusted?.found.map(({ id }) => String(id))).to.deep.equal(['2', '3']);
    expect([...sim.engine.projects.values()].map((it) => it.containers)).to.deep.equal(
      Array(3).fill('running'),
    );
    sim.engine.die(1);
    await sim.time.pass(60_000);
    expect(sim.engine.projects.get(1)?.containers, 'a customer’s own Odoo').to.equal('running');
  });

  it('is detected by the sweep where nothing is sold', async () => {
    await restored(1, 1);
    await sim.time.pass(SWEEP);
    expect(sim.manager.distrusted?.kind).to.equal('older');
    await sim.time.pass(SWEEP);
    const errors = sim.logged.filter(({ kind }) => kind === 'older');
    expect(errors, 'said once').to.have.length(1);
  });

  it('is detected by the checkpoint where nothing was sold since', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    const putBack = sim.manager.dump();
    await sim.time.pass(SWEEP);
    putBack();
    sim.people.pay();
    await sim.time.pass(60_000);
    expect(sim.manager.distrusted?.kind).to.equal('older');
  });

  /** Sells the one spare that is there, and puts back the dump from the moment before, all within one sweep. @returns its number */
  async function soldSpareIsBack(): Promise<number> {
    sim.spareMemoryMb = 1_000;
    sim.manager.forSale.set(5, aPlan({ id: 5, modules: [], spares: 1 }));
    await sim.start();
    await sim.untilSettled();
    const [id = 0] = sim.manager.spareRows.keys();
    const putBack = sim.manager.dump();
    sim.people.pay();
    await sim.time.pass(1_000);
    expect(row(id).state).to.equal('running');
    putBack();
    return id;
  }

  it('is detected at the next sale where all that was lost is the sale of a spare', async () => {
    const id = await soldSpareIsBack();
    sim.people.pay();
    await sim.time.pass(5_000);
    expect(sim.manager.distrusted?.kind).to.equal('older');
    expect(
      sim.manager.distrusted?.found.map((it) => it.id),
      'no spare to the host',
    ).to.deep.equal([id]);
    expect([...sim.manager.rows.keys()]).to.deep.equal([]);
  });

  it('gives nobody the Odoo of who bought a spare before, even where nothing else was lost', async () => {
    sim.manager.checkpoint = () => Promise.reject(new Error('Odoo ends here'));
    const id = await soldSpareIsBack();
    const mark = structuredClone(sim.engine.projects.get(id)?.mark);
    sim.people.pay();
    await sim.time.pass(60_000);
    expect(row(id)).to.include({ state: 'error', reason: 'ForeignData', wasReady: false });
    expect(row(id).identity, 'the same').to.equal(mark?.identity);
    expect(sim.engine.projects.get(id)?.mark).to.deep.equal(mark);
    expect(sim.engine.projects.get(id)?.containers, 'the first customer’s').to.equal('running');
  });

  it('is not concluded from a container without a valid id', async () => {
    await sim.start();
    for (const label of [Number.NaN, 2 ** 40]) sim.engine.projects.set(label, anOrphan());
    await sim.time.pass(SWEEP);
    sim.people.pay();
    await sim.untilSettled();
    expect(sim.manager.distrusted).to.equal(null);
  });

  it('is still known after a restart of the sidecar', async () => {
    await restored(1, 1);
    await sim.time.pass(SWEEP);
    await sim.restart();
    sim.people.pay();
    await sim.time.pass(60_000);
    expect([...sim.manager.rows.keys()]).to.deep.equal([1]);
  });

  it('is still known after a kill at any call of its detection', async () => {
    /** @returns the calls of the sidecar that was to be killed */
    const play = async (at: number, moment: Moment): Promise<readonly string[]> => {
      await sim.end();
      sim = new Simulation();
      await restored(1, 1);
      const life = new Life();
      life.killAt(at, moment);
      await sim.restart(life);
      sim.people.pay();
      await sim.time.pass(2_000);
      const { calls } = life;
      await sim.restart();
      await sim.time.pass(SWEEP);
      expect([...sim.manager.rows.keys()]).to.deep.equal([1]);
      expect(sim.manager.distrusted?.kind).to.equal('older');
      expect(sim.manager.distrusted?.found).to.have.length(1);
      const running = [...sim.engine.projects.values()].map((it) => it.containers);
      expect(running).to.deep.equal(['running', 'running']);
      return calls;
    };
    const calls = await play(Number.POSITIVE_INFINITY, 'before');
    expect(calls).to.include.members(['manager.handshake', 'memory.write', 'manager.distrust']);
    for (const [at, call] of calls.entries())
      for (const moment of ['before', 'after'] as const)
        await play(at, moment).catch((cause) => {
          throw new Error(`killed ${moment} call ${at}, ${call}: ${cause.message}`, { cause });
        });
  });

  it('suspends and removes nobody', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    row(1).desiredState = 'removed';
    const putBack = sim.manager.dump();
    row(1).desiredState = 'running';
    sim.people.pay();
    await sim.untilSettled();
    putBack();
    sim.people.nudge('instance:1');
    await sim.time.pass(60_000);
    expect(sim.engine.projects.get(1)?.containers).to.equal('running');
  });

  it('sells with a new number after a person has confirmed', async () => {
    await restored(1, 2);
    sim.people.pay();
    await sim.time.pass(60_000);
    sim.memory.confirm();
    await sim.time.until('it is sold', () => sim.manager.rows.get(4)?.state === 'running', 120_000);
    expect([...sim.manager.rows.keys()], 'not the numbers of those who are here').to.deep.equal([
      1, 4,
    ]);
  });

  it('gives a record with a reused number none of the other’s data', async () => {
    await restored(0, 1);
    const project = structuredClone(sim.engine.projects.get(1));
    // Somebody makes one by hand, at once.
    const id = sim.people.create();
    sim.people.press(id, 'start');
    await sim.time.pass(10_000);
    expect(id).to.equal(1);
    expect(row(1)).to.include({ state: 'error', reason: 'ForeignData', instanceUrl: '' });
    expect(row(1).mails).to.deep.equal([]);
    expect(sim.engine.projects.get(1)).to.deep.equal(project);
    for (const button of ['stop', 'remove'] as const) sim.people.press(1, button);
    await sim.time.pass(60_000);
    expect(sim.engine.projects.get(1)).to.deep.equal(project);
    expect(sim.databases.present.has(1)).to.equal(true);
  });

  it('is distrusted also as a copy', async () => {
    await restored(1, 0);
    sim.manager.databaseUuid = 'a copy';
    sim.people.pay();
    await sim.time.pass(60_000);
    expect(sim.manager.distrusted?.kind).to.equal('other');
    expect([...sim.manager.rows.keys()]).to.deep.equal([1]);
  });
});

describe('Existing data', () => {
  let sim: Simulation;
  beforeEach(async () => {
    sim = new Simulation();
    await sim.start();
  });
  afterEach(() => sim.end());

  it('of a foreign instance are not shown, mailed or started', async () => {
    sim.databases.present.add(1);
    sim.databases.marks.set(1, identityOf(1, 99));
    sim.people.pay();
    await sim.time.pass(10_000);
    const { mails, reason, state } = sim.manager.rows.get(1) ?? {};
    expect({ mails, reason, state }).to.deep.equal({
      mails: [],
      reason: 'ForeignData',
      state: 'error',
    });
    expect(sim.databases.invitations).to.equal(0);
    expect(sim.engine.projects.get(1)?.containers).to.equal('none');
  });

  it('of an earlier version are marked once, and not changed otherwise', async () => {
    sim.people.pay();
    await sim.untilSettled();
    const project = sim.engine.projects.get(1);
    const found = sim.manager.rows.get(1);
    if (!project || !found) throw new Error('no instance');
    sim.databases.marks.clear();
    Object.assign(project, { mark: null, containersMark: null });
    found.mayAdopt = true;
    const made = project.madeFrom;
    const before = sim.life.calls.length;
    sim.people.nudge('instance:1');
    await sim.time.pass(5_000);
    expect(found).to.include({ mayAdopt: false, state: 'running' });
    const calls = sim.life.calls.slice(before);
    expect(calls.indexOf('engine.adopt'), 'before its database is looked into')
      .to.be.greaterThan(-1)
      .and.to.be.lessThan(calls.indexOf('databases.observe'));
    expect(sim.databases.marks.get(1)).to.equal(found.identity);
    expect(project.mark?.identity).to.equal(found.identity);
    expect(project).to.include({ containers: 'running', madeFrom: made });
    audit(sim);
  });
});
