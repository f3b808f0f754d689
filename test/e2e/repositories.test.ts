import { expect } from 'chai';
import { customerRpc } from './support/customer.ts';
import type { TestEnvironment } from './support/environment.ts';
import { eventually } from './support/eventually.ts';
import { INSTANCE, type Row } from './support/instances.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

const REPOSITORY = 'odoo.docker.repository';
const manifest = (name: string) => `{'name': '${name}', 'depends': ['base'], 'license': 'LGPL-3'}`;

chapter('addons from repositories', () => {
  scenario(
    'a plan brings a repository, and its module is installed from the start',
    async (env) => {
      const { admin, git, instances, shop } = env;
      const commit = await git.commit('plan', {
        'addons/of_the_plan/__manifest__.py': manifest('Of the plan'),
        'addons/of_the_plan/__init__.py': '',
      });
      const product = await shop.plan({ name: 'With addons' });
      const template = await templateOf(env, product);
      await admin.call('product.template', 'write', [
        [template],
        {
          microsaas_modules: 'of_the_plan',
          microsaas_repository_ids: [[0, 0, { url: git.url('plan') }]],
        },
      ]);
      await prepared(env, template);
      const [row] = await instances.running(await shop.sell([{ product }]), 1);
      expect(await module(env, row as Row, 'of_the_plan')).to.deep.equal(['installed']);
      const [used] = await admin.read(REPOSITORY, [['instance_id', '=', row?.id]], ['commit']);
      expect(used).to.include({ commit });
      expect((row as Row).log, 'a template with its modules').not.to.contain('among the Apps');
    },
  );

  scenario(
    'an edit takes effect at the next restart, and Apps lists the new modules',
    async (env) => {
      const { admin, git, instances, sidecar } = env;
      await git.commit('own', {
        'first/__manifest__.py': manifest('First'),
        'first/__init__.py': '',
      });
      git.git('own', 'branch', 'later');
      const repository = { url: git.url('own'), branch: '19.0' };
      const values = { name: 'Edited', repository_ids: [[0, 0, repository]] };
      const id = await admin.create(INSTANCE, values);
      await instances.press(id, 'start_instance');
      const row = await instances.reaches(id, 'running');
      expect(await module(env, row, 'first')).to.deep.equal(['uninstalled']);

      const [before] = await env.containersOf(id);
      git.git('own', 'checkout', '--quiet', 'later');
      const commit = await git.commit('own', {
        'second/__manifest__.py': manifest('Second'),
        'second/__init__.py': '',
      });
      const [own] = await admin.read<{ id: number }>(
        REPOSITORY,
        [['instance_id', '=', id]],
        ['id'],
      );
      await admin.call(REPOSITORY, 'write', [[own?.id], { branch: 'later' }]);
      await sidecar.webhook({ model: INSTANCE, ids: [id] });
      await sidecar.idle();
      expect((await env.containersOf(id))[0]?.Id, 'as it was started').to.equal(before?.Id);
      expect(await module(env, row, 'second')).to.deep.equal([]);

      await instances.press(id, 'restart_instance');
      await eventually(async () => {
        const [found] = await admin.read(REPOSITORY, [['id', '=', own?.id]], ['commit']);
        expect(found).to.include({ commit });
      });
      await sidecar.idle();
      await instances.reaches(id, 'running');
      expect(await module(env, row, 'second')).to.deep.equal(['uninstalled']);
    },
  );
});

async function templateOf({ admin }: TestEnvironment, product: number): Promise<number> {
  const domain = [['id', '=', product]];
  const [found] = await admin.read<{ product_tmpl_id: [number, string] }>(
    'product.product',
    domain,
    ['product_tmpl_id'],
  );
  return found?.product_tmpl_id[0] ?? 0;
}

async function prepared({ admin }: TestEnvironment, template: number): Promise<void> {
  const fields = ['microsaas_listo', 'microsaas_listo_message'];
  await eventually(async () => {
    const [plan] = await admin.read('product.template', [['id', '=', template]], fields);
    expect(plan).to.include({ microsaas_listo: true, microsaas_listo_message: false });
  });
}

/** The states of a module in the customer's Odoo: one when it is listed, none when it is not. */
async function module(env: TestEnvironment, row: Row, name: string): Promise<unknown[]> {
  const { login, password } = await theEnvironment().sidecar.secret(row.id);
  const rpc = customerRpc(env, row, login, password);
  const found = await rpc.read('ir.module.module', [['name', '=', name]], ['state']);
  return found.map(({ state }) => state);
}
