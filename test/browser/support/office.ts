import { DemoSale } from '../../../stack/demo-sale.ts';
import type { OdooRpc } from '../../../stack/odoo-rpc.ts';
import { eventually } from '../../e2e/support/eventually.ts';
import type { Language } from './words.ts';

/** A plan in the shop: its name and URL there, and the id of its product variant. */
export interface SoldPlan {
  readonly name: string;
  readonly product: number;
  readonly url: string;
}

/** What Odoo calls a language. */
const LANG: Record<Language, string> = { es: 'es_ES', en: 'en_US' };

const ADDRESS = {
  phone: '600 123 456',
  street: 'Calle Mayor 1',
  city: 'Madrid',
  zip: '28013',
};

/** What the selling company does behind the scenes of a test: over RPC, as the administrator. */
export class Office {
  readonly rpc: OdooRpc;

  constructor(rpc: OdooRpc) {
    this.rpc = rpc;
  }

  async #id(model: string, domain: unknown[]): Promise<number | undefined> {
    const [found] = await this.rpc.read<{ id: number }>(model, domain, ['id'], { limit: 1 });
    return found?.id;
  }

  /** The demo's plan, once it is prepared. */
  async demoPlan(): Promise<SoldPlan> {
    const sale = new DemoSale(this.rpc);
    await sale.prepared();
    return this.#sold(await sale.plan());
  }

  /** Creates one more plan and unpublishes those of earlier runs. @param values of the product, override the defaults */
  async newPlan(name: string, values: Record<string, unknown> = {}): Promise<SoldPlan> {
    const earlier = await this.rpc.call<number[]>('product.template', 'search', [
      [['name', '=', name]],
    ]);
    await this.rpc.call('product.template', 'write', [earlier, { active: false }]);
    const product = await this.rpc.create('product.product', {
      name,
      list_price: 49,
      taxes_id: [[6, 0, []]],
      es_plan_microsaas: true,
      plantilla_id: await this.#id('docker.compose.template', [['code', '=', 'odoo']]),
      invoice_policy: 'order',
      is_published: true,
      ...values,
    });
    return this.#sold(product);
  }

  async #sold(product: number): Promise<SoldPlan> {
    const domain = [['id', '=', product]];
    const [plan] = await this.rpc.read<{ name: string; website_url: string }>(
      'product.product',
      domain,
      ['name', 'website_url'],
    );
    return { name: plan?.name ?? '', product, url: plan?.website_url ?? '' };
  }

  /** Creates a customer with an account and an address, like one who has bought before. */
  async account(name: string, email: string, password: string, language: Language = 'es') {
    const madrid = [
      ['country_id.code', '=', 'ES'],
      ['name', '=', 'Madrid'],
    ];
    const partner = await this.rpc.create('res.partner', {
      name,
      email,
      lang: LANG[language],
      country_id: await this.#id('res.country', [['code', '=', 'ES']]),
      state_id: await this.#id('res.country.state', madrid),
      ...ADDRESS,
    });
    const portal = [
      ['module', '=', 'base'],
      ['name', '=', 'group_portal'],
    ];
    const [group] = await this.rpc.read<{ res_id: number }>('ir.model.data', portal, ['res_id']);
    const user = {
      login: email,
      password,
      partner_id: partner,
      group_ids: [[6, 0, [group?.res_id]]],
    };
    const quietly = { context: { no_reset_password: true } };
    await this.rpc.call('res.users', 'create', [user], quietly);
  }

  /** Gives somebody of a customer's company an account. @returns their name */
  async colleagueOf(email: string, name: string): Promise<string> {
    const login = `colega-${email}`;
    await this.account(name, login, login);
    const partner = await this.#partner(login);
    const parent = await this.#partner(email);
    await this.rpc.call('res.partner', 'write', [[partner], { parent_id: parent }]);
    return name;
  }

  /** Lets a user read in a language. */
  async readsIn(login: string, language: Language): Promise<void> {
    const user = await this.#id('res.users', [['login', '=', login]]);
    await this.rpc.call('res.users', 'write', [[user], { lang: LANG[language] }]);
  }

  /** Creates a paid invoice of one unit for a customer with an account. @param name of the instance */
  async sell(plan: SoldPlan, email: string, name: string): Promise<void> {
    const line = [0, 0, { product_id: plan.product, quantity: 1, microsaas_names: name }];
    const invoice = await this.rpc.create('account.move', {
      move_type: 'out_invoice',
      partner_id: await this.#partner(email),
      invoice_line_ids: [line],
    });
    await this.rpc.call('account.move', 'action_post', [[invoice]]);
    const pay = await new DemoSale(this.rpc).payment(invoice);
    await pay();
  }

  /** Gives a customer with an account a saved card at Odoo's demo provider. @param digits its last ones */
  async saveCard(email: string, digits: string): Promise<void> {
    const provider = await this.#id('payment.provider', [
      ['code', '=', 'demo'],
      ['state', '=', 'test'],
    ]);
    await this.rpc.call('payment.provider', 'write', [[provider], { allow_tokenization: true }]);
    await this.rpc.create('payment.token', {
      provider_id: provider,
      payment_method_id: await this.#id('payment.method', [['provider_ids', 'in', [provider]]]),
      partner_id: await this.#partner(email),
      payment_details: digits,
      provider_ref: `demo ${email}`,
      demo_simulated_state: 'done',
    });
  }

  /** Sets the last paid day of the only subscription of a customer. @returns its id */
  async endsIn(days: number, email: string): Promise<number> {
    const model = 'microsaas.subscription';
    const subscription = (await this.#id(model, [['partner_id.email', '=', email]])) ?? 0;
    const lastDay = new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
    await this.rpc.call(model, 'write', [[subscription], { fecha_fin: lastDay }]);
    return subscription;
  }

  /** Sends a quotation to be signed and paid to a customer with an account. @returns its id and its URL */
  async quotation(plan: SoldPlan, email: string): Promise<{ order: number; url: string }> {
    const order = await this.rpc.create('sale.order', {
      partner_id: await this.#partner(email),
      require_signature: true,
      require_payment: true,
      prepayment_percent: 1,
      order_line: [[0, 0, { product_id: plan.product, product_uom_qty: 1 }]],
    });
    await this.rpc.call('sale.order', 'action_quotation_sent', [[order]]);
    return { order, url: await this.rpc.call<string>('sale.order', 'get_portal_url', [[order]]) };
  }

  async #partner(email: string): Promise<number | undefined> {
    const domain = [['login', '=', email]];
    const [user] = await this.rpc.read<{ partner_id: [number] }>('res.users', domain, [
      'partner_id',
    ]);
    return user?.partner_id[0];
  }

  /** Adds English to the website, below `/en`. @returns a function that removes it again */
  async openEnglish(): Promise<() => Promise<void>> {
    const english = [['code', '=', 'en_US']];
    const inactiveToo = { context: { active_test: false } };
    const [language] = await this.rpc.call<number[]>('res.lang', 'search', [english], inactiveToo);
    const sites = await this.rpc.call<number[]>('website', 'search', [[]]);
    await this.rpc.call('res.lang', 'write', [[language], { active: true }]);
    await this.rpc.call('website', 'write', [sites, { language_ids: [[4, language]] }]);
    return async () => {
      await this.rpc.call('website', 'write', [sites, { language_ids: [[3, language]] }]);
    };
  }

  /** The payment provider confirms a customer's pending payment. */
  async moneyArrives(email: string): Promise<void> {
    const pending = [
      ['partner_id.email', '=', email],
      ['state', '=', 'pending'],
    ];
    const ids = await eventually(async () => {
      const found = await this.rpc.call<number[]>('payment.transaction', 'search', [pending]);
      if (found.length === 0) throw new Error(`${email} has no pending payment.`);
      return found;
    });
    await this.rpc.call('payment.transaction', 'action_demo_set_done', [ids]);
  }

  /**
   * Lets the only instance of a customer lapse, with its renewal invoiced and unpaid, and waits until it is stopped.
   * @returns its own address, and where the link of a mail about the invoice leads: nobody needs to be logged in there
   */
  async suspend(email: string): Promise<{ address: string; invoice: string }> {
    const domain = [['partner_id.email', '=', email]];
    const model = 'microsaas.subscription';
    const subscription = await this.#id(model, domain);
    const renewal = await this.rpc.call<{ res_id: number }>(model, 'action_renovar', [
      [subscription],
    ]);
    await this.rpc.call('account.move', 'action_post', [[renewal.res_id]]);
    await this.endsIn(-10, email);
    const [instance] = await eventually(async () => {
      const stopped = [...domain, ['state', '=', 'stopped']];
      const fields = ['instance_url'];
      const found = await this.rpc.read<{ instance_url: string }>(
        'odoo.docker.instance',
        stopped,
        fields,
      );
      if (found.length === 0) throw new Error(`The instance of ${email} is not suspended.`);
      return found;
    }, 60);
    const invoice = await this.rpc.call<string>('account.move', 'get_portal_url', [
      [renewal.res_id],
    ]);
    return { address: String(instance?.instance_url), invoice };
  }

  /** Backs the only instance of a customer up, and waits until the backup is proven. @returns the ids of both */
  async backUp(email: string): Promise<{ instance: number; backup: number }> {
    const instance = await this.#id('odoo.docker.instance', [['partner_id.email', '=', email]]);
    await this.rpc.call('odoo.docker.instance', 'action_backup', [[instance]]);
    return eventually(async () => {
      const backup = await this.#id('microsaas.backup', [
        ['instancia_id', '=', instance],
        ['proof', 'in', ['data', 'boot']],
      ]);
      const job = await this.#id('microsaas.job', [
        ['instancia_id', '=', instance],
        ['state', 'in', ['waiting', 'running']],
      ]);
      if (!instance || !backup || job) throw new Error(`There is no proven backup of ${email}.`);
      return { instance, backup };
    }, 180);
  }

  /** Names of a customer's instances, in order. */
  async instancesOf(email: string): Promise<string[]> {
    const domain = [['partner_id.email', '=', email]];
    const found = await this.rpc.read<{ name: string }>('odoo.docker.instance', domain, ['name']);
    return found.map(({ name }) => name).sort();
  }

  /** Waits for the only instance of an order. @returns its name */
  async instanceNameOf(order: number): Promise<string> {
    const domain = [['factura_id.line_ids.sale_line_ids.order_id', '=', order]];
    return eventually(async () => {
      const fields = ['name'];
      const [found] = await this.rpc.read<{ name: string }>('odoo.docker.instance', domain, fields);
      if (!found) throw new Error(`Order ${order} has no instance.`);
      return found.name;
    });
  }

  /** A customer's last order as the salesperson sees it. */
  async lastOrderOf(email: string): Promise<{ id: number; state: string; missing: string }> {
    const spanish = { context: { lang: 'es_ES' }, order: 'id desc', limit: 1 };
    const domain = [['partner_id.email', '=', email]];
    const fields = ['state', 'microsaas_missing'];
    const [order] = await this.rpc.read<{ id: number; state: string; microsaas_missing: string }>(
      'sale.order',
      domain,
      fields,
      spanish,
    );
    if (!order) throw new Error(`${email} has no order.`);
    return { id: order.id, state: order.state, missing: order.microsaas_missing };
  }
}
