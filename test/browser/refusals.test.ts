import { expect } from 'chai';
import { run } from '../../stack/run.ts';
import { withSql } from '../../stack/sql.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { Buyer, type Outcome } from './support/buyer.ts';
import { freeName } from './support/customer.ts';
import { type ShopEnvironment, shopEnvironment } from './support/shop-environment.ts';

/** What the order shows without a payment, and what it tells the customer to do. */
const WITHOUT_MONEY: Record<Exclude<Outcome, 'done'>, RegExp> = {
  pending: /El pago está pendiente/,
  cancel: /El pago se abandonó/,
  error: /El pago fue rechazado/,
};

describe('what the shop refuses and accepts', function () {
  this.timeout(300_000);
  let env: ShopEnvironment;
  let buyer: Buyer;

  before(async function () {
    this.timeout(900_000);
    env = await shopEnvironment();
  });

  afterEach(async () => buyer?.visitor.leave());

  /** A customer with an account and one plan in their cart. */
  async function withCart(album: string, quantity = 1): Promise<Buyer> {
    buyer = await Buyer.arrive(env, { album });
    await buyer.logInAsKnown();
    await buyer.cartWith(env.plan, quantity);
    return buyer;
  }

  it('refuses a reserved or malformed name at once, and offers a free one', async () => {
    const { visitor, page } = await withCart('refused-names');
    const field = buyer.nameField();
    await field.pressSequentially('admin');
    await visitor.sees('«admin» está reservado.');
    await visitor.shot('reserved');
    await field.fill('Panadería Sol');
    await visitor.sees('Use solo minúsculas sin acentos, cifras y guiones.');
    await visitor.shot('letters');
    await page.locator('.o_microsaas_suggestion').click();
    await page.locator('.o_microsaas_name input.is-valid').waitFor();
    expect(await field.inputValue()).to.match(/^panaderia-sol/);
    await visitor.shot('suggestion-taken');
    await field.fill('x');
    await visitor.sees('Un nombre tiene de 3 a 40 caracteres.');
  });

  it('gives a name to one of two carts, and asks the other for another one', async () => {
    const name = freeName('dos');
    const first = await Buyer.arrive(env, { album: 'same-name-first' });
    await first.logInAsKnown();
    await first.cartWith();
    await first.chooseName(name);

    const second = await withCart('same-name-second');
    await second.nameField().pressSequentially(name);
    await second.visitor.sees(`«${name}» ya está ocupado.`);
    await second.chooseName(name);
    await second.checkOut();
    // The checkout does not continue with a name that belongs to another cart.
    await second.page.waitForURL(/\/shop\/cart/);
    await second.visitor.sees(`«${name}» ya está ocupado.`);
    await second.visitor.shot('asked-again');
    await second.page.locator('.o_microsaas_suggestion').click();
    await second.page.locator('.o_microsaas_name input.is-valid').waitFor();
    await second.checkOut();
    await second.page.waitForURL(/\/shop\/payment/);
    await first.visitor.leave();
  });

  it('takes a name from a cart abandoned for hours, and tells that cart at checkout', async () => {
    const name = freeName('olvidado');
    const first = await Buyer.arrive(env, { album: 'forgotten-cart' });
    await first.logInAsKnown();
    await first.cartWith();
    await first.chooseName(name);
    await first.checkOut();
    await first.page.waitForURL(/\/shop\/payment/);
    // Not writable by users.
    await withSql(await env.stack.managerSql(), env.manager.name, (sql) =>
      sql(`UPDATE microsaas_instance_name SET chosen_at = '2026-01-01' WHERE name = $1`, [name]),
    );
    const second = await withCart('forgotten-cart-taker');
    await second.chooseName(name);
    await second.page.locator('.o_microsaas_name input.is-valid').waitFor();

    await first.payOnline();
    await first.visitor.sees(new RegExp(`El nombre «${name}» ya no se puede usar`));
    await first.visitor.shot('told-before-paying');
    expect(await env.office.instancesOf(first.email)).to.deep.equal([]);
    await first.visitor.leave();
  });

  for (const [outcome, sentence] of Object.entries(WITHOUT_MONEY)) {
    it(`creates nothing when the payment ends as “${outcome}”, and the order shows what is missing`, async () => {
      const { visitor, email } = await withCart(`payment-${outcome}`);
      await buyer.checkOut();
      await buyer.payOnline(outcome as Outcome);
      await buyer.paymentIsOver(outcome as Outcome);
      const order = await eventually(async () => {
        const last = await env.office.lastOrderOf(email);
        expect(last.missing).to.match(sentence);
        return last;
      });
      if (outcome === 'pending') {
        await visitor.go(`/my/orders/${order.id}`);
        await visitor.sees(/El pago está pendiente. Su Odoo se crea en cuanto llegue el dinero/);
      }
      await visitor.shot('afterwards');
      expect(order.state).to.be.oneOf(['draft', 'sent']);
      expect(await env.office.instancesOf(email)).to.deep.equal([]);
    });
  }

  it('creates three instances with three names for a quantity of three', async () => {
    const { visitor, email } = await withCart('quantity-three', 3);
    const name = freeName('tres');
    await buyer.chooseName(name, 2);
    await visitor.shot('names');
    await buyer.checkOut();
    await buyer.payOnline();
    await buyer.isThanked();
    await buyer.waitForInstance(name);
    const names = await env.office.instancesOf(email);
    expect(new Set(names).size).to.equal(3);
    expect(names).to.include(name);
    await visitor.go('/my/instances');
    await visitor.shot('three');
  });

  it('delivers an order whose plan is archived between cart and payment', async () => {
    const plan = await env.office.newPlan('Odoo de temporada');
    buyer = await Buyer.arrive(env, { album: 'archived-plan' });
    await buyer.logInAsKnown();
    await buyer.cartWith(plan);
    const name = freeName('temporada');
    await buyer.chooseName(name);
    await buyer.checkOut();
    await buyer.payOnline('pending');
    await buyer.paymentIsOver('pending');
    await env.manager.rpc.call('product.product', 'write', [[plan.product], { active: false }]);
    await env.office.moneyArrives(buyer.email);
    await buyer.isThanked();
    await buyer.waitForInstance(name);
  });

  it("answers 404 on another customer's instance, and logs who asked", async () => {
    const [foreign] = await env.manager.rpc.read<{ id: number }>(
      'odoo.docker.instance',
      [],
      ['id'],
    );
    expect(foreign, 'somebody’s instance').to.not.equal(undefined);
    buyer = await Buyer.arrive(env, { album: 'not-theirs' });
    await buyer.logInAsKnown();
    const { page, visitor, email } = buyer;
    const path = `/my/instances/${foreign?.id}`;
    expect(await visitor.go(path)).to.equal(404);
    await visitor.shot('not-found');
    expect(await visitor.go(`${path}/status`)).to.equal(404);
    await visitor.go('/my/account');
    const csrf = await page.locator('input[name=csrf_token]').first().inputValue();
    const restart = await page.request.post(`${path}/restart`, { form: { csrf_token: csrf } });
    expect(restart.status()).to.equal(404);
    expect(await visitor.go(`${path}/renew`)).to.equal(404);
    const { manager } = env.stack.containers.names;
    const log = await run('docker', ['logs', '--since', '2m', '--', manager], { both: true });
    expect(log)
      .to.include(email)
      .and.to.include(`asked for instance ${foreign?.id}, which is not theirs`);
  });
});
