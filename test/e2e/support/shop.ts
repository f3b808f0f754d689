import type { OdooRpc } from '../../../stack/odoo-rpc.ts';

export interface Line {
  product: number;
  quantity?: number;
  discount?: number;
}

/** What sales and accounting users do in the manager, by Odoo's own methods. */
export class Shop {
  readonly rpc: OdooRpc;
  #customers = 0;

  constructor(rpc: OdooRpc) {
    this.rpc = rpc;
  }

  /** A new plan, monthly. @param template code of the folder in `templates/` @returns the product (variant) */
  async plan(
    values: {
      provision?: 'automatic' | 'manual';
      template?: string;
      name?: string;
      limits?: { microsaas_cpus: number; microsaas_memory_mb: number };
    } = {},
  ): Promise<number> {
    const { provision = 'automatic', template = 'odoo', name = 'Plan', limits = {} } = values;
    const domain = [['code', '=', template]];
    const [found] = await this.rpc.read<{ id: number }>('docker.compose.template', domain, ['id']);
    if (!found) throw new Error(`The manager does not know the template ${template}.`);
    return this.rpc.create('product.product', {
      name,
      type: 'service',
      list_price: 30,
      taxes_id: [[6, 0, []]],
      es_plan_microsaas: true,
      duracion_suscripcion: 'monthly',
      microsaas_provision: provision,
      plantilla_id: found.id,
      ...limits,
    });
  }

  /** A new customer. */
  async customer(name = 'Customer'): Promise<number> {
    this.#customers += 1;
    const email = `customer${this.#customers}@example.com`;
    return this.rpc.create('res.partner', { name, email, lang: 'en_US' });
  }

  /** A draft invoice. @param values override the defaults */
  async draft(lines: Line[], values: Record<string, unknown> = {}): Promise<number> {
    return this.rpc.create('account.move', {
      move_type: 'out_invoice',
      partner_id: values['partner_id'] ?? (await this.customer()),
      invoice_line_ids: lines.map(({ product, quantity = 1, discount = 0 }) => [
        0,
        0,
        { product_id: product, quantity, discount },
      ]),
      ...values,
    });
  }

  async post(invoice: number): Promise<void> {
    await this.rpc.call('account.move', 'action_post', [[invoice]]);
  }

  /** Registers the payment of a posted invoice, as the button does. */
  async pay(invoice: number): Promise<void> {
    const context = { active_model: 'account.move', active_ids: [invoice] };
    const model = 'account.payment.register';
    const wizard = await this.rpc.call<number>(model, 'create', [{}], { context });
    await this.rpc.call(model, 'action_create_payments', [[wizard]], { context });
  }

  /** A posted and paid invoice of a new customer. */
  async sell(lines: Line[], values: Record<string, unknown> = {}): Promise<number> {
    const invoice = await this.draft(lines, values);
    await this.post(invoice);
    await this.pay(invoice);
    return invoice;
  }

  /** Credits a posted invoice in full. */
  async refund(invoice: number): Promise<void> {
    const context = { active_model: 'account.move', active_ids: [invoice] };
    const model = 'account.move.reversal';
    const [move] = await this.rpc.read<{ journal_id: [number, string] }>(
      'account.move',
      [['id', '=', invoice]],
      ['journal_id'],
    );
    const values = { journal_id: move?.journal_id[0] };
    const wizard = await this.rpc.call<number>(model, 'create', [values], { context });
    await this.rpc.call(model, 'refund_moves', [[wizard]], { context });
    const credits = await this.rpc.read<{ id: number }>(
      'account.move',
      [['reversed_entry_id', '=', invoice]],
      ['id'],
    );
    for (const { id } of credits) await this.post(id);
  }
}
