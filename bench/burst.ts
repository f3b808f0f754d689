import type { Benchmark } from './benchmark.ts';
import { pairs, ratios } from './pairs.ts';
import { median, medianInterval } from './statistics.ts';
import { UsualInstance } from './usual.ts';

const PAYMENTS = 20;

/** Twenty pollers at every 25 ms would keep a processor busy. */
const POLL_MS = 100;

/** Twenty concurrent payments, measured until the last customer is logged in. */
export const burst: Benchmark = {
  name: 'burst',
  about: `${PAYMENTS} payments in one moment, all usable, against as many started together in the usual way`,
  measure: async ({ stack, say, pairs: count = 2 }) => {
    const bench = await stack();
    const sale = await bench.shop('base');
    const numbers = Array.from({ length: PAYMENTS }, (_, index) => index + 1);
    const each: number[][] = [];

    async function ours(): Promise<number> {
      const invoices: number[] = [];
      for (const _ of numbers) invoices.push(await sale.invoice());
      const pay = await sale.payment(...invoices);
      await pay();
      const start = performance.now();
      const seconds = await Promise.all(
        invoices.map(async (invoice) => {
          await bench.usable(invoice, POLL_MS);
          return (performance.now() - start) / 1000;
        }),
      );
      each.push(seconds);
      const all = (performance.now() - start) / 1000;
      await bench.takeDown(...invoices);
      return all;
    }

    async function usual(): Promise<number> {
      const { install } = bench.stack;
      const instances = await Promise.all(
        numbers.map((number) => UsualInstance.at(install, number, ['base'])),
      );
      const start = performance.now();
      try {
        await Promise.all(instances.map((instance) => instance.provision(POLL_MS)));
        return (performance.now() - start) / 1000;
      } finally {
        for (const instance of instances) await instance.remove();
      }
    }

    const taken = await pairs(count, { usual, ours }, say);
    const values = ratios(taken);
    return {
      figures: [
        {
          title: `${PAYMENTS} payments in one moment, all usable: usual ÷ ours`,
          value: median(values),
          interval: medianInterval(values),
          unit: '×',
          better: 'higher',
          atLeast: 4,
          aim: 10,
        },
      ],
      samples: { pairs: taken, oursEach: each },
    };
  },
};
