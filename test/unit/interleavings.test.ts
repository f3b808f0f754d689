import { expect } from 'chai';
import fc from 'fast-check';
import type { Button } from '../fakes/people.ts';
import { audit } from '../support/audit.ts';
import { aPlan } from '../support/samples.ts';
import { Simulation } from '../support/simulation.ts';

/** Something that may happen at any time. `who` picks an instance, modulo how many there are. */
type Happening =
  | { readonly does: 'pay'; readonly quantity: number }
  | { readonly does: Button | 'die'; readonly who: number }
  | { readonly does: 'loseWebhooks' | 'crash' | 'odooAway' | 'dockerAway' | 'allBack' }
  | { readonly does: 'pass'; readonly ms: number };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({ does: fc.constant('pay' as const), quantity: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    does: fc.constantFrom<Button | 'die'>('start', 'stop', 'restart', 'remove', 'die'),
    who: fc.nat(20),
  }),
  fc.record({
    does: fc.constantFrom('loseWebhooks', 'crash', 'odooAway', 'dockerAway', 'allBack'),
  }),
  { weight: 3, arbitrary: fc.record({ does: fc.constant('pass' as const), ms: fc.nat(400) }) },
);

async function happen(sim: Simulation, it: Happening): Promise<void> {
  switch (it.does) {
    case 'pay':
      sim.people.pay(it.quantity);
      return;
    case 'die': {
      const [...ids] = sim.engine.projects.keys();
      const id = ids[it.who % Math.max(1, ids.length)];
      if (id !== undefined) sim.engine.die(id);
      return;
    }
    case 'crash':
      sim.life.kill();
      return sim.restart();
    case 'loseWebhooks':
      sim.people.nudge = () => {};
      return;
    case 'odooAway':
      sim.manager.isAway = true;
      return;
    case 'dockerAway':
      sim.engine.isAway = true;
      return;
    case 'allBack':
      return allBack(sim);
    case 'pass':
      return sim.time.pass(it.ms);
    default:
      sim.people.press(1 + (it.who % Math.max(1, sim.manager.rows.size)), it.does);
  }
}

function allBack(sim: Simulation): void {
  sim.manager.isAway = false;
  sim.engine.comeBack();
}

describe('Events in any order', () => {
  it('create nothing twice and lose nothing; in the end all states agree, and nothing is left to do', async function () {
    this.timeout(60_000);
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { maxLength: 25 }), async (happenings) => {
        const sim = new Simulation();
        sim.spareMemoryMb = 1_000;
        sim.manager.forSale.set(5, aPlan({ modules: [], spares: 1 }));
        try {
          await sim.start();
          for (const it of happenings) {
            await happen(sim, it);
            audit(sim);
          }
          allBack(sim);
          // The longest backoff, and the sweep that finds what was missed.
          await sim.untilSettled(700_000);
          audit(sim);
          await sim.time.pass(1_000);
          const { changes } = sim;
          await sim.time.pass(700_000, 1_000);
          expect(sim.changes, 'changes at rest').to.equal(changes);
        } finally {
          await sim.end();
        }
      }),
      { numRuns: 60 },
    );
  });
});
