import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { eventually } from '../e2e/support/eventually.ts';
import { filesInZip } from '../support/zip-reader.ts';
import { Bookkeeper } from './support/bookkeeper.ts';
import { Buyer } from './support/buyer.ts';
import { freeName } from './support/customer.ts';
import { type ShopEnvironment, shopEnvironment } from './support/shop-environment.ts';
import { PHONE, type VisitorOptions } from './support/visitor.ts';

/** A backup is restored and packed meanwhile, on a loaded machine. */
const JOB_MS = 180_000;

describe('what customers do with their data', function () {
  this.timeout(600_000);
  let env: ShopEnvironment;

  before(async function () {
    this.timeout(900_000);
    env = await shopEnvironment();
  });

  /** A customer whose instance has a proven backup, on its page. */
  const backedUp = async (album: string, viewport?: VisitorOptions['viewport']) => {
    const customer = await Buyer.arrive(env, viewport ? { album, viewport } : { album });
    await customer.logInAsKnown();
    const name = freeName('datos');
    await env.office.sell(env.plan, customer.email, name);
    const id = await customer.waitForInstance(name);
    await env.office.backUp(customer.email);
    await customer.visitor.go(`/my/instances/${id}`);
    return { customer, id };
  };

  it('takes all of them away: prepared while they look, downloaded once as Odoo’s own dump', async () => {
    const { customer } = await backedUp('data-download');
    const { page, visitor } = customer;
    await visitor.shot('data');
    await visitor.press('Descargar mis datos');
    await visitor.sees('Se están preparando sus datos para descargar');
    await visitor.shot('being-written');
    await page.getByText('están listos').waitFor({ timeout: JOB_MS });
    await visitor.shot('ready');
    const downloading = page.waitForEvent('download');
    await visitor.press(/Descargar$/);
    const download = await downloading;
    expect(download.suggestedFilename()).to.match(/^odoo-\d+-[0-9a-f]{8}\.zip$/);
    const files = filesInZip(await readFile(await download.path()));
    expect([...files.keys()]).to.include.members(['manifest.json', 'dump.sql']);
    await visitor.go(download.url());
    await visitor.sees('Este enlace ya no es válido');
    await visitor.shot('used-link');
    await visitor.leave();
  });

  it('restores an earlier state once it was asked twice, on a phone, and undoes it', async () => {
    const { customer, id } = await backedUp('data-restore', PHONE);
    const { page, visitor } = customer;
    await visitor.press('Restaurar a ayer…');
    await page.waitForURL(/\/restore$/);
    const width = await page.evaluate('document.documentElement.scrollWidth');
    expect(width).to.be.at.most(PHONE.width);
    await visitor.shot('question');
    await page.locator('#is_understood').check();
    await visitor.press(/^Restaurar$/);
    await visitor.sees('Se está restaurando un estado anterior');
    await visitor.shot('being-restored');
    await page.getByText('Se restauró un estado anterior').waitFor({ timeout: JOB_MS });
    await page.getByText('Su Odoo está listo').waitFor({ timeout: JOB_MS });
    await visitor.shot('restored');
    await visitor.press('Deshacer la restauración…');
    await visitor.shot('undo-question');
    await page.locator('#is_understood').check();
    await visitor.press(/^Deshacer la restauración$/);
    await page.waitForURL(new RegExp(`/my/instances/${id}$`));
    await page.getByText('Deshacer la restauración…').waitFor({ state: 'hidden' });
    await page.getByText('Restaurar a ayer…').waitFor({ timeout: JOB_MS });
    await visitor.shot('undone');
    await visitor.leave();
  });

  it('are what an operator sees of them: list, form, question and download', async () => {
    const { customer, id } = await backedUp('data-of-operator');
    await customer.visitor.leave();
    const carmen = await Bookkeeper.arrive(env, { album: 'backend-backups' });
    const { page, visitor } = carmen;
    await carmen.open('odoo.docker.instance', id);
    await visitor.shot('instance');
    await page.locator('.oe_stat_button', { hasText: 'Copias' }).click();
    await page.locator('.o_list_view .o_data_row').first().waitFor();
    await visitor.shot('list');
    await page.locator('.o_data_row .o_data_cell').first().click();
    await visitor.labelled('Preparar una descarga').waitFor();
    await visitor.shot('form');
    await visitor.press('Restaurar…');
    await page.locator('.modal .o_form_view').waitFor();
    await visitor.shot('question');
    await visitor.press('Conservar los datos actuales');
    await visitor.press('Preparar una descarga');
    const ready = page.locator('button[name=action_download]', { hasText: /^Descargar$/ });
    await eventually(async () => {
      await page.reload();
      await page.locator('.o_form_view').waitFor();
      expect(await ready.filter({ visible: true }).count()).to.equal(1);
    }, 180);
    await visitor.shot('ready');
    const downloading = page.waitForEvent('download');
    await visitor.press(/Descargar$/);
    expect(await (await downloading).failure()).to.equal(null);
    expect(visitor.scriptErrors).to.deep.equal([]);
    await visitor.leave();
  });

  it('are reached from the page of a suspended instance, and downloaded without a payment', async () => {
    const { customer } = await backedUp('data-suspended');
    const { address } = await env.office.suspend(customer.email);
    await customer.visitor.leave();
    const back = await customer.comeBack('data-suspended-back');
    const { page, visitor } = back;
    expect(await visitor.go(`${address}/odoo`)).to.equal(402);
    await visitor.shot('state-page');
    await visitor.press('Descargar mis datos');
    await back.fillLogin();
    await page.waitForURL(/\/my\/instances\/\d+/);
    expect(await page.getByText('Restaurar a ayer…').count()).to.equal(0);
    await visitor.press('Descargar mis datos');
    await page.getByText('están listos').waitFor({ timeout: JOB_MS });
    const downloading = page.waitForEvent('download');
    await visitor.press(/Descargar$/);
    expect(await (await downloading).failure()).to.equal(null);
    await visitor.shot('downloaded');
    await visitor.leave();
  });
});
