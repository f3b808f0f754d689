import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Everything that `GET /metrics` shows, besides the process' own figures. */
export function makeMetrics(backlog: () => number) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'microsaas_' });
  new Gauge({
    name: 'microsaas_backlog',
    help: 'Keys waiting or being worked on.',
    registers,
    collect() {
      this.set(backlog());
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
      help: 'Questions to the Docker daemon.',
      registers,
    }),
  };
}
