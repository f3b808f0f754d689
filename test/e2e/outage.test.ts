import { expect } from 'chai';
import { run } from '../../stack/run.ts';
import { eventually } from './support/eventually.ts';
import type { Row } from './support/instances.ts';
import { status } from './support/login.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';
import type { Sidecar } from './support/sidecar.ts';

chapter('an outage', () => {
  let plan: number;
  let row: Row;

  before(async () => {
    const { shop, instances } = theEnvironment();
    plan = await shop.plan();
    const invoice = await shop.sell([{ product: plan }]);
    [row] = (await instances.running(invoice, 1)) as [Row];
  });

  scenario(
    'of the manager: /readyz shows it, the log has it once when it begins and once when it ends',
    async (env) => {
      const { stack, sidecar, shop, instances } = env;
      await expectReady(sidecar, { odoo: true, docker: true, postgres: true });
      const { manager } = stack.containers.names;
      const since = await mark(sidecar);
      await run('docker', ['stop', '--', manager]);
      await expectReady(sidecar, { odoo: false, docker: true, postgres: true });
      await eventually(async () => expect(await said(sidecar, since, /away/, 'Odoo')).to.equal(1));
      expect(await status(`${row.instance_url}/web/login`), 'customers go on').to.equal(200);
      // Two polls later it was logged only once.
      const attempts = await sidecar.metric('microsaas_rpc_seconds_count');
      await eventually(async () => {
        expect(await sidecar.metric('microsaas_rpc_seconds_count')).to.be.greaterThan(attempts + 4);
      });
      await run('docker', ['start', '--', manager]);
      await stack.waitForLogin(stack.url);
      await expectReady(sidecar, { odoo: true, docker: true, postgres: true });
      await eventually(async () => expect(await said(sidecar, since, /back/, 'Odoo')).to.equal(1));
      expect(await said(sidecar, since, /away/, 'Odoo')).to.equal(1);
      const invoice = await shop.sell([{ product: plan }]);
      await instances.running(invoice, 1);
    },
  );

  scenario(
    'of a container that was stopped or removed by hand: it is started again',
    async (env) => {
      const name = `ms-${env.stack.install}-${row.id}-odoo`;
      await run('docker', ['stop', '--', name]);
      await eventually(async () => {
        expect(await status(`${row.instance_url}/web/login`)).to.equal(200);
      });
      await env.instances.reaches(row.id, 'running');
      await run('docker', ['rm', '--force', '--', name]);
      await eventually(async () => {
        expect(await status(`${row.instance_url}/web/login`)).to.equal(200);
      });
    },
  );

  scenario('of the customers’ Postgres: a sale waits for it, then runs', async (env) => {
    const { stack, sidecar, shop, instances } = env;
    const { tenantDb } = stack.containers.names;
    const since = await mark(sidecar);
    await run('docker', ['stop', '--', tenantDb]);
    await expectReady(sidecar, { odoo: true, docker: true, postgres: false });
    const invoice = await shop.sell([{ product: plan }]);
    await eventually(async () =>
      expect(await said(sidecar, since, /away/, 'Postgres')).to.equal(1),
    );
    await run('docker', ['start', '--', tenantDb]);
    await expectReady(sidecar, { odoo: true, docker: true, postgres: true });
    await instances.running(invoice, 1);
    await eventually(async () =>
      expect(await said(sidecar, since, /back/, 'Postgres')).to.equal(1),
    );
    await eventually(async () => {
      expect(await status(`${row.instance_url}/web/login`)).to.equal(200);
    });
  });
});

/** Waits until `/readyz` has the expected result for each dependency. */
async function expectReady(sidecar: Sidecar, expected: Record<string, boolean>): Promise<void> {
  await eventually(async () => {
    const { status: code, parts } = await sidecar.ready();
    // The counts of instances are information, not a dependency.
    const { instances: _, ...needed } = parts;
    const found = Object.fromEntries(
      Object.entries(needed).map(([name, it]) => [name, it === true]),
    );
    expect(found).to.deep.equal(expected);
    expect(code).to.equal(Object.values(expected).every(Boolean) ? 200 : 503);
  });
}

/** The present length of the log. */
async function mark(sidecar: Sidecar): Promise<number> {
  return (await sidecar.log()).length;
}

/** How many lines of the log from a mark on match, for one dependency. */
async function said(sidecar: Sidecar, since: number, words: RegExp, who: string): Promise<number> {
  const news = (await sidecar.log()).slice(since);
  return news.filter((line) => line['who'] === who && words.test(line.msg ?? '')).length;
}
