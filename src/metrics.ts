import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Meter } from './controller/controller-context.ts';
import type { Vitals } from './controller/vitals.ts';
import { addGauge } from './gauges.ts';
import type { BackupAges } from './instance/backup-policy.ts';
import { DRIFTS } from './instance/drift.ts';
import { SHOWN_STATES, type ShownState } from './instance/shown-state.ts';
import type { CertificateState } from './interfaces.ts';
import { addHostMetrics, type FreeSpace } from './metrics-host.ts';
import { addVitals } from './metrics-vitals.ts';

/** What the gauges read when they are scraped. */
export interface Measured {
  readonly backlog: number;
  readonly backlogSeconds: number;
  readonly states: readonly ShownState[] | null;
  readonly certificates: CertificateState | null;
  readonly backups: BackupAges | null;
  readonly vitals: Vitals;
}

/** From two seconds, which a sale takes, to the half hour after which something is wrong. */
const USABLE_BUCKETS = [1, 2, 3, 5, 10, 30, 60, 120, 300, 600, 1_800];

/**
 * The Prometheus metrics of `GET /metrics`. A scrape asks neither Odoo nor Docker: it reads what is known, and the disk's free space.
 * @param measured returns null until the controller has started
 * @param freeSpace of the disk with the customers' data
 */
export function makeMetrics(measured: () => Measured | null, freeSpace: () => Promise<FreeSpace>) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'microsaas_' });
  addGauge(
    registry,
    'microsaas_backlog',
    'Keys waiting or being worked on.',
    () => measured()?.backlog ?? 0,
  );
  addGauge(
    registry,
    'microsaas_backlog_age_seconds',
    'Age of the oldest waiting key.',
    () => measured()?.backlogSeconds ?? 0,
  );
  new Gauge({
    name: 'microsaas_instances',
    help: 'Instances by state, as of the last sweep (every five minutes).',
    labelNames: ['state'],
    registers,
    collect() {
      const states = measured()?.states;
      if (!states) return;
      for (const state of SHOWN_STATES)
        this.set({ state }, states.filter((it) => it === state).length);
    },
  });
  addGauge(
    registry,
    'microsaas_certificate_expiry_seconds',
    'Until the first certificate of a host name ends, as of the last sweep; no value while there is none.',
    () => {
      const soonest = measured()?.certificates?.soonest;
      return soonest ? (soonest.until.getTime() - Date.now()) / 1000 : null;
    },
  );
  addGauge(
    registry,
    'microsaas_certificates_missing',
    'Host names without a certificate, as of the last sweep.',
    () => measured()?.certificates?.missing.length ?? 0,
  );
  addGauge(
    registry,
    'microsaas_backups_oldest_proof_seconds',
    'Since the instance, or the manager, whose backup was proven longest ago had it proven, as of the last sweep; those that never had are counted apart.',
    () => {
      const oldest = measured()?.backups?.oldestProof;
      return oldest ? Date.now() / 1000 - oldest : null;
    },
  );
  addGauge(
    registry,
    'microsaas_backups_never_proven',
    'Instances with data of which no backup was ever proven, as of the last sweep; the manager counts as one more.',
    () => measured()?.backups?.neverProven ?? 0,
  );
  addVitals(registry, () => measured()?.vitals ?? null);
  addHostMetrics(registry, freeSpace);
  const usable = new Histogram({
    name: 'microsaas_time_to_usable_seconds',
    help: 'From the payment, or from Start, to the first answer of a new instance.',
    buckets: USABLE_BUCKETS,
    registers,
  });
  const drift = new Counter({
    name: 'microsaas_drift_mended_total',
    help: 'Steps that mended what nobody had asked for, by what was found.',
    labelNames: ['found'],
    registers,
  });
  // From 0 on: what appears with its first 1 has no increase that a rate could see.
  for (const found of DRIFTS) drift.inc({ found }, 0);
  const odooAnswered = new Gauge({
    name: 'microsaas_odoo_last_answer_timestamp_seconds',
    help: 'When the manager Odoo last answered a call.',
    registers,
  });
  odooAnswered.remove();
  const meter: Meter = {
    usable: (seconds) => usable.observe(seconds),
    mended: (found) => drift.inc({ found }),
  };
  return {
    meter,
    odooAnswered: () => odooAnswered.setToCurrentTime(),
    render: () => registry.metrics(),
    rpcSeconds: new Histogram({
      name: 'microsaas_rpc_seconds',
      help: 'Calls to the manager Odoo.',
      labelNames: ['method', 'outcome'],
      registers,
    }),
    dockerCalls: new Counter({
      name: 'microsaas_docker_calls_total',
      help: 'Requests to the Docker daemon.',
      registers,
    }),
  };
}
