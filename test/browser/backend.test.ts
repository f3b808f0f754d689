import { expect } from 'chai';
import { eventually } from '../e2e/support/eventually.ts';
import { Bookkeeper } from './support/bookkeeper.ts';
import { freeName } from './support/customer.ts';
import { type ShopEnvironment, shopEnvironment } from './support/shop-environment.ts';

describe("the bookkeeper's screens", function () {
  this.timeout(300_000);
  let env: ShopEnvironment;
  let carmen: Bookkeeper;
  let instance: { id: number; factura_id: [number, string] };

  before(async function () {
    this.timeout(900_000);
    env = await shopEnvironment();
    const name = freeName('escritorio');
    const email = `${name}@example.com`;
    await env.office.account('Panadería Luna', email, name);
    await env.office.sell(env.plan, email, name);
    instance = await eventually(async () => {
      const domain = [
        ['name', '=', name],
        ['state', '=', 'running'],
      ];
      const [found] = await env.manager.rpc.read<typeof instance>('odoo.docker.instance', domain, [
        'factura_id',
      ]);
      if (!found) throw new Error(`${name} does not run.`);
      return found;
    }, 120);
    carmen = await Bookkeeper.arrive(env, { album: 'backend' });
  });

  after(async () => carmen?.visitor.leave());

  it('the form of an instance shows the steps of a restart without a reload', async () => {
    const { page, visitor } = carmen;
    await carmen.open('odoo.docker.instance', instance.id);
    await visitor.shot('instance');
    const said = page.locator('.alert [name=phase_message]');
    await visitor.press(/^Reiniciar$/);
    await said.filter({ hasNotText: 'En marcha.' }).filter({ visible: true }).waitFor();
    await visitor.shot('instance-restarting');
    await said.filter({ hasText: 'En marcha.' }).filter({ visible: true }).waitFor();
    for (const tab of ['Suscripción', 'Puertos y datos técnicos', 'Registro']) {
      await visitor.press(tab);
      await visitor.shot(`instance-${tab.slice(0, 4).toLowerCase()}`);
    }
  });

  it('show instances as a list and as a kanban board by state', async () => {
    const { page, visitor } = carmen;
    await visitor.go('/odoo/action-micro_saas.odoo_docker_instance_action');
    await page.locator('.o_list_view .o_data_row').first().waitFor();
    await visitor.shot('instances');
    await page.locator('.o_switch_view.o_kanban').click();
    await page.locator('.o_kanban_record').first().waitFor();
    await visitor.shot('instances-board');
  });

  it('show an invoice with its counters', async () => {
    const { page, visitor } = carmen;
    await carmen.open('account.move', instance.factura_id[0]);
    const counter = page.locator('button[name=action_ver_instancias]').filter({ visible: true });
    await counter.waitFor();
    await visitor.shot('invoice');
    await counter.click();
    await visitor.labelled(/^Reiniciar$/).waitFor();
  });

  it('show subscriptions, plans and settings', async () => {
    const { page, visitor } = carmen;
    await visitor.go('/odoo/action-micro_saas.microsaas_subscription_action');
    await page.locator('.o_data_row').first().waitFor();
    await visitor.shot('subscriptions');
    await page.locator('.o_data_row .o_data_cell').first().click();
    await page.locator('.o_form_view').waitFor();
    await visitor.shot('subscription');
    await visitor.go('/odoo/action-micro_saas.product_template_action_plan');
    await page.locator('.o_data_row').first().waitFor();
    await visitor.shot('plans');
    await page.locator('.o_data_row .o_data_cell').nth(2).click();
    await page.locator('.o_form_view').waitFor();
    await visitor.press('Plan de MicroSaaS');
    await visitor.shot('plan');
    expect(visitor.scriptErrors).to.deep.equal([]);
  });

  it('show the settings of an administrator', async () => {
    const admin = await Bookkeeper.asAdministrator(env, { album: 'backend-settings' });
    const { page, visitor } = admin;
    await visitor.go('/odoo/action-micro_saas.res_config_settings_action');
    await page.locator('.app_settings_block, [data-key=micro_saas]').first().waitFor();
    await visitor.sees('La tienda web vende sus planes.');
    await visitor.shot('settings');
    await visitor.leave();
  });
});
