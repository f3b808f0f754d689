import { expect } from 'chai';
import { Buyer } from './support/buyer.ts';
import { freeName } from './support/customer.ts';
import { type ShopEnvironment, shopEnvironment } from './support/shop-environment.ts';
import { PHONE, type VisitorOptions } from './support/visitor.ts';

describe('a suspended instance', function () {
  this.timeout(300_000);
  let env: ShopEnvironment;
  let shutEnglish: () => Promise<void>;

  before(async function () {
    this.timeout(900_000);
    env = await shopEnvironment();
    shutEnglish = await env.office.openEnglish();
  });

  after(async () => shutEnglish?.());

  /** A customer whose instance has run and is suspended now. */
  const suspended = async (options: VisitorOptions) => {
    const customer = await Buyer.arrive(env, options);
    await customer.logInAsKnown();
    const name = freeName('impago');
    await env.office.sell(env.plan, customer.email, name);
    await customer.waitForInstance(name);
    return { customer, ...(await env.office.suspend(customer.email)) };
  };

  it('asks for the payment at its own address; who presses Pay now logs in, pays, and finds their Odoo again', async () => {
    const { address, customer } = await suspended({ album: 'suspended' });
    await customer.visitor.leave();
    const back = await customer.comeBack('suspended-pay-now');
    const { page, visitor } = back;
    expect(await visitor.go(`${address}/odoo`)).to.equal(402);
    await visitor.shot('state-page');
    await visitor.press(visitor.words.payNow);
    await back.fillLogin();
    await page.waitForURL(/\/my\/invoices\/\d+/);
    await back.payInvoice();
    await back.findsOdooAt(address);
    expect(visitor.scriptErrors).to.deep.equal([]);
    await visitor.leave();
  });

  it('is paid on a phone, in English, by the link of the mail, without a login, and runs again', async () => {
    const onPhone = { language: 'en', viewport: PHONE } as const;
    const { address, customer, invoice } = await suspended({
      album: 'suspended-phone',
      ...onPhone,
    });
    await customer.visitor.leave();
    const back = await customer.comeBack('suspended-mail-link', onPhone);
    const { page, visitor } = back;
    expect(await visitor.go(address)).to.equal(402);
    const width = await page.evaluate('document.documentElement.scrollWidth');
    expect(width).to.be.at.most(PHONE.width);
    await visitor.shot('state-page');
    await visitor.go(invoice);
    await visitor.press(visitor.words.payNow);
    await back.payInvoice();
    await back.findsOdooAt(address);
    await visitor.leave();
  });
});
