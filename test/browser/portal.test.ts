import { expect } from 'chai';
import { Buyer } from './support/buyer.ts';
import { freeName } from './support/customer.ts';
import { type ShopEnvironment, shopEnvironment } from './support/shop-environment.ts';
import { PHONE } from './support/visitor.ts';

describe("the customer's own page, on a phone", function () {
  this.timeout(300_000);
  let env: ShopEnvironment;
  let buyer: Buyer;
  let id: number;
  const name = freeName('movil');

  before(async function () {
    this.timeout(900_000);
    env = await shopEnvironment();
    buyer = await Buyer.arrive(env, { album: 'phone', viewport: PHONE });
    await buyer.logInAsKnown();
    await env.office.sell(env.plan, buyer.email, name);
    id = await buyer.waitForInstance(name);
  });

  after(async () => buyer?.visitor.leave());

  it('fits on the screen', async () => {
    for (const path of ['/my', '/my/instances', `/my/instances/${id}`]) {
      await buyer.visitor.go(path);
      await buyer.page.waitForLoadState('networkidle');
      const width = await buyer.page.evaluate('document.documentElement.scrollWidth');
      expect(width, path).to.be.at.most(PHONE.width);
      await buyer.visitor.shot(path.split('/').at(-1) ?? 'my');
    }
  });

  it('restarts the instance, and shows it without a reload', async () => {
    const { page, visitor } = buyer;
    await visitor.go(`/my/instances/${id}`);
    await visitor.press('Reiniciar');
    await visitor.sees('Su Odoo está arrancando');
    await page.waitForLoadState();
    let reloads = 0;
    page.on('load', () => {
      reloads += 1;
    });
    await visitor.shot('restarting');
    await visitor.sees('Su Odoo está listo');
    expect(reloads).to.equal(0);
    await visitor.shot('restarted');
  });

  it('renews: says price and days before there is an invoice, then leads to that one again', async () => {
    const { page, visitor } = buyer;
    await visitor.go(`/my/instances/${id}`);
    await visitor.press('Renovar');
    await page.waitForURL(/\/my\/renew\//);
    await visitor.shot('renewal');
    await visitor.press('Renovar y pagar');
    await page.waitForURL(/\/my\/invoices\/\d+/);
    const invoice = new URL(page.url()).pathname;
    await visitor.labelled('Pagar ahora').waitFor();
    await visitor.shot('renewal-invoice');
    await visitor.press(`A su Odoo ${name}`);
    await page.waitForURL(new RegExp(`/my/instances/${id}`));
    await visitor.press('Pagar');
    await page.waitForURL(/\/my\/invoices\/\d+/);
    expect(new URL(page.url()).pathname).to.equal(invoice);
  });

  it('is available in English too', async () => {
    const { visitor } = buyer;
    const shutEnglish = await env.office.openEnglish();
    try {
      await visitor.go(`/en/my/instances/${id}`);
      await visitor.sees('Your Odoo is ready');
      await visitor.labelled(/Pay$/).waitFor();
      await visitor.shot('english');
    } finally {
      await shutEnglish();
    }
  });
});
