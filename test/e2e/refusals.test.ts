import { expect } from 'chai';
import { type TestEnvironment, UNITS_PER_LINE } from './support/environment.ts';
import { eventually } from './support/eventually.ts';
import { INSTANCE, idOf } from './support/instances.ts';
import { refusal } from './support/refusal.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

chapter('what is not a paid sale of a plan creates no instance', () => {
  let manual: number;
  let automatic: number;

  before(async () => {
    const { shop } = theEnvironment();
    manual = await shop.plan({ provision: 'manual' });
    automatic = await shop.plan();
  });

  const REFUSED: Record<string, [(env: TestEnvironment) => Promise<number>, RegExp, RegExp]> = {
    'a draft': [({ shop }) => shop.draft([{ product: manual }]), /still a draft/, /es un borrador/],
    'an unpaid invoice': [
      async ({ shop }) => {
        const invoice = await shop.draft([{ product: manual }]);
        await shop.post(invoice);
        return invoice;
      },
      /is not paid/,
      /no está pagada/,
    ],
    'a vendor bill': [
      ({ shop }) => shop.draft([{ product: manual }], { move_type: 'in_invoice' }),
      /is not a customer invoice/,
      /no es una factura de cliente/,
    ],
    'a credit note': [
      ({ shop }) => shop.draft([{ product: manual }], { move_type: 'out_refund' }),
      /is a credit note/,
      /es una factura rectificativa/,
    ],
    'an invoice without a customer': [
      ({ shop }) => shop.draft([{ product: manual }], { partner_id: false }),
      /has no customer/,
      /no tiene cliente/,
    ],
    'a refunded invoice': [
      async ({ shop }) => {
        const invoice = await shop.sell([{ product: manual }]);
        await shop.refund(invoice);
        return invoice;
      },
      /was refunded or credited/,
      /fue reembolsada o rectificada/,
    ],
  };
  scenario('the button explains a refusal in the user’s language', async (env) => {
    for (const [what, [make, english, spanish]] of Object.entries(REFUSED)) {
      const invoice = await make(env);
      for (const [lang, words] of [['en_US', english] as const, ['es_ES', spanish] as const]) {
        const press = env.bookkeeper.call('account.move', 'action_crear_instancia', [[invoice]], {
          context: { lang },
        });
        const { kind, message } = await refusal(press);
        expect({ what, kind }).to.deep.equal({ what, kind: 'odoo.exceptions.UserError' });
        expect(message, `${what}, ${lang}`).to.match(words);
      }
      const values = { name: 'x', factura_id: invoice };
      await refusal(env.bookkeeper.create(INSTANCE, values));
    }
  });

  scenario(
    'half a unit, a negative quantity and a section create nothing',
    async ({ shop, instances, sidecar }) => {
      const advice = await shop.rpc.create('product.product', { name: 'Advice', list_price: 500 });
      const section = [0, 0, { display_type: 'line_section', name: 'Hosting', quantity: 1 }];
      const lines = [{ quantity: 0.5 }, { quantity: -1 }].map((it) => [
        0,
        0,
        { product_id: automatic, ...it },
      ]);
      const other = [0, 0, { product_id: advice, quantity: 1, price_unit: 500 }];
      const invoice = await shop.draft([], { invoice_line_ids: [section, ...lines, other] });
      await shop.post(invoice);
      await shop.pay(invoice);
      await sidecar.webhook({ model: 'account.move', ids: [invoice] });
      await sidecar.idle();
      expect(await instances.ofInvoice(invoice)).to.deep.equal([]);
    },
  );

  scenario(
    '2.7 units are two instances, and a line with a full discount is a sale',
    async ({ shop, instances }) => {
      const lines = [{ product: automatic, quantity: 2.7 }];
      const invoice = await shop.sell(lines);
      const gift = await shop.draft([{ product: automatic, discount: 100 }]);
      await shop.post(gift);
      await instances.running(invoice, 2);
      await instances.running(gift, 1);
    },
  );

  scenario('10,000 units are held for approval, and created once approved', async (env) => {
    const { shop, instances, bookkeeper } = env;
    const many = await shop.sell([{ product: automatic, quantity: 10_000 }]);
    const few = await shop.sell([{ product: automatic, quantity: UNITS_PER_LINE + 1 }]);
    for (const invoice of [many, few]) {
      await eventually(async () => {
        const fields = ['microsaas_hold', 'microsaas_hold_message'];
        const [move] = await bookkeeper.read('account.move', [['id', '=', invoice]], fields);
        expect(move).to.include({ microsaas_hold: 'TooManyUnits' });
        expect(move?.['microsaas_hold_message']).to.match(/approval/);
      });
      expect(await instances.ofInvoice(invoice)).to.deep.equal([]);
    }
    await bookkeeper.call('account.move', 'action_microsaas_approve', [[few]]);
    await instances.running(few, UNITS_PER_LINE + 1);
    expect(await instances.ofInvoice(many)).to.deep.equal([]);
  });

  scenario('a sold line cannot be removed from the invoice and sold again', async (env) => {
    const { shop, instances, admin } = env;
    const invoice = await shop.sell([{ product: automatic }]);
    const [row] = await instances.running(invoice, 1);
    await admin.call('account.move', 'button_draft', [[invoice]]);
    const line = idOf(row?.linea_factura_id ?? false);
    const swap = [
      [2, line, 0],
      [0, 0, { product_id: automatic, quantity: 1 }],
    ];
    await refusal(admin.call('account.move', 'write', [[invoice], { invoice_line_ids: swap }]));
    // Odoo itself reconciles the payment again.
    await shop.post(invoice);
    await env.sidecar.webhook({ model: 'account.move', ids: [invoice] });
    await env.sidecar.idle();
    expect((await instances.ofInvoice(invoice)).map(({ id }) => id)).to.deep.equal([row?.id]);
  });
});
