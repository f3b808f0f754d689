import { expect } from 'chai';
import { Life, type Moment } from '../fakes/life.ts';
import { audit } from '../support/audit.ts';
import { aPlan, aRepository } from '../support/samples.ts';
import { Simulation } from '../support/simulation.ts';

/** What people do while the sidecar runs, and the adapter calls that all of it must lead through. */
interface Scenario {
  readonly name: string;
  /** How many spares are kept. */
  readonly spares?: number;
  /** Before the sidecar that will be killed starts: with one that will not. */
  readonly before?: (sim: Simulation) => void;
  readonly act: (sim: Simulation) => void;
  readonly through: readonly string[];
}

const repository = aRepository();

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'two paid units',
    act: (sim) => void sim.people.pay(2),
    through: [
      'manager.claim',
      'manager.assignPorts',
      'databases.clone',
      'databases.personalise',
      'engine.awaitLogin',
    ],
  },
  {
    name: 'a manual start with repositories and a Postgres of its own',
    act: (sim) => {
      const wish = { templateCode: 'odoo-own-db', repositories: [repository] };
      sim.people.press(sim.people.create(wish), 'start');
    },
    through: ['engine.fetchRepositories', 'engine.startDatabase', 'databases.personalise'],
  },
  {
    name: 'a port lost between its test and the start',
    act: (sim) => {
      sim.engine.stolenPorts.add(20_000);
      sim.people.pay();
    },
    through: ['manager.assignPorts', 'engine.occupiedPorts', 'engine.start'],
  },
  {
    name: 'a stop',
    before: (sim) => void sim.people.pay(),
    act: (sim) => void sim.people.press(1, 'stop'),
    through: ['engine.stop'],
  },
  {
    name: 'a restart',
    before: (sim) => void sim.people.pay(),
    act: (sim) => void sim.people.press(1, 'restart'),
    through: ['engine.render', 'engine.start'],
  },
  {
    name: 'a removal',
    before: (sim) => void sim.people.pay(),
    act: (sim) => void sim.people.press(1, 'remove'),
    through: ['engine.removeContainers'],
  },
  {
    name: 'a staging copy',
    before: (sim) => void sim.people.pay(),
    act: (sim) => void sim.people.stage(1),
    through: ['manager.assignPorts', 'engine.render', 'copies.make', 'engine.awaitLogin'],
  },
  {
    name: 'a staging copy with a Postgres of its own',
    before: (sim) => {
      const original = sim.people.create({ templateCode: 'odoo-own-db' });
      sim.people.press(original, 'start');
    },
    act: (sim) => void sim.people.stage(1),
    through: ['engine.startDatabase', 'copies.make', 'engine.awaitLogin'],
  },
  {
    name: 'the end of a staging copy',
    before: (sim) => {
      sim.people.pay();
      sim.people.stage(sim.people.create());
    },
    act: (sim) => void sim.people.press(2, 'remove'),
    through: ['databases.drop', 'engine.purge'],
  },
  {
    name: 'a spare that is made',
    spares: 1,
    act: () => {},
    through: [
      ...['manager.reserveSpare', 'databases.personalise', 'engine.rehearse'],
      ...['databases.endRehearsal', 'engine.forgetSessions', 'manager.reportSpare'],
    ],
  },
  {
    name: 'two paid units with one spare, and the next one after them',
    spares: 1,
    before: () => {},
    act: (sim) => void sim.people.pay(2),
    through: [
      ...['manager.claim', 'engine.renewMark', 'databases.handOver'],
      ...['databases.personalise', 'manager.reserveSpare'],
    ],
  },
  {
    name: 'a spare that is as its plan was',
    spares: 1,
    before: () => {},
    act: (sim) => {
      sim.manager.forSale.set(5, { ...aPlanWithSpares(1), spareContent: 'b2' });
      sim.controller.addNow(['spares']);
    },
    through: ['databases.drop', 'engine.purge', 'manager.reserveSpare', 'engine.rehearse'],
  },
  {
    name: 'the end of all spares',
    spares: 1,
    before: () => {},
    act: (sim) => {
      sim.manager.forSale.set(5, aPlanWithSpares(0));
      sim.controller.addNow(['spares']);
    },
    through: ['engine.removeContainers', 'databases.drop', 'engine.purge'],
  },
];

const aPlanWithSpares = (spares: number) => aPlan({ modules: [], spares });

/** Runs the scenario in a new simulation, with a sidecar that is killed at its call number `at`. */
async function play(scenario: Scenario, at: number, moment: Moment): Promise<readonly string[]> {
  const sim = new Simulation();
  const { spares = 0 } = scenario;
  if (spares > 0) {
    sim.spareMemoryMb = 1_000;
    sim.manager.forSale.set(5, aPlanWithSpares(spares));
  }
  try {
    if (scenario.before) {
      await sim.start();
      scenario.before(sim);
      await sim.untilSettled();
      await sim.time.pass(1_000); // the last events of its own containers
    }
    const life = new Life();
    life.killAt(at, moment);
    await sim.restart(life);
    scenario.act(sim);
    await sim.time.pass(spares > 0 ? 25_000 : 2_000);
    audit(sim);
    const { calls } = life;
    await sim.restart();
    await sim.untilSettled(70_000);
    audit(sim);
    return calls;
  } finally {
    await sim.end();
  }
}

describe('A sidecar killed at any moment', () => {
  for (const scenario of SCENARIOS)
    it(`is completed by the next one: ${scenario.name}`, async function () {
      this.timeout(20_000);
      const calls = await play(scenario, Number.POSITIVE_INFINITY, 'before');
      expect(calls).to.include.members([...scenario.through]);
      for (const [at, call] of calls.entries())
        for (const moment of ['before', 'after'] as const)
          await play(scenario, at, moment).catch((cause) => {
            throw new Error(`killed ${moment} call ${at}, ${call}: ${cause.message}`, { cause });
          });
    });
});
