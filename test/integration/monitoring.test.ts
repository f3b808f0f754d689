import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import type { Vitals } from '../../src/controller/vitals.ts';
import { makeMetrics } from '../../src/metrics.ts';
import { run } from '../../stack/run.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { alertRules, dashboardPanels, MONITORING } from '../support/monitoring-files.ts';
import { prometheusPrograms, startPrometheus } from '../support/prometheus.ts';

const ruleGroups = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({ name: z.string(), health: z.string(), lastError: z.string().default('') }),
      ),
    }),
  ),
});
const vector = z.object({
  result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })),
});

const IDLE = { keys: 0, ageSeconds: 0, failing: 0 };
const AT = Date.now() / 1000;

/** A sidecar that works, with one instance in error. */
const VITALS: Vitals = {
  queues: { instances: IDLE, plans: IDLE, backups: IDLE, jobs: IDLE },
  beats: new Map([
    ['poll', AT],
    ['sweep', AT],
  ]),
  ...{ down: new Set(), errors: new Map([['CrashLoop', 1]]), silent: 0, orphans: 0 },
  ...{ failedMails: 2, odooCronAt: AT },
};

describe("the metrics and the alerts, with Debian's Prometheus", function () {
  this.timeout(300_000);
  let bin: string;
  const metrics = makeMetrics(
    () => ({
      ...{ backlog: 0, backlogSeconds: 0, states: ['running', 'asleep', 'error'] },
      certificates: { soonest: { name: 'a.com', until: new Date() }, overdue: null, missing: [] },
      ...{ backups: { oldestProof: AT, neverProven: 1 }, vitals: VITALS },
    }),
    async () => ({ bytes: 1e11, inodes: 1e6, share: 0.5 }),
  );

  before(async function () {
    await prometheusPrograms().then(
      (found) => {
        bin = found;
      },
      (error: Error) => {
        console.log(`      skipped, for Debian's Prometheus cannot be had: ${error.message}`);
        this.skip();
      },
    );
  });

  const promtool = (...args: string[]) =>
    run(join(bin, 'promtool'), args, { cwd: MONITORING, both: true });

  it('has rules that promtool takes, and each alert fires where it should and nowhere else', async () => {
    expect(await promtool('check', 'rules', 'microsaas.rules.yml')).to.match(/SUCCESS/);
    expect(await promtool('test', 'rules', 'microsaas.rules.test.yml')).to.match(/SUCCESS/);
    expect(await promtool('check', 'config', 'prometheus.example.yml')).to.match(/SUCCESS/);
  });

  it('names its metrics and their units as Prometheus does', async () => {
    metrics.meter.usable(2);
    metrics.odooAnswered();
    const input = await metrics.render();
    // Those of Node itself are prom-client's.
    const own = input.replaceAll(/^.*microsaas_(nodejs|process)_.*\n/gm, '');
    expect(
      await run(join(bin, 'promtool'), ['check', 'metrics'], { input: own, both: true }),
    ).to.equal('');
  });

  describe('that runs', () => {
    let sidecar: Server;
    let folder: string;
    let prometheus: Awaited<ReturnType<typeof startPrometheus>>;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'microsaas-prometheus-'));
      sidecar = createServer((_, response) => {
        void metrics.render().then((text) => {
          response.setHeader('content-type', 'text/plain; version=0.0.4');
          response.end(text);
        });
      });
      await new Promise<void>((resolve) => sidecar.listen(0, '127.0.0.1', resolve));
      const address = sidecar.address();
      const port = typeof address === 'object' ? address?.port : 0;
      // The example as operators get it, for this port and a second in place of half a minute.
      const example = parse(await run('cat', [join(MONITORING, 'prometheus.example.yml')]));
      const [job] = example.scrape_configs;
      const config = {
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: example.rule_files.map((file: string) => join(MONITORING, file)),
        scrape_configs: [{ ...job, static_configs: [{ targets: [`127.0.0.1:${port}`] }] }],
      };
      const file = join(folder, 'prometheus.yml');
      await writeFile(file, stringify(config));
      prometheus = await startPrometheus(bin, file, join(folder, 'data'));
    });
    after(async () => {
      await prometheus?.stop();
      sidecar?.close();
      await rm(folder, { recursive: true, force: true });
    });

    const query = async (expr: string) => {
      const data = await prometheus.ask(`query?query=${encodeURIComponent(expr)}`);
      return vector.parse(data).result.map(({ value: [, value] }) => Number(value));
    };

    it('scrapes the sidecar and evaluates every rule', async () => {
      await eventually(async () => {
        expect(await query('microsaas_instances{state="asleep"}')).to.deep.equal([1]);
        const { groups } = ruleGroups.parse(await prometheus.ask('rules'));
        const rules = groups.flatMap((group) => group.rules);
        expect(rules).to.have.length(alertRules().length);
        for (const { health, lastError, name } of rules)
          expect([name, health, lastError]).to.deep.equal([name, 'ok', '']);
        const pending = await query('count(ALERTS{alertname="MicrosaasInstancesFailing"})');
        expect(pending).to.deep.equal([1]);
      });
    });

    it('answers every question of the dashboard', async () => {
      for (const { targets, title } of dashboardPanels())
        for (const { expr } of targets)
          await query(expr).catch((error: Error) => {
            throw new Error(`${title}: ${error.message}`);
          });
    });
  });
});
