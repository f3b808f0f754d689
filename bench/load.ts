import type { BenchStack } from './bench-stack.ts';
import type { Benchmark } from './benchmark.ts';
import type { Figure } from './figure.ts';
import { median, medianInterval, quantile } from './statistics.ts';
import { UsualInstance } from './usual.ts';

/** Who opens the login page at the same moment. */
const VISITORS = 40;

/** Who asks for one page after the other, and for how long. */
const CLIENTS = 8;
const SECONDS = 15;

const ROUNDS = 3;

/** Sizes of plans: processors and memory in MB. */
const SIZES = [
  { cpus: 1, memoryMb: 1024 },
  { cpus: 2, memoryMb: 2048 },
] as const;

/** What one Odoo serves, ours of each size and one with the official image's defaults under the same limits, in turn. */
export const load: Benchmark = {
  name: 'load',
  about: 'requests per second and p99 of one instance of each size, beside the image’s defaults',
  measure: async ({ stack, say }) => {
    const bench = await stack();
    const figures: Figure[] = [];
    const samples: unknown[] = [];
    for (const size of SIZES) {
      const measured = await measure(bench, size, say);
      figures.push(...measured.figures);
      samples.push(measured.samples);
    }
    return { figures, samples };
  },
};

async function measure(
  bench: BenchStack,
  size: (typeof SIZES)[number],
  say: (line: string) => void,
) {
  const { cpus, memoryMb } = size;
  const called = `${cpus} ${cpus === 1 ? 'processor' : 'processors'}, ${memoryMb} MB`;
  await bench.shop('base');
  await bench.limit('base', size);
  const {
    instance: { port },
    invoice,
  } = await bench.sold('base');
  const usual = await UsualInstance.at(bench.stack.install, 1, ['base']);
  try {
    await usual.provision();
    await usual.limit(size);
    const urls = { ours: `http://127.0.0.1:${port}`, usual: usual.url };
    const served = await atOnce(urls.ours);
    const servedUsually = await atOnce(urls.usual);
    const taken = { ours: [] as Served[], usual: [] as Served[] };
    for (let round = 0; round < ROUNDS; round++)
      for (const way of ['ours', 'usual', 'usual', 'ours'] as const)
        taken[way].push(await serve(urls[way]));
    say(`${called}: ours ${inWords(taken.ours)}; the image’s defaults ${inWords(taken.usual)}`);
    const ratios = taken.ours.map(
      (it, index) => it.perSecond / (taken.usual[index]?.perSecond ?? 0),
    );
    const figures: Figure[] = [
      {
        title: `${VISITORS} login pages at the same moment, ${called}: answered 200 (the image’s defaults: ${servedUsually})`,
        ...{ value: served, unit: '', better: 'higher', atLeast: VISITORS },
      },
      {
        title: `login pages a second, ${called}: ours ÷ the image’s defaults`,
        ...{ value: median(ratios), interval: medianInterval(ratios), unit: '×', better: 'higher' },
      },
      {
        title: `login pages a second, ${called}`,
        ...{ value: median(taken.ours.map((it) => it.perSecond)), unit: ' /s', better: 'higher' },
      },
      {
        title: `their p99, ${CLIENTS} asking at the same time, ${called}`,
        ...{ value: median(taken.ours.map((it) => it.p99)), unit: ' ms', better: 'lower' },
      },
    ];
    return { figures, samples: { called, served, servedUsually, taken } };
  } finally {
    await usual.remove();
    await bench.takeDown(invoice);
    await bench.limit('base', { cpus: 1, memoryMb: 1024 });
  }
}

/** @returns how many of the visitors who come at the same moment are answered 200 */
async function atOnce(url: string): Promise<number> {
  const statuses = await Promise.all(Array.from({ length: VISITORS }, () => status(url)));
  return statuses.filter((it) => it === 200).length;
}

interface Served {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p99: number;
}

async function serve(url: string): Promise<Served> {
  const milliseconds: number[] = [];
  const start = performance.now();
  const end = start + SECONDS * 1000;
  const client = async () => {
    while (performance.now() < end) {
      const began = performance.now();
      if ((await status(url)) !== 200) throw new Error(`${url} did not answer 200`);
      milliseconds.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  const seconds = (performance.now() - start) / 1000;
  return { perSecond: milliseconds.length / seconds, p99: quantile(milliseconds, 0.99) };
}

async function status(url: string): Promise<number> {
  return fetch(`${url}/web/login`, { signal: AbortSignal.timeout(60_000) }).then(
    async (answer) => {
      await answer.arrayBuffer();
      return answer.status;
    },
    () => 0,
  );
}

function inWords(taken: readonly Served[]): string {
  return taken
    .map(({ p99, perSecond }) => `${perSecond.toFixed(1)}/s (${p99.toFixed(0)} ms)`)
    .join(' ');
}
