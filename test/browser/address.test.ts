import { expect } from 'chai';
import { eventually } from '../e2e/support/eventually.ts';
import { Buyer } from './support/buyer.ts';
import { freeName } from './support/customer.ts';
import { type ShopEnvironment, shopEnvironment } from './support/shop-environment.ts';
import { PHONE } from './support/visitor.ts';

describe("the addresses of a customer's Odoo, on a phone", function () {
  this.timeout(300_000);
  let env: ShopEnvironment;
  let buyer: Buyer;
  let path: string;
  const [name, other, renamed] = [freeName('luna'), freeName('ocupado'), freeName('sol')];
  const domain = `www.${renamed}.test`;

  before(async function () {
    this.timeout(900_000);
    env = await shopEnvironment();
    buyer = await Buyer.arrive(env, { album: 'address', viewport: PHONE });
    await buyer.logInAsKnown();
    await env.office.sell(env.plan, buyer.email, name);
    path = `/my/instances/${await buyer.waitForInstance(name)}`;
    await env.office.sell(env.plan, buyer.email, other);
    await eventually(async () =>
      expect(await env.office.instancesOf(buyer.email)).to.include(other),
    );
  });

  after(async () => buyer?.visitor.leave());

  /** Opens the question, answers it with a name, and waits for the page that follows. */
  const rename = async (wanted: string) => {
    const { page, visitor } = buyer;
    await visitor.go(path);
    await page.getByText('Cambiar la dirección').click();
    await visitor.shot('rename');
    await page.locator('#subdomain').fill(wanted);
    await visitor.press(/^Cambiar$/);
    await page.waitForLoadState();
  };
  const fits = async () => {
    const width = await buyer.page.evaluate('document.documentElement.scrollWidth');
    expect(width, 'its width').to.be.at.most(PHONE.width);
  };

  it('are refused where somebody has the name, with a free one near it', async () => {
    const { visitor } = buyer;
    await rename(other);
    await visitor.sees(`«${other}» ya está ocupado.`);
    await visitor.sees(`Está libre, por ejemplo, «${other}-2»`);
    await visitor.sees(`${name}.localhost`);
    await fits();
    await visitor.shot('taken');
  });

  it('change with the name, while the Odoo stays ready, and lead to it', async () => {
    const { page, visitor } = buyer;
    await rename(renamed);
    await visitor.sees(`${renamed}.localhost`);
    expect(await page.getByText('Su Odoo está arrancando').count()).to.equal(0);
    await visitor.sees('Su Odoo está listo');
    await visitor.shot('renamed');
    await page.locator(`a[href*="//${renamed}.localhost"]`).first().waitFor();
    await buyer.openInstance();
  });

  it('are also domains of their own: with what DNS must say, and why one is pending', async () => {
    const { page, visitor } = buyer;
    await visitor.go(path);
    await page.locator('#domain').fill(domain);
    await visitor.press('Añadir el dominio');
    await visitor.sees('Pendiente');
    await visitor.sees('Su Odoo está listo');
    const said = page.locator('.alert-info', { hasText: '_microsaas' });
    for (const record of [
      `${domain} CNAME ${renamed}.localhost`,
      new RegExp(`_microsaas\\.${domain} TXT [0-9a-f]{32}`),
    ])
      await said.getByText(record).waitFor();
    await visitor.sees('El DNS todavía no conoce este nombre.');
    await fits();
    await said.scrollIntoViewIfNeeded();
    await visitor.shot('domain');
  });

  it('are refused where they are no domain, with the reason', async () => {
    const { page, visitor } = buyer;
    await visitor.go(path);
    await page.locator('#domain').fill('https://www.example.1a/tienda');
    await visitor.press('Añadir el dominio');
    await visitor.sees('es más que un dominio');
    await page.locator('#domain').fill('www.example.1a');
    await visitor.press('Añadir el dominio');
    await visitor.sees('«www.example.1a» no es un dominio válido.');
    await visitor.shot('no-domain');
  });

  it('are explained in English too', async () => {
    const { page, visitor } = buyer;
    const shutEnglish = await env.office.openEnglish();
    try {
      await visitor.go(`/en${path}`);
      await visitor.sees('DNS does not know this name yet.');
      await visitor.sees('Where this domain is managed, enter:');
      await fits();
      await page.getByText('Your own domains').scrollIntoViewIfNeeded();
      await visitor.shot('english');
    } finally {
      await shutEnglish();
    }
  });
});
