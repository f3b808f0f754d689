import type { Server } from 'node:net';
import { expect } from 'chai';
import { withSql } from '../../stack/sql.ts';
import { containerNamed } from './support/docker.ts';
import { eventually } from './support/eventually.ts';
import { INSTANCE, idOf } from './support/instances.ts';
import { status } from './support/login.ts';
import { occupy, suggestedPorts } from './support/ports.ts';
import { refusal } from './support/refusal.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

interface Action {
  res_model: string;
  res_id?: number;
  url?: string;
  context: Record<string, unknown>;
}

chapter('an instance created by hand, button by button', () => {
  let invoice: number;
  let id: number;
  const occupied: Server[] = [];

  after(() => {
    for (const server of occupied) server.close();
  });

  /** Its only container. */
  async function container() {
    const found = await theEnvironment().containersOf(id);
    expect(found).to.have.lengthOf(1);
    return found[0] as (typeof found)[number];
  }

  scenario('Create instance opens a pre-filled form, which is saved as a draft', async (env) => {
    const { shop, bookkeeper, instances, git } = env;
    const customer = await shop.customer('Panadería Ñandú');
    const plan = await shop.plan({ provision: 'manual' });
    invoice = await shop.sell([{ product: plan }], { partner_id: customer });
    const form = await bookkeeper.call<Action>('account.move', 'action_crear_instancia', [
      [invoice],
    ]);
    expect(form.res_model).to.equal(INSTANCE);
    const { default_partner_id, default_factura_id, default_name } = form.context;
    expect({ default_partner_id, default_factura_id }).to.deep.equal({
      default_partner_id: customer,
      default_factura_id: invoice,
    });
    const ports = await suggestedPorts(env, String(default_name));
    await git.commit('addons', { 'shop_extra/__manifest__.py': "{'name': 'Extra'}\n" });
    id = await bookkeeper.create(INSTANCE, {
      name: default_name,
      factura_id: default_factura_id,
      ...ports,
      repository_ids: [[0, 0, { url: git.url('addons'), branch: '19.0' }]],
    });
    const row = await instances.row(id);
    expect(row).to.include({ state: 'draft', desired_state: 'draft', unidad: 1, ...ports });
    expect([idOf(row.partner_id), idOf(row.factura_id)]).to.deep.equal([customer, invoice]);
    expect((await instances.subscription(row)).state).to.equal('draft');
    const again = refusal(bookkeeper.call('account.move', 'action_crear_instancia', [[invoice]]));
    expect((await again).message).to.match(/has its instance already/);
    const open = await bookkeeper.call<Action>('account.move', 'action_ver_instancias', [
      [invoice],
    ]);
    expect(open.res_id).to.equal(id);
    expect((await refusal(instances.press(id, 'stop_instance'))).message).to.match(/never/);
    expect((await refusal(instances.press(id, 'open_instance_url'))).message).to.match(/address/);
  });

  scenario('Start with occupied ports takes the next pair, and logs it', async (env) => {
    const before = await env.instances.row(id);
    const next = await suggestedPorts(env, 'next');
    for (const port of [before.http_port, next.longpolling_port]) occupied.push(await occupy(port));
    await env.instances.press(id, 'start_instance');
    const row = await env.instances.reaches(id, 'running');
    expect(row.log).to.match(/Port \d+ or \d+ is taken; using the next pair\./);
    expect(row.http_port).to.be.greaterThan(before.http_port);
    expect(row.longpolling_port).to.be.greaterThan(next.longpolling_port);
    expect(await status(`http://127.0.0.1:${row.longpolling_port}/websocket/health`)).to.equal(200);
    expect(row.segundos_hasta_listo).to.be.greaterThan(0);
    const action = await env.instances.press<Action>(id, 'open_instance_url');
    expect(action.url).to.equal(`http://127.0.0.1:${row.http_port}`);
  });

  scenario('its repository is mounted read-only, at a recorded commit', async ({ admin, git }) => {
    const domain = [['instance_id', '=', id]];
    const [repository] = await admin.read('odoo.docker.repository', domain, ['commit']);
    const commit = git.git('addons', 'rev-parse', 'HEAD');
    expect(repository).to.include({ commit });
    const mounts = (await container()).Mounts.filter(({ Source }) => Source.endsWith(commit));
    expect(mounts.map(({ RW }) => RW)).to.deep.equal([false]);
  });

  scenario('Restart makes a new container', async ({ instances }) => {
    const { Id } = await container();
    await instances.press(id, 'restart_instance');
    await eventually(async () => {
      const now = await container();
      expect(now.Id).not.to.equal(Id);
      expect(now.Config.Labels['microsaas.restart']).to.equal('1');
    });
    await instances.reaches(id, 'running');
  });

  scenario(
    'Stop begins within a second and pauses the subscription; Start resumes',
    async (env) => {
      const { instances } = env;
      await instances.press(id, 'stop_instance');
      const began = async () => {
        const { reason } = await instances.row(id);
        expect(reason).to.be.oneOf(['Stopping', 'Stopped']);
      };
      await eventually(began, 2);
      const row = await instances.reaches(id, 'stopped');
      expect((await container()).State.Running).to.equal(false);
      expect((await instances.subscription(row)).state).to.equal('paused');
      await instances.press(id, 'start_instance');
      await instances.reaches(id, 'running');
      expect((await instances.subscription(row)).state).to.equal('active');
    },
  );

  scenario('buttons pressed while the sidecar is down take effect when it is back', async (env) => {
    const { instances, sidecar } = env;
    await sidecar.stop();
    await instances.press(id, 'stop_instance');
    expect((await container()).State.Running).to.equal(true);
    await sidecar.start();
    await instances.reaches(id, 'stopped');
    await sidecar.stop();
    await instances.press(id, 'restart_instance');
    await sidecar.start();
    await instances.reaches(id, 'running');
    expect((await container()).Config.Labels['microsaas.restart']).to.equal('2');
  });

  scenario('it cannot be deleted; Remove removes the container and keeps the data', async (env) => {
    const { instances, bookkeeper, admin, stack } = env;
    const kept = await refusal(admin.call(INSTANCE, 'unlink', [[id]]));
    expect(kept.message).to.match(/use Remove instead of Delete/);
    await instances.press(id, 'action_remove');
    const row = await instances.reaches(id, 'removed');
    expect(row).to.include({ active: false, http_port: 0, longpolling_port: 0 });
    expect(await containerNamed(`ms-${stack.install}-${id}-odoo`)).to.equal(undefined);
    await withSql(await stack.tenantSql(), `ms_${stack.install}_${id}`, async (sql) => {
      expect(await sql('SELECT FROM res_users LIMIT 1')).to.have.lengthOf(1);
    });
    const [move] = await bookkeeper.read(
      'account.move',
      [['id', '=', invoice]],
      ['instancia_count'],
    );
    expect(move).to.include({ instancia_count: 0 });
    expect((await refusal(instances.press(id, 'start_instance'))).message).to.match(/was removed/);
  });

  scenario(
    'an invoice without a plan may have an instance, which can be deleted until it is started',
    async (env) => {
      const { shop, bookkeeper, instances } = env;
      const product = await shop.rpc.create('product.product', { name: 'Advice', type: 'service' });
      const sold = await shop.sell([{ product }]);
      const draft = await bookkeeper.create(INSTANCE, { name: 'By hand', factura_id: sold });
      const row = await instances.row(draft);
      expect(row.template_id, 'a default template').not.to.equal(false);
      await env.admin.call(INSTANCE, 'unlink', [[draft]]);
      expect(await instances.ofInvoice(sold)).to.deep.equal([]);
    },
  );
});
