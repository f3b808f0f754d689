import { Gauge, type Registry } from 'prom-client';
import { PARTS, QUEUES, type QueueVitals, type Vitals } from './controller/vitals.ts';
import { addGauge } from './gauges.ts';
import { FAILURE_REASONS } from './instance/reasons.ts';

const KNOWN_REASONS: ReadonlySet<string> = new Set(FAILURE_REASONS);

/** How the controller does. @param vitals returns null until it has started: then there are no values */
export function addVitals(registry: Registry, vitals: () => Vitals | null): void {
  const registers = [registry];
  for (const [name, help, read] of [
    ['microsaas_queue_keys', 'Keys waiting or being worked on.', ({ keys }) => keys],
    [
      'microsaas_queue_oldest_age_seconds',
      'Age of the oldest waiting key.',
      ({ ageSeconds }) => ageSeconds,
    ],
    [
      'microsaas_queue_failing_keys',
      'Keys that have failed and are tried again.',
      ({ failing }) => failing,
    ],
  ] satisfies ReadonlyArray<[string, string, (queue: QueueVitals) => number]>)
    new Gauge({
      ...{ name, help, registers },
      labelNames: ['queue'],
      collect() {
        const now = vitals();
        if (now) for (const queue of QUEUES) this.set({ queue }, read(now.queues[queue]));
      },
    });
  new Gauge({
    name: 'microsaas_loop_last_success_timestamp_seconds',
    help: 'When each loop of the sidecar last ended without a failure: polls, sweeps, probes, sleep.',
    labelNames: ['loop'],
    registers,
    collect() {
      for (const [loop, at] of vitals()?.beats ?? []) this.set({ loop }, at);
    },
  });
  new Gauge({
    name: 'microsaas_part_up',
    help: 'Whether what the sidecar needs is there and in order (1), as far as it has seen.',
    labelNames: ['part'],
    registers,
    collect() {
      const down = vitals()?.down;
      if (down) for (const part of PARTS) this.set({ part }, down.has(part) ? 0 : 1);
    },
  });
  new Gauge({
    name: 'microsaas_instances_failing',
    help: 'Instances in error by reason, as of the last sweep.',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset();
      let others = 0;
      // A reason comes from Odoo: what is none of ours must not become a label.
      for (const [reason, count] of vitals()?.errors ?? [])
        if (KNOWN_REASONS.has(reason)) this.set({ reason }, count);
        else others += count;
      if (others > 0) this.set({ reason: 'Other' }, others);
    },
  });
  const ofAll = (name: string, help: string, read: (vitals: Vitals) => number | null) =>
    addGauge(registry, name, help, () => {
      const now = vitals();
      return now && read(now);
    });
  ofAll(
    'microsaas_instances_silent',
    'Instances that should answer and do not.',
    ({ silent }) => silent,
  );
  ofAll(
    'microsaas_instances_orphaned',
    'Instances with containers here and no record in Odoo, since the start of the sidecar.',
    ({ orphans }) => orphans,
  );
  ofAll(
    'microsaas_mails_failed',
    'Mails to customers that did not leave, as of the last sweep.',
    ({ failedMails }) => failedMails,
  );
  ofAll(
    'microsaas_odoo_cron_last_run_timestamp_seconds',
    'When the manager Odoo last ran its own scheduled work, as of the last sweep.',
    ({ odooCronAt }) => odooCronAt || null,
  );
}
