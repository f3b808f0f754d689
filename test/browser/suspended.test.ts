import { expect } from 'chai';
import { Buyer } from './support/buyer.ts';
import { freeName } from './support/customer.ts';
import { type ShopEnvironment, shopEnvironment } from './support/shop-environment.ts';
import { PHONE } from './support/visitor.ts';

describe('a suspended instance', function () {
  this.timeout(300_000);
  let env: ShopEnvironment;

  before(async function () {
    this.timeout(900_000);
    env = await shopEnvironment();
  });

  /** A customer whose instance has run and is suspended now. */
  const suspended = async (album: string, viewport?: typeof PHONE) => {
    const options = viewport ? { album, viewport } : { album };
    const customer = await Buyer.arrive(env, options);
    await customer.logInAsKnown();
    const name = freeName('impago');
    await env.office.sell(env.plan, customer.email, name);
    await customer.waitForInstance(name);
    return { customer, ...(await env.office.suspend(customer.email)) };
  };

  it('asks for the payment at its own address; who presses Pay now logs in, pays, and finds their Odoo again', async () => {
    const { address, customer } = await suspended('suspended');
    await customer.visitor.leave();
    const back = await customer.comeBack('suspended-pay-now');
    const { page, visitor } = back;
    expect(await visitor.go(`${address}/odoo`)).to.equal(402);
    await visitor.shot('state-page');
    await visitor.press('Pagar ahora');
    await back.fillLogin();
    await page.waitForURL(/\/my\/invoices\/\d+/);
    await back.payInvoice();
    await back.findsOdooAt(address);
    expect(visitor.scriptErrors).to.deep.equal([]);
    await visitor.leave();
  });

  it('is paid on a phone by the link of the mail, without a login, and runs again', async () => {
    const { address, customer, invoice } = await suspended('suspended-phone', PHONE);
    await customer.visitor.leave();
    const back = await customer.comeBack('suspended-mail-link', PHONE);
    const { page, visitor } = back;
    expect(await visitor.go(address)).to.equal(402);
    const width = await page.evaluate('document.documentElement.scrollWidth');
    expect(width).to.be.at.most(PHONE.width);
    await visitor.shot('state-page');
    await visitor.go(invoice);
    await visitor.press('Pagar ahora');
    await back.payInvoice();
    await back.findsOdooAt(address);
    await visitor.leave();
  });
});
