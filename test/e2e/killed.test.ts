import { expect } from 'chai';
import { run } from '../../stack/run.ts';
import { withSql } from '../../stack/sql.ts';
import { paidUntil, passFinalNotice, passSince, payRenewal, purged } from './support/dunning.ts';
import type { TestEnvironment } from './support/environment.ts';
import { eventually } from './support/eventually.ts';
import { INSTANCE, type Row } from './support/instances.ts';
import { DELAYS, killedAfter, killedAt, stepOf } from './support/killing.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

/** In the order of the delays: after how many milliseconds a restore is interrupted. */
const DURING_A_RESTORE = [200, 600, 1_200, 2_000] as const;

/** The same for the installation of a template. Only two, since it begins again after each. */
const DURING_AN_INSTALLATION = [300, 4_000] as const;

chapter('killed at every step: the next sidecar completes it', () => {
  let plan: number;
  let row: Row;
  let sold: number;

  before(async () => {
    const { shop, instances } = theEnvironment();
    plan = await shop.plan({ name: 'Killed' });
    sold = await shop.sell([{ product: plan }]);
    [row] = (await instances.running(sold, 1)) as [Row];
  });

  const press = (button: string) => () => theEnvironment().instances.press(row.id, button);
  const subscription = () => theEnvironment().instances.subscription(row);

  for (const step of ['render', 'createDatabase'] as const)
    scenario(`a sale, at ${step}`, async (env) => {
      const { instances, shop, sidecar } = env;
      for (const delay of DELAYS) {
        let invoice = 0;
        const isMoment = (line: Record<string, unknown>) => line['step'] === step;
        await killedAt(sidecar, isMoment, delay, async () => {
          invoice = await shop.sell([{ product: plan }]);
        });
        const rows = await instances.running(invoice, 1);
        await expectOneOfEach(env, rows[0] as Row);
        await instances.remove(rows.map(({ id }) => id));
      }
    });

  scenario('Stop, and Start again', async (env) => {
    const { instances, sidecar } = env;
    for (const delay of DELAYS) {
      await killedAt(sidecar, stepOf(row.id, 'stop'), delay, press('stop_instance'));
      await instances.reaches(row.id, 'stopped');
      await killedAt(sidecar, stepOf(row.id, 'start'), delay, press('start_instance'));
      await instances.reaches(row.id, 'running');
    }
    await expectOneOfEach(env, row);
  });

  scenario('Restart', async (env) => {
    for (const delay of DELAYS) {
      const before = await containerId(env, row);
      await killedAt(env.sidecar, stepOf(row.id, 'start'), delay, press('restart_instance'));
      await eventually(async () => {
        expect(await containerId(env, row)).not.to.equal(before);
        expect((await env.instances.row(row.id)).state).to.equal('running');
        // Odoo shows it as running throughout: only the containers show that the restart is done.
        await expectOneOfEach(env, row);
      });
      await env.sidecar.idle();
    }
  });

  scenario('a paid renewal is applied once', async (env) => {
    for (const delay of DELAYS) {
      const { renovacion_ids: before } = await subscription();
      await killedAfter(env.sidecar, delay, async () => payRenewal(env, await subscription()));
      await eventually(async () => {
        expect((await subscription()).renovacion_ids).to.have.lengthOf(before.length + 1);
      });
    }
  });

  scenario('suspended, and resumed by a payment', async (env) => {
    const { instances, sidecar } = env;
    for (const delay of DELAYS) {
      await killedAt(sidecar, stepOf(row.id, 'stop'), delay, async () =>
        paidUntil(env, await subscription(), -10),
      );
      await instances.reaches(row.id, 'stopped');
      await killedAt(sidecar, stepOf(row.id, 'start'), delay, async () =>
        payRenewal(env, await subscription()),
      );
      await instances.reaches(row.id, 'running');
    }
    await expectOneOfEach(env, row);
  });

  scenario('Remove, and back', async ({ instances, sidecar }) => {
    for (const delay of DELAYS) {
      await killedAt(sidecar, stepOf(row.id, 'removeContainers'), delay, press('action_remove'));
      await instances.reaches(row.id, 'removed');
      await press('action_restaurar')();
      await instances.reaches(row.id, 'running');
    }
  });

  scenario('last backup, purge and restore', async (env) => {
    const { instances, sidecar } = env;
    for (const [index, delay] of DELAYS.entries()) {
      await instances.remove([row.id]);
      await killedAfter(sidecar, 10 * delay, async () => {
        await passSince(env, await subscription(), 'hidden_at', 31);
        await sidecar.webhook({ model: INSTANCE, ids: [row.id] });
      });
      await killedAt(sidecar, stepOf(row.id, 'purge'), delay, () => passFinalNotice(env, row.id));
      const backup = await purged(env, row.id);
      const cut = sidecar.restore(row.id, backup).catch(() => 'cut off');
      await killedAfter(sidecar, DURING_A_RESTORE[index] ?? 0, async () => {});
      // What was asked for goes on by itself; the command may have been killed before it could ask.
      if ((await cut) === 'cut off')
        await eventually(async () => {
          const { reason } = await instances.row(row.id);
          if (reason === 'Purged') await sidecar.restore(row.id, backup);
        });
      await instances.reaches(row.id, 'stopped');
      await press('start_instance')();
      await instances.reaches(row.id, 'running');
      await expectOneOfEach(env, row);
    }
  });

  scenario('a template is built, and an instance made from it', async (env) => {
    const { admin, instances, shop, sidecar, stack } = env;
    const large = await shop.plan({ name: 'Killed while it is built', provision: 'manual' });
    const [{ product_tmpl_id: template } = { product_tmpl_id: [0] }] = await admin.read<{
      product_tmpl_id: [number, string];
    }>('product.product', [['id', '=', large]], ['product_tmpl_id']);
    const domain = [['id', '=', template[0]]];
    await admin.call('product.template', 'write', [
      [template[0]],
      { microsaas_modules: 'contacts,calendar', microsaas_provision: 'automatic' },
    ]);
    for (const duration of DURING_AN_INSTALLATION) {
      await eventually(async () => expect(await building(stack.install)).to.have.lengthOf(1));
      await killedAfter(sidecar, duration, async () => {});
    }
    const prepared = ['microsaas_listo', 'microsaas_listo_message'];
    await eventually(async () => {
      const [found] = await admin.read('product.template', domain, prepared);
      expect(found).to.include({ microsaas_listo: true, microsaas_listo_message: false });
    });
    expect(await building(stack.install)).to.deep.equal([]);
    const invoice = await shop.sell([{ product: large }]);
    const rows = await instances.running(invoice, 1);
    await expectOneOfEach(env, rows[0] as Row);
  });

  scenario('addons are fetched', async (env) => {
    const { admin, git, instances, sidecar } = env;
    for (const delay of DELAYS) {
      const commit = await git.commit('killed', {
        'good/__manifest__.py': '{}',
        'good/__init__.py': `# ${delay}\n`,
      });
      const repository = { url: git.url('killed'), branch: '19.0' };
      const values = { name: 'With addons', repository_ids: [[0, 0, repository]] };
      const id = await admin.create(INSTANCE, values);
      const start = () => instances.press(id, 'start_instance');
      await killedAt(sidecar, stepOf(id, 'fetchRepositories'), delay, start);
      const running = await instances.reaches(id, 'running');
      await expectOneOfEach(env, running);
      const of = [['instance_id', '=', id]];
      const [found] = await admin.read('odoo.docker.repository', of, ['commit']);
      expect(found).to.include({ commit });
    }
  });

  scenario('the manager does not answer during claim and report', async (env) => {
    const { instances, shop, sidecar, stack } = env;
    const { manager } = stack.containers.names;
    const since = (await sidecar.log()).length;
    const invoice = await shop.sell([{ product: plan }]);
    await run('docker', ['pause', '--', manager]);
    try {
      await eventually(async () => {
        const news = (await sidecar.log()).slice(since);
        expect(
          news.some((line) => line['who'] === 'Odoo' && /^away/.test(line.msg ?? '')),
        ).to.equal(true);
      });
    } finally {
      await run('docker', ['unpause', '--', manager]);
    }
    await instances.running(invoice, 1);
  });

  scenario('all webhooks are lost: the poll finds everything', async (env) => {
    const { admin, instances, shop } = env;
    const url = await admin.call<string>('ir.config_parameter', 'get_param', [
      'microsaas.sidecar_url',
    ]);
    const sendTo = (address: string) =>
      admin.call('ir.config_parameter', 'set_param', ['microsaas.sidecar_url', address]);
    await sendTo('http://sidecar:9/webhooks/odoo');
    try {
      const invoice = await shop.sell([{ product: plan }]);
      const [made] = await instances.running(invoice, 1);
      const id = made?.id ?? 0;
      await instances.press(id, 'stop_instance');
      await instances.reaches(id, 'stopped');
      await instances.press(id, 'start_instance');
      await instances.reaches(id, 'running');
    } finally {
      await sendTo(url);
    }
  });
});

