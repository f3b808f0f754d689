import type { BenchStack, PlanName } from './bench-stack.ts';
import type { Benchmark } from './benchmark.ts';
import type { Figure } from './figure.ts';
import { interruption } from './interruption.ts';
import { buildOlderOdoo } from './older-odoo.ts';
import { median, medianInterval } from './statistics.ts';

const ROUNDS = 3;

/** How long an update takes, and for how long the customer has no answer, where every module has changed: the longest there is. */
export const update: Benchmark = {
  name: 'update',
  about: 'an update of all modules of an instance: how long it is not there',
  measure: async ({ say, stack }) => {
    const bench = await stack();
    const older = await buildOlderOdoo();
    const measured = [
      await measure(bench, 'base', 'base', older, say),
      await measure(bench, 'large', '70 modules', older, say),
    ];
    return {
      figures: measured.flatMap(({ figures }) => figures),
      samples: measured.map(({ samples }) => samples),
    };
  },
};

async function measure(
  bench: BenchStack,
  plan: PlanName,
  called: string,
  older: string,
  say: (line: string) => void,
) {
  const { instance, invoice } = await bench.sold(plan);
  const taken: { seconds: number; away: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await bench.runs(invoice, older);
    // Otherwise the update takes it itself, and its time is that of both.
    await bench.backUp(instance);
    taken.push(await interruption(instance, () => bench.update(instance)));
    await bench.atRest();
  }
  await bench.takeDown(invoice);
  const inWords = taken.map(({ away, seconds }) => `${seconds.toFixed(1)} (${away.toFixed(1)}) s`);
  say(`${called}: ${inWords.join(', ')}`);
  const figure = (title: string, values: readonly number[]): Figure => ({
    ...{ title: `update of all modules, ${called}: ${title}`, unit: ' s', better: 'lower' },
    ...{ value: median(values), interval: medianInterval(values) },
  });
  return {
    figures: [
      figure(
        'from the button until it is done',
        taken.map(({ seconds }) => seconds),
      ),
      figure(
        'without an answer',
        taken.map(({ away }) => away),
      ),
    ],
    samples: { called, taken },
  };
}
