import { expect } from 'chai';
import { filesFor } from '../../fakes/engine.ts';
import { Simulation } from '../../support/simulation.ts';

describe('New limits of memory and processors', () => {
  let sim: Simulation;
  beforeEach(async () => {
    sim = new Simulation();
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    await sim.time.pass(1_000);
  });
  afterEach(() => sim.end());

  const row = () => {
    const found = sim.manager.rows.get(1);
    if (!found) throw new Error('no instance');
    return found;
  };

  it('are given to what runs, once, and interrupt nobody; the next start makes files with them', async () => {
    const before = sim.changes;
    const madeFrom = sim.engine.projects.get(1)?.madeFrom;
    Object.assign(row(), { memoryMb: 4_096, cpus: 3 });
    for (let look = 0; look < 3; look++) {
      sim.manager.review(1, sim.time.now());
      await sim.time.pass(60_000, 1_000);
    }
    expect(sim.changes, 'nothing else was changed').to.equal(before + 1);
    expect(sim.engine.projects.get(1)).to.deep.include({
      ...{ madeFrom, limits: JSON.stringify({ cpus: 3, memoryMb: 4_096 }) },
      ...{ containers: 'running', isAnswering: true },
    });
    for (const button of ['stop', 'start'] as const) {
      sim.people.press(1, button);
      await sim.untilSettled();
    }
    expect(sim.engine.projects.get(1)?.madeFrom).to.equal(filesFor(row()));
    expect(filesFor(row())).to.include('4096');
  });
});
