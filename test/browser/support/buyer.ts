import { Customer } from './customer.ts';

/** The outcome chosen in Odoo's demo payment provider, by its value there. */
export type Outcome = 'done' | 'pending' | 'cancel' | 'error';

/** A customer who buys a plan in the web shop, by the words on the screen. */
export class Buyer extends Customer {
  /** Menu, shop, product, add to cart, view cart. */
  async fillCart(plan = this.visitor.env.plan): Promise<void> {
    const { page, visitor } = this;
    await visitor.openMenu();
    await visitor.press(visitor.words.shop);
    await page.waitForURL(/\/shop/);
    await visitor.shot('shop');
    await page.getByRole('link', { name: plan.name }).first().click();
    await visitor.sees(visitor.words.term);
    await visitor.shot('product');
    await visitor.press(visitor.words.addToCart);
    const seeCart = visitor.labelled(visitor.words.seeCart);
    await seeCart.waitFor();
    await visitor.shot('added');
    await seeCart.click();
    await page.waitForURL(/\/shop\/cart/);
    await this.nameField().waitFor();
    await visitor.shot('cart');
  }

  /** The shorter way: a plan's own page, then the cart. */
  async cartWith(plan = this.visitor.env.plan, quantity = 1): Promise<void> {
    const { page, visitor } = this;
    await visitor.go(plan.url);
    await page.locator('input[name=add_qty]').fill(String(quantity));
    await visitor.press(visitor.words.addToCart);
    await visitor.labelled(visitor.words.seeCart).click();
    await this.nameField(quantity).waitFor();
  }

  /** The input for the name of one unit. */
  nameField(unit = 1) {
    return this.page.locator(`.o_microsaas_name input[data-unit="${unit}"]`);
  }

  /** Types a name, leaves the field and waits until the shop has saved or refused it. */
  async chooseName(name: string, unit = 1): Promise<void> {
    const field = this.nameField(unit);
    await field.fill(name);
    const kept = this.page.waitForResponse(
      (response) =>
        response.url().endsWith('/shop/instance_name') &&
        (response.request().postData() ?? '').includes('"save":true'),
    );
    await field.blur();
    await kept;
  }

  async checkOut(): Promise<void> {
    await this.visitor.press(this.visitor.words.checkOut);
  }

  /** Enters the billing data, which are asked for on the first purchase only. */
  async fillAddress(): Promise<void> {
    const { page, visitor } = this;
    await page.waitForURL(/\/shop\/address/);
    await page.locator('input[name=phone]').fill('600 123 456');
    await page.locator('input[name=street]').fill('Calle Mayor 1');
    await page.locator('input[name=city]').fill('Madrid');
    await page.locator('input[name=zip]').fill('28013');
    await page.locator('select[name=country_id]').selectOption({ label: visitor.words.spain });
    await page.locator('select[name=state_id]').selectOption({ label: 'Madrid' });
    await visitor.shot('billing-data');
    await visitor.press(visitor.words.confirm);
    await page.waitForURL(/\/shop\/payment/);
  }

  /** Pays with Odoo's demo provider, with a chosen outcome. */
  async payOnline(outcome: Outcome = 'done'): Promise<void> {
    const { page, visitor } = this;
    await page.waitForURL(/\/shop\/payment/);
    await page.locator('label', { hasText: visitor.words.demo }).click();
    await page.locator('#simulated_payment_state').selectOption(outcome);
    await visitor.shot('confirm-order');
    await visitor.press(visitor.words.payNow);
  }

  /** Chooses the bank transfer: an order without a payment. */
  async payByTransfer(): Promise<void> {
    const { page, visitor } = this;
    await page.waitForURL(/\/shop\/payment/);
    await page.locator('label', { hasText: visitor.words.bankTransfer }).click();
    await visitor.shot('confirm-order');
    await visitor.press(visitor.words.payNow);
    await page.waitForURL(/\/shop\/confirmation/);
  }

  /** Waits until Odoo has processed a payment; a pending one stays on its waiting page. */
  async paymentIsOver(outcome: Outcome): Promise<void> {
    const { page } = this;
    await page.waitForURL(outcome === 'pending' ? /\/payment\/status/ : /\/shop\/confirmation/);
  }

  /** Pays a signed quotation, in the dialog that the portal opens. */
  async payQuotation(): Promise<void> {
    const { page, visitor } = this;
    const dialog = page.locator('#modalaccept');
    await dialog.locator('label', { hasText: visitor.words.demo }).click();
    await visitor.shot('pay');
    await dialog.locator('button[name=o_payment_submit_button]').click();
    await page.getByText(visitor.words.beingPrepared).waitFor();
    await visitor.shot('order-confirmed');
  }

  async isThanked(): Promise<void> {
    await this.page.waitForURL(/\/shop\/confirmation/);
    await this.visitor.sees(this.visitor.words.thanks);
    await this.visitor.shot('thank-you');
  }

  /** Accepts and signs the order on the screen, with a typed name. */
  async acceptAndSign(button: string): Promise<void> {
    const { page, visitor } = this;
    await visitor.press(button);
    const sign = page.locator('.o_portal_sign_submit');
    await sign.waitFor();
    await visitor.shot('sign');
    await sign.click();
  }
}