chapter('many changes at once', () => {
  scenario(
    'twenty concurrent sales, ten stops and five removals',
    async (env) => {
      const { instances, shop } = env;
      const plan = await shop.plan({ name: 'Much at once' });
      const earlier: Row[] = [];
      const before: number[] = [];
      for (let count = 0; count < 5; count++)
        before.push(await shop.sell([{ product: plan, quantity: 3 }]));
      for (const invoice of before) earlier.push(...(await instances.running(invoice, 3)));
      const [stopped, removed] = [earlier.slice(0, 10), earlier.slice(10)];
      const invoices: number[] = [];
      for (let count = 0; count < 7; count++)
        invoices.push(await shop.draft([{ product: plan, quantity: count === 6 ? 2 : 3 }]));
      for (const invoice of invoices) await shop.post(invoice);
      await Promise.all([
        ...invoices.map((invoice) => shop.pay(invoice)),
        ...stopped.map(({ id }) => instances.press(id, 'stop_instance')),
        ...removed.map(({ id }) => instances.press(id, 'action_remove')),
      ]);
      for (const { id } of stopped) await instances.reaches(id, 'stopped', 240);
      for (const { id } of removed) await instances.reaches(id, 'removed', 240);
      const counts = [3, 3, 3, 3, 3, 3, 2];
      for (const [index, invoice] of invoices.entries())
        await instances.running(invoice, counts[index] ?? 0);
    },
    15,
  );
});

/** Expects one running container, and one database under its final name, none unfinished. */
async function expectOneOfEach(env: TestEnvironment, { id }: Row): Promise<void> {
  const { stack } = env;
  const containers = await env.containersOf(id);
  expect(containers.map((it) => it.State.Running)).to.deep.equal([true]);
  const names = await withSql(await stack.tenantSql(), 'postgres', (sql) =>
    sql('SELECT datname FROM pg_database WHERE datname ~ $1', [
      `^ms_${stack.install}_${id}(_new)?$`,
    ]),
  );
  expect(names).to.deep.equal([{ datname: `ms_${stack.install}_${id}` }]);
}

async function containerId(env: TestEnvironment, { id }: Row): Promise<string> {
  const [container] = await env.containersOf(id);
  return container?.Id ?? '';
}

/** Names of the containers that build a template. */
async function building(install: string): Promise<string[]> {
  const filter = ['--filter', `name=^ms-${install}-template-`, '--format', '{{.Names}}'];
  return (await run('docker', ['container', 'ls', ...filter])).split('\n').filter(Boolean);
}
