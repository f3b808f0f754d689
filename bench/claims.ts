import { setTimeout as sleep } from 'node:timers/promises';
import type { Benchmark } from './benchmark.ts';
import { makeFleet, sellMany } from './fleet.ts';

const CLAIMS = 1_000;

/** How many sales the loop itself can take: claimed, brought up and reported, with everything outside taking no time. */
export const claims: Benchmark = {
  name: 'claims',
  about: `${CLAIMS} claims on the fake engine, until each instance is reported running`,
  measure: async () => {
    const fleet = makeFleet();
    await fleet.controller.start();
    const start = performance.now();
    sellMany(fleet, CLAIMS);
    while (fleet.running() < CLAIMS) await sleep(10);
    const seconds = (performance.now() - start) / 1000;
    await fleet.controller.stop();
    const rpc = fleet.calls.filter((call) => call.startsWith('manager.')).length;
    return {
      figures: [
        {
          title: `${CLAIMS} claims on the fake engine`,
          value: CLAIMS / seconds,
          unit: ' /s',
          better: 'higher',
          atLeast: 50,
        },
      ],
      samples: { seconds, rpcPerClaim: rpc / CLAIMS },
    };
  },
};
