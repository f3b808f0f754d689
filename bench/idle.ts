import { z } from 'zod';
import { repository } from '../stack/paths.ts';
import { run } from '../stack/run.ts';
import type { Benchmark } from './benchmark.ts';

const answerSchema = z.object({
  instances: z.number(),
  rpcPerTick: z.number(),
  dockerPerTick: z.number(),
  sweeps: z.number(),
  cpuMsPerTick: z.number(),
  residentMB: z.number(),
});

/** The cost of the control loop while nothing happens. */
export const idle: Benchmark = {
  name: 'idle',
  about:
    'calls, CPU and memory of the loop at rest, at 10, 1,000 and 10,000 instances (fake engine and manager)',
  measure: async () => {
    const fleets = [];
    for (const count of [10, 1_000, 10_000]) fleets.push(await fleetOf(count));
    const largest = fleets.at(-1);
    if (!largest) throw new Error('no fleet was measured');
    const lower = { unit: '', better: 'lower' } as const;
    return {
      figures: [
        ...fleets.flatMap(({ instances, rpcPerTick, dockerPerTick }) => [
          {
            ...lower,
            title: `calls to Odoo per idle tick, ${instances} instances`,
            value: rpcPerTick,
            atLeast: 2,
          },
          {
            ...lower,
            title: `calls to Docker per idle tick, ${instances} instances`,
            value: dockerPerTick,
            atLeast: 0,
          },
        ]),
        {
          ...lower,
          title: 'CPU per tick at 10,000 instances, sweeps included',
          value: largest.cpuMsPerTick,
          unit: ' ms',
          atLeast: 100,
        },
        {
          ...lower,
          title: 'resident memory at 10,000 instances, the fakes included',
          value: largest.residentMB,
          unit: ' MB',
          atLeast: 250,
        },
      ],
      samples: fleets,
    };
  },
};

async function fleetOf(count: number) {
  const program = ['--import', 'tsx', 'bench/idle-fleet.ts', String(count)];
  const said = await run(process.execPath, program, { cwd: repository, timeout: 600_000 });
  return answerSchema.parse(JSON.parse(said));
}
