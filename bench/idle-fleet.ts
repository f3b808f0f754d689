// node --import tsx bench/idle-fleet.ts <instances>: an idle fleet, in a process of its own so that its memory can be measured.
// Prints one line of JSON.
import { mock } from 'node:test';
import { makeFleet, putAtRest } from './fleet.ts';

const POLL_MS = 30_000;

/** Fifty minutes, with ten sweeps among them. */
const TICKS = 100;

const count = Number(process.argv[2]);
mock.timers.enable({ apis: ['setTimeout', 'Date'], now: new Date('2026-11-22T12:01:07Z') });
const ran = () => new Promise<void>((resolve) => setImmediate(resolve));

const fleet = makeFleet();
putAtRest(fleet, count);
await fleet.controller.start();

const { calls } = fleet;
const start = calls.length;
const cpu = process.cpuUsage();
let perTick: string[] = [];
for (let tick = 0; tick < TICKS; tick++) {
  const before = calls.length;
  // In seconds, because the cron schedule of the sweep uses many timers.
  for (let passed = 0; passed < POLL_MS; passed += 1_000) {
    mock.timers.tick(1_000);
    await ran();
  }
  const made = calls.slice(before);
  // A tick with a sweep is not an idle one.
  if (!made.includes('engine.list')) perTick = made;
}
const { user, system } = process.cpuUsage(cpu);
const all = calls.slice(start);
process.stdout.write(
  `${JSON.stringify({
    instances: count,
    rpcPerTick: perTick.filter((call) => call.startsWith('manager.')).length,
    dockerPerTick: perTick.filter((call) => call.startsWith('engine.')).length,
    sweeps: all.filter((call) => call === 'engine.list').length,
    cpuMsPerTick: (user + system) / 1000 / TICKS,
    residentMB: process.memoryUsage().rss / 1e6,
  })}\n`,
);
process.exit(0);
