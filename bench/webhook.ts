import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import type { Benchmark } from './benchmark.ts';
import { quantile } from './statistics.ts';

const PER_SECOND = 100;
const SECONDS = 20;
const SALES = 10;

/** The response time of webhooks while the machine is busy creating instances: Odoo waits for one second at most. */
export const webhook: Benchmark = {
  name: 'webhook',
  about: `webhook acknowledged at ${PER_SECOND} per second for ${SECONDS} s while ${SALES} sales are provisioned`,
  measure: async ({ stack }) => {
    const bench = await stack();
    const sale = await bench.shop('base');
    const invoices: number[] = [];
    for (let i = 0; i < SALES; i++) invoices.push(await sale.invoice());
    const pay = await sale.payment(...invoices);
    const secret = await bench.stack.files.read('sidecar/webhook-secret');
    const signer = new Webhook(secret ?? '');
    await pay();

    const answers: Array<Promise<{ status: number; ms: number }>> = [];
    const start = performance.now();
    for (let sent = 0; sent < PER_SECOND * SECONDS; sent++) {
      const early = start + (sent * 1000) / PER_SECOND - performance.now();
      if (early > 1) await sleep(early);
      const id = invoices[sent % SALES] ?? 0;
      answers.push(post(`${bench.stack.sidecarUrl}/webhooks/odoo`, signer, id));
    }
    const all = await Promise.all(answers);
    for (const invoice of invoices) await bench.usable(invoice);
    await bench.takeDown(...invoices);
    const refused = all.filter(({ status }) => status !== 202).length;
    if (refused > 0) throw new Error(`${refused} webhooks were not accepted`);
    const milliseconds = all.map(({ ms }) => ms);
    return {
      figures: [
        {
          title: `webhook acknowledged, p99, ${PER_SECOND} per second while provisioning`,
          value: quantile(milliseconds, 0.99),
          unit: ' ms',
          better: 'lower',
          atLeast: 200,
        },
      ],
      samples: {
        count: milliseconds.length,
        p50: quantile(milliseconds, 0.5),
        p99: quantile(milliseconds, 0.99),
        longest: Math.max(...milliseconds),
      },
    };
  },
};

async function post(url: string, signer: Webhook, invoice: number) {
  const body = JSON.stringify({ model: 'account.move', ids: [invoice] });
  const id = `msg_${randomUUID().replaceAll('-', '')}`;
  const now = new Date();
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': signer.sign(id, now, body),
  };
  const start = performance.now();
  const response = await fetch(url, { method: 'POST', headers, body });
  await response.arrayBuffer();
  return { status: response.status, ms: performance.now() - start };
}
