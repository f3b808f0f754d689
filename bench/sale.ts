import { type BenchStack, PLANS, type PlanName } from './bench-stack.ts';
import type { Benchmark, BenchmarkContext } from './benchmark.ts';
import type { Figure, Result } from './figure.ts';
import { type Pair, pairs, ratios } from './pairs.ts';
import { median, medianInterval } from './statistics.ts';
import { UsualInstance } from './usual.ts';

/** From the payment until the customer is logged in, compared with an Odoo and a Postgres for each customer. */
export const saleOfBase: Benchmark = {
  name: 'sale-base',
  about: 'payment → usable, the base modules, against the usual way',
  measure: (surroundings) =>
    compare('base', 10, surroundings, (taken) => [
      ratioFigure('payment → usable, base: usual ÷ ours', taken, { atLeast: 4, aim: 8 }),
    ]),
};

export const saleOfLarge: Benchmark = {
  name: 'sale-large',
  about: 'payment → usable, some 70 modules, against the usual way',
  measure: (surroundings) =>
    compare('large', 5, surroundings, (taken) => [
      ratioFigure('payment → usable, 70 modules: usual ÷ ours', taken, { atLeast: 15, aim: 30 }),
      secondsFigure('payment → usable, 70 modules', taken, { atLeast: 3, aim: 1.5 }),
    ]),
};

async function compare(
  plan: PlanName,
  defaultPairs: number,
  { stack, say, pairs: count = defaultPairs }: BenchmarkContext,
  figures: (taken: readonly Pair[]) => Figure[],
): Promise<Result> {
  const bench = await stack();
  const { install } = bench.stack;
  const sale = await bench.shop(plan);
  const profiles: string[] = [];
  const modules = PLANS[plan].length > 0 ? PLANS[plan] : ['base'];
  // The first of each only fills the page cache.
  await ours(bench, sale);
  const before = await bench.counts();
  const taken = await pairs(
    count,
    {
      ours: () => ours(bench, sale, (profile) => profiles.push(profile)),
      usual: async () => {
        const instance = await UsualInstance.at(install, 1, modules);
        try {
          return await instance.provision();
        } finally {
          await instance.remove();
        }
      },
    },
    say,
  );
  const after = await bench.counts();
  const perSale = {
    rpc: (after.rpc - before.rpc) / count,
    docker: (after.docker - before.docker) / count,
  };
  for (const profile of profiles) say(profile);
  say(`calls per sale and removal: ${perSale.rpc} to Odoo, ${perSale.docker} to Docker`);
  return { figures: figures(taken), samples: { pairs: taken, profiles, perSale } };
}

/** Measures one sale. @returns seconds since the return of the call that pays */
async function ours(
  bench: BenchStack,
  sale: Awaited<ReturnType<BenchStack['shop']>>,
  onProfile: (profile: string) => void = () => {},
): Promise<number> {
  const invoice = await sale.invoice();
  const pay = await sale.payment(invoice);
  await pay();
  const start = performance.now();
  await bench.usable(invoice);
  const seconds = (performance.now() - start) / 1000;
  await bench.until(invoice, ({ state }) => state === 'running');
  onProfile(await bench.profile(invoice));
  await bench.takeDown(invoice);
  return seconds;
}

function ratioFigure(
  title: string,
  taken: readonly Pair[],
  bounds: { atLeast: number; aim: number },
): Figure {
  const values = ratios(taken);
  const interval = medianInterval(values);
  return { title, value: median(values), interval, unit: '×', better: 'higher', ...bounds };
}

function secondsFigure(
  title: string,
  taken: readonly Pair[],
  bounds: { atLeast: number; aim: number },
): Figure {
  const values = taken.filter((pair) => !pair.isDisturbed).map((pair) => pair.ours);
  const interval = medianInterval(values);
  return { title, value: median(values), interval, unit: ' s', better: 'lower', ...bounds };
}
