import { expect } from 'chai';
import { Bookkeeper } from './support/bookkeeper.ts';
import { Buyer } from './support/buyer.ts';
import { freeName } from './support/customer.ts';
import { type ShopEnvironment, shopEnvironment } from './support/shop-environment.ts';
import { PHONE } from './support/visitor.ts';

describe("from the shop to the customer's own Odoo", function () {
  this.timeout(300_000);
  let env: ShopEnvironment;
  let luna: Buyer;
  let shutEnglish: () => Promise<void>;

  before(async function () {
    this.timeout(900_000);
    env = await shopEnvironment();
    shutEnglish = await env.office.openEnglish();
    luna = await Buyer.arrive(env, { album: 'a-first-purchase', viewport: PHONE });
  });

  after(async () => {
    await luna?.visitor.leave();
    await shutEnglish?.();
  });

  it('a: on a phone, a new customer signs up, buys, enters billing data and pays online', async () => {
    const name = freeName('luna');
    await luna.signUp();
    await luna.fillCart();
    await luna.chooseName(name);
    await luna.visitor.shot('name-chosen');
    await luna.checkOut();
    await luna.fillAddress();
    await luna.payOnline();
    await luna.isThanked();
    await luna.waitForInstance(name);
    await luna.openInstance();
    expect(luna.visitor.scriptErrors).to.deep.equal([]);
  });

  it('b: at a desk, the same customer buys again, is asked for no address, and the second Odoo gets a suggested name', async () => {
    const back = await luna.comeBack('b-returning-buyer');
    await back.logIn();
    await back.fillCart();
    const suggested = await back.nameField().getAttribute('placeholder');
    expect(suggested).to.match(/^panaderia-luna/);
    await back.checkOut();
    await back.page.waitForURL(/\/shop\/payment/);
    await back.payOnline();
    await back.isThanked();
    await back.waitForInstance(String(suggested));
    await back.openInstance();
    await back.visitor.leave();
  });

  it('c: in English, on a phone: bank transfer, accept and sign; the bookkeeper invoices, registers the payment and presses the button', async () => {
    const manual = { microsaas_provision: 'manual' };
    const plan = await env.office.newPlan('Odoo a medida', manual);
    const buyer = await Buyer.arrive(env, {
      ...{ album: 'c-transfer-and-signature', language: 'en', viewport: PHONE },
      name: 'Sunny Workshop',
    });
    const { words } = buyer.visitor;
    const name = freeName('taller');
    await buyer.signUp();
    await buyer.fillCart(plan);
    await buyer.chooseName(name);
    await buyer.checkOut();
    await buyer.fillAddress();
    await buyer.payByTransfer();
    await buyer.isThanked();
    await buyer.visitor.sees(words.paymentIsPending);
    await buyer.visitor.press(words.toSign);
    await buyer.page.waitForURL(/\/my\/orders\/\d+/);
    await buyer.visitor.shot('order-to-sign');
    await buyer.acceptAndSign(words.acceptAndSign);
    await buyer.page.waitForURL(/message=sign_ok/);
    await buyer.visitor.shot('order-confirmed');
    const order = Number(/orders\/(\d+)/.exec(buyer.page.url())?.[1]);

    const carmen = await Bookkeeper.arrive(env, { album: 'c-bookkeeper', language: 'en' });
    await carmen.invoiceAndRegisterPayment(order);
    await carmen.visitor.labelled(words.createInstance).waitFor();
    await carmen.visitor.shot('invoice-paid');
    await carmen.visitor.press(words.createInstance);
    const chosen = carmen.page.locator('.oe_title .o_field_widget[name=name] input');
    await chosen.waitFor();
    await carmen.visitor.shot('new-instance');
    expect(await chosen.inputValue()).to.equal(name);
    await carmen.visitor.press(new RegExp(`^${words.start}$`));
    await carmen.visitor.shot('starting');
    await carmen.seesState(words.running);
    await carmen.visitor.shot('running');

    await buyer.waitForInstance(name);
    await buyer.openInstance();
    expect(carmen.visitor.scriptErrors).to.deep.equal([]);
    await carmen.visitor.leave();
    await buyer.visitor.leave();
  });

  it('d: in English, at a desk: a quotation is signed and paid in the portal', async () => {
    const customer = await luna.comeBack('d-quotation', { language: 'en' });
    const { url, order } = await env.office.quotation(env.plan, luna.email);
    await customer.logIn();
    await customer.visitor.go(url);
    await customer.visitor.shot('quotation');
    await customer.acceptAndSign(customer.visitor.words.signAndPay);
    await customer.page.waitForURL(/allow_payment=yes/);
    await customer.payQuotation();
    const name = await env.office.instanceNameOf(order);
    await customer.waitForInstance(name);
    await customer.openInstance();
    await customer.visitor.leave();
  });
});
