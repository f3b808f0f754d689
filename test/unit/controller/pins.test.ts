import { expect } from 'chai';
import { Simulation } from '../../support/simulation.ts';

describe('The image that an instance was given', () => {
  let sim: Simulation;
  beforeEach(async () => {
    sim = new Simulation();
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
  });
  afterEach(() => sim.end());

  const row = () => {
    const found = sim.manager.rows.get(1);
    if (!found) throw new Error('no instance');
    return found;
  };
  const filesNow = () => sim.engine.projects.get(1)?.madeFrom;

  it('is told to Odoo with its first answer', () => {
    expect(row().imageDigest).to.equal('sha256:first');
  });

  it('stays through a restart, a stop and a start, whatever its tag is by then', async () => {
    sim.engine.newestImage = 'sha256:newer';
    for (const button of ['restart', 'stop', 'start'] as const) {
      sim.people.press(1, button);
      await sim.untilSettled();
    }
    expect(row().imageDigest).to.equal('sha256:first');
    expect(filesNow()).to.include('sha256:first');
    sim.people.pay();
    await sim.untilSettled();
    expect(sim.manager.rows.get(2)?.imageDigest, 'what is sold now').to.equal('sha256:newer');
  });

  it('is what it runs now, where it was made before there were pins', async () => {
    sim.engine.newestImage = 'sha256:newer';
    row().imageDigest = '';
    sim.manager.review(1, sim.time.now());
    await sim.time.until('it is told', () => row().imageDigest !== '');
    expect(row().imageDigest).to.equal('sha256:first');
  });
});

describe('The modules that an instance was given', () => {
  it('are told to Odoo with its first answer, once', async () => {
    const sim = new Simulation();
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    const row = sim.manager.rows.get(1);
    if (!row) throw new Error('no instance');
    expect(row.givenModules).to.deep.equal(row.modules);
    row.modules = [...row.modules, 'project'];
    sim.people.press(1, 'restart');
    await sim.untilSettled();
    expect(row.givenModules, 'the plan got one more').not.to.include('project');
    await sim.end();
  });
});
