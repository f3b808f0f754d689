import { BenchStack, PLANS, type PlanName } from './bench-stack.ts';
import type { Benchmark } from './benchmark.ts';
import { containerMb } from './container-memory.ts';
import type { Figure } from './figure.ts';
import { type Pair, pairs, ratios } from './pairs.ts';
import { median, medianInterval } from './statistics.ts';
import { UsualInstance } from './usual.ts';

/** What spares may take here, in MB: enough for one. */
const SPARE_MEMORY_MB = 300;

const BOUNDS = {
  base: { pairs: 10, usual: { atLeast: 15, aim: 25 }, without: undefined },
  large: { pairs: 5, usual: { atLeast: 60, aim: 120 }, without: { atLeast: 4, aim: 8 } },
} as const;

const TITLES = { base: 'base', large: '70 modules' } as const;

/** From the payment until the customer is logged in where a started instance is kept ready: against the usual way, and against ours without. */
export const spare: Benchmark = {
  name: 'spare',
  about:
    'payment → usable with a started instance kept ready, against the usual way and ours without',
  measure: async ({ say, pairs: count }) => {
    // The stack of the other benchmarks keeps none.
    const bench = await BenchStack.start(false, say, {
      name: 'spare',
      settings: { instances: { spareMemoryMb: SPARE_MEMORY_MB } },
    });
    try {
      const figures: Figure[] = [];
      const samples: Record<string, unknown> = {};
      for (const plan of ['base', 'large'] as const) {
        const measured = await measure(bench, plan, count ?? BOUNDS[plan].pairs, say);
        figures.push(...measured.figures);
        samples[plan] = measured.samples;
      }
      return { figures, samples };
    } finally {
      await bench.remove();
    }
  },
};

async function measure(
  bench: BenchStack,
  plan: PlanName,
  count: number,
  say: (line: string) => void,
): Promise<{ figures: Figure[]; samples: unknown }> {
  const sale = await bench.shop(plan);
  const modules = PLANS[plan].length > 0 ? PLANS[plan] : ['base'];
  const usual = async () => {
    const instance = await UsualInstance.at(bench.stack.install, 1, modules);
    try {
      return await instance.provision();
    } finally {
      await instance.remove();
    }
  };
  /** @param spares how many are kept at the moment of the sale: 1, or 0 */
  const ours = async (spares: 0 | 1) => {
    await bench.keepSpares(plan, spares);
    const invoice = await sale.invoice();
    const pay = await sale.payment(invoice);
    const [ready] = await bench.spares();
    await pay();
    const start = performance.now();
    // The spare's own page answers all along: a login that is tried before the customer's is there would take the processor from the hand-over.
    if (ready) await bench.handedOver(ready.number);
    const { id } = await bench.usable(invoice);
    const seconds = (performance.now() - start) / 1000;
    await bench.until(invoice, ({ state }) => state === 'running');
    if ((ready?.number === id) !== (spares === 1)) throw new Error('another way than was meant');
    // No other is made while the usual way is measured.
    await bench.keepSpares(plan, 0);
    await bench.takeDown(invoice);
    return seconds;
  };
  // The first of each only fills the page cache.
  for (const spares of [0, 1] as const) await ours(spares);
  await bench.keepSpares(plan, 1);
  const [ready] = await bench.spares();
  const memoryMb = await containerMb(bench.stack.install, ready?.number ?? 0);
  const against = await pairs(count, { usual, ours: () => ours(1) }, say);
  const without = await pairs(count, { usual: () => ours(0), ours: () => ours(1) }, say);
  const { usual: bounds, without: others } = BOUNDS[plan];
  const title = TITLES[plan];
  return {
    figures: [
      ratio(`payment → usable, ${title}, a spare there: usual ÷ ours`, against, bounds),
      ratio(`the same, ${title}: ours without a spare ÷ ours with one`, without, others),
      {
        title: `memory of a spare, ${title} (cgroup)`,
        ...{ value: memoryMb, unit: ' MB', better: 'lower' },
      },
    ],
    samples: { against, without, memoryMb },
  };
}

function ratio(
  title: string,
  taken: readonly Pair[],
  bounds: { readonly atLeast: number; readonly aim: number } | undefined,
): Figure {
  const values = ratios(taken);
  const interval = medianInterval(values);
  return { title, value: median(values), interval, unit: '×', better: 'higher', ...bounds };
}
