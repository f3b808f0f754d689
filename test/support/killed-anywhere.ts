import { Life } from '../fakes/life.ts';
import type { Simulation } from './simulation.ts';

export interface KilledAnywhere {
  /** A new simulation, in which there is something to ask for. */
  readonly begin: () => Promise<Simulation>;
  readonly act: () => void;
  /** Lets the sidecar that comes after the killed one finish. */
  readonly settle: (sim: Simulation) => Promise<void>;
  /** What is to be so then. @param where says which call the kill came at */
  readonly check: (where: string) => void;
}

/** Kills the sidecar before and after each call that it makes once `act` was called, each time in a new simulation, and starts another. */
export async function killedAnywhere({ act, begin, check, settle }: KilledAnywhere): Promise<void> {
  for (const moment of ['before', 'after'] as const)
    for (let call = 0; ; call++) {
      const sim = await begin();
      const first = sim.life.calls.length + call;
      sim.life.killAt(first, moment);
      act();
      await sim.time.pass(10_000);
      const isOver = !sim.life.isOver;
      const { calls } = sim.life;
      await sim.stop();
      await sim.start(new Life());
      await settle(sim);
      check(`${moment} call ${call}: ${calls[first]}`);
      if (isOver) break;
    }
}
