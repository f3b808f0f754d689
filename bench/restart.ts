import type { PlanName } from './bench-stack.ts';
import type { Benchmark } from './benchmark.ts';
import type { Figure } from './figure.ts';
import { median, medianInterval } from './statistics.ts';
import { answering } from './usable.ts';

const ROUNDS = 10;

/** Stops and starts an existing instance with its buttons. */
export const restart: Benchmark = {
  name: 'restart',
  about: 'stop → start of an existing instance until its login page answers',
  measure: async ({ stack, say }) => {
    const bench = await stack();

    async function secondsOf(plan: PlanName): Promise<number[]> {
      const {
        instance: { id, port },
        invoice,
      } = await bench.sold(plan);
      const seconds: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        await bench.press('stop_instance', [id]);
        await bench.until(invoice, ({ state }) => state === 'stopped');
        await bench.press('start_instance', [id]);
        const start = performance.now();
        await answering(`http://127.0.0.1:${port}`);
        seconds.push((performance.now() - start) / 1000);
        await bench.until(invoice, ({ state }) => state === 'running');
      }
      await bench.takeDown(invoice);
      say(`${plan}: ${seconds.map((it) => it.toFixed(2)).join(' ')} s`);
      return seconds;
    }

    const base = await secondsOf('base');
    const large = await secondsOf('large');
    const figure = (title: string, seconds: readonly number[]): Figure => ({
      title: `stop → start of an existing instance, ${title}`,
      value: median(seconds),
      interval: medianInterval(seconds),
      unit: ' s',
      better: 'lower',
      atLeast: 2.5,
      aim: 1.5,
    });
    return {
      figures: [figure('base', base), figure('70 modules', large)],
      samples: { base, large },
    };
  },
};
