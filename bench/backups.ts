import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchStack, PlanName } from './bench-stack.ts';
import type { Benchmark } from './benchmark.ts';
import type { Figure } from './figure.ts';
import { interruption } from './interruption.ts';
import { pairs } from './pairs.ts';
import { median, medianInterval } from './statistics.ts';

/** Backups of one instance, one after the other: the later ones find most of their data in the repository, as those of most nights do. */
const ROUNDS = 5;

/** How long the machine is watched while nothing is done, in milliseconds. */
const QUIET_MS = 10_000;

/** From `backups.schedule` until the morning's mail says what came of it, in hours. */
const NIGHT_HOURS = 5;

/** Each instance's Odoo is started with its backup once in so many nights. */
const NIGHTS_A_BOOT = 7;

/** Linux counts processor time in hundredths of a second. */
const TICKS_PER_SECOND = 100;

/** The costs of the nightly backups, of a sale beside one, and of a restore. */
export const backups: Benchmark = {
  name: 'backups',
  about: 'CPU and time of a backup with its proof, a sale beside one, and a restore',
  measure: async ({ pairs: count = 10, say, stack }) => {
    const bench = await stack();
    const nights = [
      await nightOf(bench, 'base', 'base', say),
      await nightOf(bench, 'large', '70 modules', say),
    ];
    const beside = await besideSale(bench, count, say);
    return {
      figures: [...nights.flatMap(({ figures }) => figures), beside.figure],
      samples: { nights: nights.map(({ samples }) => samples), beside: beside.samples },
    };
  },
};

/** What the machine spends on one instance in a night, and how long its restore interrupts it. */
async function nightOf(
  bench: BenchStack,
  plan: PlanName,
  called: string,
  say: (line: string) => void,
) {
  const { instance, invoice } = await bench.sold(plan);
  await bench.atRest();
  const idle = await spent(() => sleep(QUIET_MS));
  const idlePerSecond = idle.cpu / idle.seconds;
  const cost = async (work: () => Promise<unknown>) => {
    const { cpu, seconds } = await spent(work);
    return { cpu: cpu - idlePerSecond * seconds, seconds };
  };
  const taken: Cost[] = [];
  for (let round = 0; round < ROUNDS; round++) taken.push(await cost(() => bench.backUp(instance)));
  const boot = await cost(() => bench.prove(instance));
  const restore = await interruption(instance, () => bench.restore(instance));
  await bench.takeDown(invoice);
  const cpu = taken.map((one) => one.cpu);
  const seconds = taken.map((one) => one.seconds);
  const perNight = median(cpu) + boot.cpu / NIGHTS_A_BOOT;
  const each = median(seconds) + boot.seconds / NIGHTS_A_BOOT;
  say(`${called}: ${taken.map(inWords).join(', ')}; with a start of Odoo ${inWords(boot)}`);
  const figures: Figure[] = [
    {
      ...{ title: `a backup and its proof, ${called}: CPU`, value: median(cpu), unit: ' s' },
      ...{ interval: medianInterval(cpu), better: 'lower' },
    },
    {
      ...{ title: `CPU per tenant-night, ${called}, a start of Odoo each 7 nights included` },
      ...{ value: perNight, unit: ' s', better: 'lower' },
    },
    {
      ...{ title: `instances in a night of ${NIGHT_HOURS} h, ${called}`, unit: '' },
      ...{ value: Math.floor((NIGHT_HOURS * 3600) / each), better: 'higher' },
    },
    {
      ...{ title: `restore into the same instance, ${called}: until it is done`, unit: ' s' },
      ...{ value: restore.seconds, better: 'lower' },
    },
    {
      ...{ title: `restore into the same instance, ${called}: without an answer`, unit: ' s' },
      ...{ value: restore.away, better: 'lower' },
    },
  ];
  return { figures, samples: { called, idlePerSecond, taken, boot, restore } };
}

/** Sales in turn with and without backups of another instance under way. */
async function besideSale(bench: BenchStack, count: number, say: (line: string) => void) {
  const { instance, invoice } = await bench.sold('large');
  const sale = await bench.shop('base');
  const one = async () => {
    const bought = await sale.invoice();
    await (await sale.payment(bought))();
    const start = performance.now();
    await bench.usable(bought);
    const seconds = (performance.now() - start) / 1000;
    await bench.until(bought, ({ state }) => state === 'running');
    await bench.takeDown(bought);
    return seconds;
  };
  await one();
  const ways = {
    usual: one,
    ours: async () => {
      let isOver = false;
      const backingUp = (async () => {
        while (!isOver) await bench.backUp(instance);
      })();
      try {
        return await one();
      } finally {
        isOver = true;
        await backingUp;
        await bench.atRest();
      }
    },
  };
  const taken = await pairs(count, ways, say);
  const values = taken.filter((it) => !it.isDisturbed).map(({ ours, usual }) => ours / usual);
  await bench.takeDown(invoice);
  const figure: Figure = {
    ...{ title: 'payment → usable, base: beside backups ÷ without', unit: '×', better: 'lower' },
    ...{ value: median(values), interval: medianInterval(values), atLeast: 1.15 },
  };
  return { figure, samples: taken };
}

interface Cost {
  /** Seconds of all processors. */
  readonly cpu: number;
  readonly seconds: number;
}

/** What the whole machine spends while something is done: Docker and the kernel work for it too. */
async function spent(work: () => Promise<unknown>): Promise<Cost> {
  const [before, start] = [await busySeconds(), performance.now()];
  await work();
  return { cpu: (await busySeconds()) - before, seconds: (performance.now() - start) / 1000 };
}

/** Of all processors since the machine was started, by `/proc/stat`: all but idle, waiting for the disk, and stolen. */
async function busySeconds(): Promise<number> {
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

function inWords({ cpu, seconds }: Cost): string {
  return `${cpu.toFixed(1)} s of CPU in ${seconds.toFixed(1)} s`;
}
