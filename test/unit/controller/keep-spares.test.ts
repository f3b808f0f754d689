import { expect } from 'chai';
import { ManagerError, RetryableError } from '../../../src/errors.ts';
import { audit } from '../../support/audit.ts';
import { aPlan, aSpare } from '../../support/samples.ts';
import { Simulation } from '../../support/simulation.ts';

const MINUTE = 60_000;
const PLAN = 5;

describe('spares in the loop', () => {
  let sim: Simulation;
  beforeEach(() => {
    sim = new Simulation();
    sim.spareMemoryMb = 1_000;
    sell({ spares: 1 });
  });
  afterEach(async () => {
    audit(sim);
    await sim.end();
  });

  const sell = (over: Parameters<typeof aPlan>[0]) =>
    sim.manager.forSale.set(PLAN, aPlan({ id: PLAN, modules: [], ...over }));
  const states = () => [...sim.manager.spareRows.values()].map(({ spareState }) => spareState);
  const numbers = () => [...sim.manager.spareRows.keys()];
  const calls = (name: string) => sim.life.calls.filter((call) => call === name).length;
  const started = async () => {
    await sim.start();
    await sim.untilSettled();
  };

  it('are made, rehearsed in each language, and ready last', async () => {
    await started();
    expect(states()).to.deep.equal(['ready']);
    expect(calls('engine.rehearse'), 'in two languages').to.equal(2);
    const said = sim.life.calls.indexOf('manager.reportSpare');
    expect(sim.life.calls.indexOf('databases.endRehearsal')).to.be.below(said);
    expect(sim.life.calls.indexOf('engine.forgetSessions')).to.be.below(said);
  });

  it('become the instance that is sold: nothing is cloned and nothing started for it', async () => {
    await started();
    const [id] = numbers();
    const before = [calls('databases.clone'), calls('engine.start')];
    sim.people.pay();
    await sim.time.pass(1_000);
    const row = sim.manager.rows.get(id as number);
    expect(row).to.include({ state: 'running', reason: 'Running', wasReady: true });
    expect([calls('databases.clone'), calls('engine.start')]).to.deep.equal(before);
    expect(sim.databases.madeFor.get(id as number)).to.equal(row?.identity);
    expect(sim.engine.projects.get(id as number)?.mark?.isSpare).to.equal(false);
    expect(row?.log.join(' ')).to.include('hand-over');
  });

  it('are replaced once nobody has started for a while', async () => {
    await started();
    sim.people.pay();
    await sim.time.pass(15_000);
    sim.people.pay();
    await sim.time.pass(15_000);
    expect(numbers(), 'two sales ago half a minute is not quiet').to.deep.equal([]);
    await sim.time.pass(10_000);
    expect(states()).to.deep.equal(['ready']);
  });

  it('go for those who wait for memory, and come back when there is enough', async () => {
    await started();
    const [id] = numbers();
    sim.hasMemory = false;
    // Made by hand: it takes no spare.
    sim.people.press(sim.people.create(), 'start');
    await sim.time.pass(2_000);
    expect(numbers()).to.deep.equal([]);
    expect(sim.engine.projects.has(id as number), 'its containers and files').to.equal(false);
    sim.hasMemory = true;
    await sim.untilSettled(10 * MINUTE);
    expect(states()).to.deep.equal(['ready']);
  });

  it('are not made where they would have to go again soon', async () => {
    sim.besidesMb = 200;
    await sim.start();
    await sim.time.pass(MINUTE);
    expect(numbers()).to.deep.equal([]);
    sim.besidesMb = 400;
    await sim.untilSettled(10 * MINUTE);
    expect(states()).to.deep.equal(['ready']);
  });

  it('are made anew when their plan has changed, and nobody gets the old one meanwhile', async () => {
    await started();
    const [old] = numbers();
    sell({ spares: 1, spareContent: 'b2' });
    sim.people.pay();
    await sim.untilSettled(10 * MINUTE);
    expect(sim.manager.rows.has(old as number)).to.equal(false);
    expect(numbers()).not.to.include(old);
    expect(sim.engine.projects.has(old as number)).to.equal(false);
  });

  it('are made anew where they have ended', async () => {
    await started();
    const [old] = numbers();
    sim.engine.die(old as number);
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(states()).to.deep.equal(['ready']);
    expect(numbers()).not.to.include(old);
  });

  it('are made anew where they do not answer any more', async () => {
    await started();
    const [old = 0] = numbers();
    sim.engine.hang(old);
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(states()).to.deep.equal(['ready']);
    expect(numbers()).not.to.include(old);
  });

  it('are started anew for their customer where they hang when they are sold', async () => {
    await started();
    const [id = 0] = numbers();
    sim.engine.hang(id);
    sim.engine.curable.add(id);
    sim.people.pay();
    await sim.time.pass(5_000);
    expect(sim.manager.rows.get(id)).to.include({ state: 'running', wasReady: true });
    expect(sim.databases.madeFor.get(id)).to.equal(sim.manager.rows.get(id)?.identity);
  });

  it('are not there where the settings give them no memory, and go where they were', async () => {
    await started();
    sim.spareMemoryMb = 0;
    await sim.restart();
    await sim.time.pass(MINUTE);
    expect(numbers()).to.deep.equal([]);
  });

  it('are kept of no plan whose instances have a Postgres of their own', async () => {
    sell({ spares: 1, templateCode: 'odoo-own-db' });
    await sim.start();
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(numbers()).to.deep.equal([]);
  });

  it('keep no sale from being: where the data of one are gone, others are made for its customer', async () => {
    await started();
    const [id] = numbers();
    sim.databases.present.delete(id as number);
    sim.databases.marks.delete(id as number);
    sim.databases.madeFor.delete(id as number);
    sim.people.pay();
    await sim.untilSettled(5 * MINUTE);
    expect(sim.manager.rows.get(id as number)).to.include({ state: 'running' });
  });

  it('are no orphans, no instances and no metric, and nothing touches them', async () => {
    await started();
    const before = sim.life.calls.length;
    await sim.time.pass(30 * MINUTE, 1_000);
    const since = new Set(sim.life.calls.slice(before));
    // What a sweep asks, and what it does for the plan.
    // And whether they answer still.
    for (const call of ['list', 'numbers', 'fetchRepositories', 'removeStaleHelpers', 'probe'])
      since.delete(`engine.${call}`);
    expect([...since].filter((call) => call.startsWith('engine.'))).to.deep.equal([]);
    expect(sim.controller.states).to.deep.equal([]);
    expect(sim.controller.vitals.orphans).to.equal(0);
    expect(sim.controller.vitals.silent).to.equal(0);
    expect([...sim.backups.taken.keys()]).to.deep.equal([]);
  });

  it('do not end the sweeps where what Odoo says of them cannot be read', async () => {
    await started();
    sim.manager.spares = () => Promise.reject(new ManagerError('server', 'unreadable'));
    await sim.restart();
    await sim.time.pass(MINUTE);
    expect(sim.controller.states, 'null: no sweep has ended').to.deep.equal([]);
    expect(sim.controller.vitals.orphans).to.equal(0);
  });

  it('are not thrown away where the host says that they are somebody’s', async () => {
    await started();
    const [id] = numbers();
    const mark = sim.engine.projects.get(id as number)?.mark;
    Object.assign(mark ?? {}, { isSpare: false });
    sell({ spares: 0 });
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(sim.databases.present.has(id as number)).to.equal(true);
    Object.assign(mark ?? {}, { isSpare: true });
  });

  it('are not worked on as what an older database calls one: it may be a customer’s by now', async () => {
    await started();
    const [id = 0] = numbers();
    sim.people.pay();
    await sim.time.pass(1_000);
    const sold = sim.manager.rows.get(id);
    const own = { id, identity: sold?.identity ?? '', ports: sold?.ports ?? null };
    const content = sim.manager.forSale.get(PLAN)?.spareContent ?? '';
    const before = structuredClone(sim.engine.projects.get(id));
    sim.manager.rows.delete(id);
    sim.manager.spareRows.set(id, { ...aSpare({ ...own, planId: PLAN, modules: [] }), content });
    const since = sim.life.calls.length;
    sim.controller.addNow(['spares']);
    await sim.time.pass(MINUTE);
    const done = sim.life.calls
      .slice(since)
      .filter((call) => /ehears|render|drop|purge/.test(call));
    expect(done).to.deep.equal([]);
    expect(sim.engine.projects.get(id)).to.deep.equal(before);
    sim.manager.spareRows.delete(id);
    if (sold) sim.manager.rows.set(id, sold);
  });

  for (const [what, lose] of [
    ['lost', (id: number) => Object.assign(sim.engine.projects.get(id) ?? {}, { mark: null })],
    ['lost with all files', (id: number) => sim.engine.projects.delete(id)],
  ] as const)
    it(`are not thrown away where their mark is ${what}: who has them cannot be told`, async () => {
      await started();
      const [id = 0] = numbers();
      const project = sim.engine.projects.get(id);
      const mark = project?.mark ?? null;
      lose(id);
      sell({ spares: 0 });
      sim.controller.addNow(['spares']);
      await sim.time.pass(MINUTE);
      expect(states()).to.deep.equal(['leaving']);
      expect(sim.databases.present.has(id)).to.equal(true);
      if (project) sim.engine.projects.set(id, Object.assign(project, { mark }));
      await sim.untilSettled(10 * MINUTE);
    });

  it('are let be as soon as the manager’s database is another', async () => {
    await started();
    const before = numbers();
    sim.manager.databaseUuid = '0a1b2c3d-0000-4000-8000-000000000002';
    sell({ spares: 2 });
    const since = sim.life.calls.length;
    // Nothing but this looks at the manager before the next sweep.
    sim.controller.addNow(['spares']);
    await sim.time.pass(5_000);
    expect(numbers()).to.deep.equal(before);
    expect(sim.life.calls.slice(since)).not.to.include('manager.spares');
  });

  it('one that cannot be made keeps none of the others from being', async () => {
    sell({ spares: 1, modules: ['no_such_module'], recentSales: 9 });
    sim.manager.forSale.set(6, aPlan({ id: 6, modules: [], spares: 1, spareContent: 'c6' }));
    await sim.start();
    await sim.time.pass(MINUTE);
    const ready = [...sim.manager.spareRows.values()].filter((it) => it.spareState === 'ready');
    expect(ready.map(({ planId }) => planId)).to.deep.equal([6]);
  });

  const isSilent = () =>
    Promise.reject(new RetryableError('NotAnswering', 'The spare answers /web/login with 500.'));
  const failures = () => sim.logged.filter(({ msg }) => String(msg).startsWith('no spare of this'));

  it('are tried once a day where none can be made, and a person is told once', async () => {
    const rehearse = sim.engine.rehearse.bind(sim.engine);
    sim.engine.rehearse = isSilent;
    await sim.start();
    await sim.time.pass(30 * MINUTE, 1_000);
    expect(calls('engine.rehearse')).to.equal(1);
    expect(failures()).to.have.length(1);
    expect(failures()[0]).to.include({ plan: PLAN, level: 50 });
    expect(numbers(), 'what was begun goes').to.deep.equal([]);
    expect([...sim.engine.projects.keys()]).to.deep.equal([]);
    sim.engine.rehearse = rehearse;
    await sim.time.pass(23 * 60 * MINUTE, MINUTE);
    expect(states()).to.deep.equal([]);
    await sim.time.pass(60 * MINUTE, 1_000);
    expect(states()).to.deep.equal(['ready']);
  });

  it('are tried again as soon as their plan is another', async () => {
    const rehearse = sim.engine.rehearse.bind(sim.engine);
    sim.engine.rehearse = isSilent;
    await sim.start();
    await sim.time.pass(MINUTE);
    sim.engine.rehearse = rehearse;
    sell({ spares: 1, spareContent: 'b2' });
    await sim.untilSettled(10 * MINUTE);
  });

  it('that are ready stay where no more can be made', async () => {
    await started();
    const before = numbers();
    sim.engine.rehearse = isSilent;
    sell({ spares: 2 });
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(failures()).to.have.length(1);
    expect(numbers()).to.deep.equal(before);
    sell({ spares: 1 });
  });

  it('are tried until they are made where the host is the cause', async () => {
    const rehearse = sim.engine.rehearse.bind(sim.engine);
    sim.engine.rehearse = () => Promise.reject(new RetryableError('DockerUnavailable', 'away'));
    await sim.start();
    await sim.time.pass(10 * MINUTE, 1_000);
    expect(states()).to.deep.equal(['making']);
    sim.engine.rehearse = rehearse;
    await sim.untilSettled(20 * MINUTE);
    expect(failures()).to.deep.equal([]);
  });

  it('are begun anew where one is not ready after hours', async () => {
    const rehearse = sim.engine.rehearse.bind(sim.engine);
    sim.engine.rehearse = () => Promise.reject(new RetryableError('DockerUnavailable', 'away'));
    await sim.start();
    await sim.time.pass(10 * MINUTE, 1_000);
    const [old] = numbers();
    await sim.time.pass(130 * MINUTE, 10_000);
    expect(numbers()).not.to.include(old);
    expect(numbers()).to.have.length(1);
    sim.engine.rehearse = rehearse;
    await sim.untilSettled(20 * MINUTE);
  });

  it('are left alone while the manager’s database is in doubt', async () => {
    await started();
    const before = numbers();
    sim.manager.databaseUuid = '0a1b2c3d-0000-4000-8000-000000000002';
    for (const spares of [0, 2]) {
      sell({ spares });
      await sim.time.pass(10 * MINUTE, 1_000);
      expect(numbers()).to.deep.equal(before);
    }
    expect(sim.manager.distrusted?.found).to.deep.equal([]);
  });
});
