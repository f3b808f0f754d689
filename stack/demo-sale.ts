import { setTimeout as sleep } from 'node:timers/promises';
import { showsLoginAt } from './door.ts';
import type { OdooRpc } from './odoo-rpc.ts';
import type { Say } from './progress.ts';

/** The customer's instance as the manager shows it. */
export interface SoldInstance {
  id: number;
  name: string;
  instance_url: string | false;
  http_port: number;
  state: string;
  phase_message: string | false;
}

/** A plan for sale. */
export interface DemoPlan {
  name: string;
  /** Technical names, comma-separated; '' for Odoo's base alone. */
  modules: string;
}

const PLAN: DemoPlan = { name: 'Odoo Starter (demo)', modules: '' };
const CUSTOMER = { name: 'Demo Customer', email: 'customer@example.com' };

/** Everything a salesperson of the demo does, as the administrator and by Odoo's own methods. */
export class DemoSale {
  readonly #odoo: OdooRpc;
  readonly #sold: DemoPlan;

  /** @param sold the plan, made when there is none of its name yet */
  constructor(odoo: OdooRpc, sold: DemoPlan = PLAN) {
    this.#odoo = odoo;
    this.#sold = sold;
  }

  /**
   * Waits until the plan's modules are installed in advance, so that the customer need not wait for that.
   * @throws Error with the plan's own sentence when they cannot be, or after `seconds`
   */
  async prepared(seconds = 600): Promise<void> {
    const product = await this.plan();
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const [plan] = await this.#odoo.read<{
        microsaas_listo: boolean;
        microsaas_listo_message: string | false;
      }>('product.product', [['id', '=', product]], ['microsaas_listo', 'microsaas_listo_message']);
      if (plan?.microsaas_listo) return;
      if (plan?.microsaas_listo_message) throw new Error(plan.microsaas_listo_message);
      await sleep(500);
    }
    throw new Error(`The plan's modules were not prepared within ${seconds} s.`);
  }

  /** A posted invoice over one unit of the demo plan; plan and customer are made the first time. @returns its id */
  async invoice(): Promise<number> {
    const product = await this.plan();
    const partner = await this.#customer();
    const line = [0, 0, { product_id: product, quantity: 1 }];
    const values = { move_type: 'out_invoice', partner_id: partner, invoice_line_ids: [line] };
    const invoice = await this.#odoo.create('account.move', values);
    await this.#odoo.call('account.move', 'action_post', [[invoice]]);
    return invoice;
  }

  /** Opens *Register payment* on invoices, filled in; the returned function presses its button. */
  async payment(...invoices: number[]): Promise<() => Promise<void>> {
    const context = { active_model: 'account.move', active_ids: invoices };
    const model = 'account.payment.register';
    const wizard = await this.#odoo.call<number>(model, 'create', [{}], { context });
    return async () => {
      await this.#odoo.call(model, 'action_create_payments', [[wizard]], { context });
    };
  }

  /**
   * Waits until the instance sold by an invoice answers its own login page.
   * @param say receives each new sentence about the progress
   * @throws Error with the manager's own sentence when the instance fails, or after `seconds`
   */
  async usable(invoice: number, say: Say, seconds = 300): Promise<SoldInstance> {
    const end = performance.now() + seconds * 1000;
    let said = '';
    while (performance.now() < end) {
      const instance = await this.#instanceOf(invoice);
      const sentence = instance?.phase_message || '';
      if (sentence !== '' && sentence !== said) say(sentence);
      said = sentence;
      if (instance?.state === 'error') throw new Error(`The instance failed: ${sentence}`);
      if (instance?.state === 'running' && (await showsLoginAt(`${instance.instance_url}`))) {
        return instance;
      }
      await sleep(100);
    }
    throw new Error(`Nothing answered after ${seconds} s. ${said}`);
  }

  async #instanceOf(invoice: number): Promise<SoldInstance | undefined> {
    const fields = ['name', 'instance_url', 'http_port', 'state', 'phase_message'];
    const domain = [['factura_id', '=', invoice]];
    const found = await this.#odoo.read<SoldInstance>('odoo.docker.instance', domain, fields);
    return found[0];
  }

  /** The id of the plan's product (the variant that invoice lines name); made the first time. */
  async plan(): Promise<number> {
    const [known] = await this.#odoo.read<{ id: number }>(
      'product.product',
      [['name', '=', this.#sold.name]],
      ['id'],
    );
    if (known) return known.id;
    const [template] = await this.#odoo.read<{ id: number }>(
      'docker.compose.template',
      [['code', '=', 'odoo']],
      ['id'],
    );
    if (!template) throw new Error('The sidecar has not reported its templates to the manager.');
    return this.#odoo.create('product.product', {
      name: this.#sold.name,
      microsaas_modules: this.#sold.modules,
      type: 'service',
      list_price: 19,
      taxes_id: [[6, 0, []]],
      es_plan_microsaas: true,
      duracion_suscripcion: 'monthly',
      microsaas_provision: 'automatic',
      // The template's default anyway; set here, the shop shows it.
      microsaas_memory_mb: 1024,
      microsaas_cpus: 1,
      plantilla_id: template.id,
    });
  }

  async #customer(): Promise<number> {
    const domain = [['email', '=', CUSTOMER.email]];
    const [known] = await this.#odoo.read<{ id: number }>('res.partner', domain, ['id']);
    return known?.id ?? this.#odoo.create('res.partner', CUSTOMER);
  }
}
