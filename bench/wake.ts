import { totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { localDoor, statusBehind } from '../stack/door.ts';
import { run } from '../stack/run.ts';
import { BenchStack } from './bench-stack.ts';
import type { Benchmark } from './benchmark.ts';
import { containerMb } from './container-memory.ts';
import { median, medianInterval } from './statistics.ts';
import { answering } from './usable.ts';

const ROUNDS = 5;

/** Hours without a visitor after which an instance of this benchmark sleeps: a few seconds. */
const SLEEP_HOURS = 5 / 3600;

const ASLEEP_MS = 180_000;

/** What the share of sleepers is where most instances are used in the daytime only. */
const ASLEEP_SHARE = 0.8;

/** What the machine needs beside the instances, in MB: the manager, its Postgres, the sidecar, the door, the system. */
const RESERVED_MB = 4_096;

/** An instance that sleeps, woken by a visitor through the door, beside `docker start` of the same container. */
export const wake: Benchmark = {
  name: 'wake',
  about: 'asleep → login page through the door, against docker start alone; what a sleeper costs',
  measure: async ({ say }) => {
    // With a door, which the stack of the other benchmarks does not have.
    const bench = await BenchStack.start(false, say, { door: 'local', name: 'wake' });
    try {
      const sale = await bench.shop('base');
      const invoice = await sale.invoice();
      await (await sale.payment(invoice))();
      const { id, port } = await bench.usable(invoice);
      await bench.until(invoice, ({ state }) => state === 'running');
      const awakeMb = await containerMb(bench.stack.install, id);
      await bench.sleepAfter('base', SLEEP_HOURS);
      const ours: number[] = [];
      const plain: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        await fallAsleep(bench, id);
        // The sidecar would put it to sleep again.
        await run('docker', ['stop', '--', bench.stack.containers.names.sidecar]);
        let start = performance.now();
        await run('docker', ['start', '--', container(bench, id)]);
        await answering(`http://127.0.0.1:${port}`);
        plain.push((performance.now() - start) / 1000);
        await run('docker', ['stop', '--', container(bench, id)]);
        await bench.stack.startSidecar();
        await untilAsleep(bench, id);
        start = performance.now();
        await loginPage(bench, id);
        ours.push((performance.now() - start) / 1000);
        say(
          `round ${round + 1}: door ${ours.at(-1)?.toFixed(2)} s, docker start ${plain.at(-1)?.toFixed(2)} s`,
        );
      }
      const ratios = ours.map((seconds, round) => seconds / (plain[round] as number));
      const fits = Math.floor(
        (totalmem() / 2 ** 20 - RESERVED_MB) / (awakeMb * (1 - ASLEEP_SHARE)),
      );
      return {
        figures: [
          {
            title: `asleep → login page: through the door ÷ docker start alone (${median(ours).toFixed(2)} s ÷ ${median(plain).toFixed(2)} s)`,
            ...{ value: median(ratios), interval: medianInterval(ratios), unit: '×' },
            ...{ better: 'lower', atLeast: 1.2 },
          },
          {
            title: `instances of the demo's plan on this machine with four fifths asleep, by their memory (${awakeMb.toFixed(0)} MB each awake, none asleep)`,
            ...{ value: fits, unit: '', better: 'higher', atLeast: 100 },
          },
        ],
        samples: { ours, plain, awakeMb },
      };
    } finally {
      await bench.remove();
    }
  },
};

function container(bench: BenchStack, id: number): string {
  return `ms-${bench.stack.install}-${id}-odoo`;
}

/** Restarts the sidecar, which forgets who was awake lately, and waits until the instance sleeps. */
async function fallAsleep(bench: BenchStack, id: number): Promise<void> {
  await run('docker', ['restart', '--', bench.stack.containers.names.sidecar]);
  await untilAsleep(bench, id);
}

/** Waits until the instance's container has stopped, and the sidecar, which has just begun, has nothing else to do. */
async function untilAsleep(bench: BenchStack, id: number): Promise<void> {
  const end = performance.now() + ASLEEP_MS;
  const format = ['inspect', '--format', '{{.State.Running}}', '--', container(bench, id)];
  while ((await run('docker', format)) === 'true' || !(await bench.isAsleep(id))) {
    if (performance.now() > end) throw new Error(`instance ${id} does not fall asleep`);
    await sleep(250);
  }
  await bench.atRest();
}

/** Asks as a browser does: the waking page asks again by itself. */
async function loginPage(bench: BenchStack, id: number): Promise<void> {
  const url = await bench.urlOf(id);
  const door = localDoor(Number(new URL(url).port));
  const end = performance.now() + ASLEEP_MS;
  while ((await statusBehind(door, `${url}/web/login`)) !== 200) {
    if (performance.now() > end) throw new Error(`${url} does not wake`);
    await sleep(25);
  }
}
