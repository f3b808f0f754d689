import { expect } from 'chai';
import { DemoSale } from '../../stack/demo-sale.ts';
import type { ManagerStack } from '../../stack/manager.ts';
import type { OdooRpc } from '../../stack/odoo-rpc.ts';
import { sayToTerminal } from '../../stack/progress.ts';
import { shopStack } from '../support/shop-stack.ts';

const DATABASE = 'addons_come_and_go';
/** Timeout of one module's installation, upgrade or removal among 75 on a loaded machine, in milliseconds. */
const ONE_MODULE = 180_000;

/** Where a module leaves records: a model, and a domain that finds the module's own. */
const MARKS: ReadonlyArray<[model: string, domain: unknown[]]> = [
  ['ir.model.data', [['module', 'in', ['micro_saas', 'micro_saas_website']]]],
  ['ir.model', ['|', ['model', '=like', 'microsaas.%'], ['model', '=like', '%.docker.%']]],
  ['ir.model.fields', [['name', '=like', 'microsaas%']]],
  ['ir.ui.view', [['key', '=like', 'micro_saas%']]],
  ['ir.cron', [['model_id.model', '=like', 'microsaas%']]],
  ['ir.config_parameter', [['key', '=like', 'microsaas.%']]],
  ['res.groups', [['name', '=', 'MicroSaaS sidecar']]],
];

/** What a company that sold one plan in its shop can read of that, with or without the addons. */
interface Sold {
  readonly order: number;
  readonly invoice: number;
}

describe('the addons on a database with data', function () {
  this.timeout(ONE_MODULE);
  let stack: ManagerStack;
  let odoo: OdooRpc;
  let sold: Sold;

  before(async function () {
    this.timeout(900_000);
    stack = await shopStack((line) => sayToTerminal(`    ${line}`));
    await stack.startManager();
    await stack.dropDatabase(DATABASE);
    odoo = (await stack.database(DATABASE)).rpc;
    sold = await sellOne();
  });

  after(async () => stack?.dropDatabase(DATABASE));

  async function sellOne(): Promise<Sold> {
    const template = await odoo.create('docker.compose.template', { name: 'Odoo', code: 'odoo' });
    const product = await odoo.create('product.product', {
      name: 'Plan',
      es_plan_microsaas: true,
      invoice_policy: 'order',
      plantilla_id: template,
      list_price: 10,
      taxes_id: [[6, 0, []]],
    });
    const partner = await odoo.create('res.partner', { name: 'Panadería Luna' });
    const [website] = await odoo.read<{ id: number }>('website', [], ['id']);
    const order = await odoo.create('sale.order', {
      partner_id: partner,
      website_id: website?.id,
      order_line: [[0, 0, { product_id: product, product_uom_qty: 1 }]],
    });
    await odoo.call('sale.order', 'action_confirm', [[order]]);
    const context = { active_model: 'sale.order', active_ids: [order] };
    const wizard = await odoo.call<number>('sale.advance.payment.inv', 'create', [{}], { context });
    await odoo.call('sale.advance.payment.inv', 'create_invoices', [[wizard]], { context });
    const [{ id: invoice } = { id: 0 }] = await odoo.read<{ id: number }>(
      'account.move',
      [],
      ['id'],
    );
    await odoo.call('account.move', 'action_post', [[invoice]]);
    const pay = await new DemoSale(odoo).payment(invoice);
    await pay();
    const instance = await odoo.create('odoo.docker.instance', { factura_id: invoice });
    await odoo.call('odoo.docker.instance', 'start_instance', [[instance]]);
    return { order, invoice };
  }

  /** Presses a button of *Apps* on one module. */
  async function press(button: string, module: string): Promise<void> {
    const ids = await odoo.call<number[]>('ir.module.module', 'search', [[['name', '=', module]]]);
    await odoo.call('ir.module.module', `button_immediate_${button}`, [ids]);
  }

  async function accounting(): Promise<unknown> {
    const orders = await odoo.read(
      'sale.order',
      [['id', '=', sold.order]],
      ['state', 'amount_total'],
    );
    const fields = ['state', 'payment_state', 'amount_total'];
    return [...orders, ...(await odoo.read('account.move', [['id', '=', sold.invoice]], fields))];
  }

  async function instances(): Promise<unknown> {
    return [
      ...(await odoo.read('odoo.docker.instance', [], ['name', 'desired_state', 'factura_id'])),
      ...(await odoo.read('microsaas.subscription', [], ['name', 'state', 'instancia_id'])),
    ];
  }

  async function names(): Promise<unknown> {
    return odoo.read('microsaas.instance.name', [], ['name', 'reserved', 'order_line_id']);
  }

  it('can be upgraded without a change of data', async () => {
    const before = [await accounting(), await instances(), await names()];
    expect(before.flat()).to.have.length(5);
    await press('upgrade', 'micro_saas');
    expect([await accounting(), await instances(), await names()]).to.deep.equal(before);
  });

  it('lets the shop addon be uninstalled alone; instances and accounting stay', async () => {
    const before = [await accounting(), await instances()];
    await press('uninstall', 'micro_saas_website');
    expect([await accounting(), await instances()]).to.deep.equal(before);
    const mine = [['module', '=', 'micro_saas_website']];
    expect(await odoo.call('ir.model.data', 'search_count', [mine])).to.equal(0);
  });

  it('can be uninstalled without leftovers; the accounting stays', async () => {
    const before = await accounting();
    await press('uninstall', 'micro_saas');
    expect(await accounting()).to.deep.equal(before);
    for (const [model, domain] of MARKS) {
      expect(await odoo.call(model, 'search_count', [domain]), model).to.equal(0);
    }
  });

  it('can be installed again, and create nothing for invoices of before', async () => {
    const before = await accounting();
    await press('install', 'micro_saas_website');
    expect(await accounting()).to.deep.equal(before);
    expect(await instances()).to.deep.equal([]);
    const invoice = [['id', '=', sold.invoice]];
    const [move] = await odoo.read<{ instancia_count: number }>('account.move', invoice, [
      'instancia_count',
    ]);
    expect(move?.instancia_count).to.equal(0);
  });
});
