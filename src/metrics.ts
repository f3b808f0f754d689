import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { BackupAges } from './instance/backup-policy.ts';
import type { InstanceState } from './instance/types.ts';
import type { CertificateState } from './interfaces.ts';

const STATES: readonly InstanceState[] = ['draft', 'running', 'stopped', 'error', 'removed'];

/** What the gauges read when they are scraped. */
export interface Measured {
  readonly backlog: number;
  readonly backlogSeconds: number;
  readonly states: readonly InstanceState[] | null;
  readonly certificates: CertificateState | null;
  readonly backups: BackupAges | null;
}

/** The Prometheus metrics of `GET /metrics`. @param measured returns null until the controller has started */
export function makeMetrics(measured: () => Measured | null) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'microsaas_' });
  new Gauge({
    name: 'microsaas_backlog',
    help: 'Keys waiting or being worked on.',
    registers,
    collect() {
      this.set(measured()?.backlog ?? 0);
    },
  });
  new Gauge({
    name: 'microsaas_backlog_age_seconds',
    help: 'Age of the oldest waiting key.',
    registers,
    collect() {
      this.set(measured()?.backlogSeconds ?? 0);
    },
  });
  new Gauge({
    name: 'microsaas_instances',
    help: 'Instances by their state in Odoo, as of the last sweep (every five minutes).',
    labelNames: ['state'],
    registers,
    collect() {
      const states = measured()?.states;
      if (!states) return;
      for (const state of STATES) this.set({ state }, states.filter((it) => it === state).length);
    },
  });
  new Gauge({
    name: 'microsaas_certificate_expiry_seconds',
    help: 'Until the first certificate of a host name ends, as of the last sweep; no value while there is none.',
    registers,
    collect() {
      const soonest = measured()?.certificates?.soonest;
      this.reset();
      if (soonest) this.set((soonest.until.getTime() - Date.now()) / 1000);
      else this.remove();
    },
  });
  new Gauge({
    name: 'microsaas_certificates_missing',
    help: 'Host names without a certificate, as of the last sweep.',
    registers,
    collect() {
      this.set(measured()?.certificates?.missing.length ?? 0);
    },
  });
  new Gauge({
    name: 'microsaas_backups_oldest_proof_seconds',
    help: 'Since the instance, or the manager, whose backup was proven longest ago had it proven, as of the last sweep; those that never had are counted apart.',
    registers,
    collect() {
      const oldest = measured()?.backups?.oldestProof;
      if (oldest) this.set(Date.now() / 1000 - oldest);
      else this.remove();
    },
  });
  new Gauge({
    name: 'microsaas_backups_never_proven',
    help: 'Instances with data of which no backup was ever proven, as of the last sweep; the manager counts as one more.',
    registers,
    collect() {
      this.set(measured()?.backups?.neverProven ?? 0);
    },
  });
  return {
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
