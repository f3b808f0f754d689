import { expect } from 'chai';
import { seriousFindings } from './support/accessible.ts';
import { Bookkeeper } from './support/bookkeeper.ts';
import { Buyer } from './support/buyer.ts';
import { freeName } from './support/customer.ts';
import type { SoldPlan } from './support/office.ts';
import { type ShopEnvironment, shopEnvironment } from './support/shop-environment.ts';
import { DESK, PHONE, type Visitor } from './support/visitor.ts';

describe('our pages, in both languages, at a desk and on a phone', function () {
  this.timeout(300_000);
  let env: ShopEnvironment;
  let yearly: SoldPlan;
  let customer: Buyer;
  let colleague: string;
  let id: number;
  let shutEnglish: () => Promise<void>;
  const name = freeName('vistas');

  before(async function () {
    this.timeout(900_000);
    env = await shopEnvironment();
    const term = { duracion_suscripcion: 'annual', list_price: 480, microsaas_memory_mb: 2048 };
    yearly = await env.office.newPlan('Odoo para un año', term);
    customer = await Buyer.arrive(env, { album: 'looks-before' });
    await customer.logInAsKnown();
    colleague = await env.office.colleagueOf(customer.email, 'Ana, de compras');
    await env.office.sell(env.plan, customer.email, name);
    id = await customer.waitForInstance(name);
    await env.office.saveCard(customer.email, '4242');
    await customer.visitor.leave();
    shutEnglish = await env.office.openEnglish();
  });

  after(async () => shutEnglish?.());

  /** Looks at a page of the website: nothing is cut, and axe has no serious finding in what is ours of it. */
  const look = async (
    visitor: Visitor,
    path: string,
    shown: string,
    width: number,
    ours = '#wrap',
  ) => {
    expect(await visitor.go(path), path).to.equal(200);
    await visitor.page.waitForLoadState('networkidle');
    await visitor.shot(shown);
    const drawn = await visitor.page.evaluate('document.documentElement.scrollWidth');
    expect(drawn, `${path} is wider than the screen`).to.be.at.most(width);
    expect(await seriousFindings(visitor.page, ours), path).to.deep.equal([]);
  };

  for (const [language, prefix] of [
    ['Spanish', ''],
    ['English', '/en'],
  ] as const)
    for (const [screen, viewport] of [
      ['desk', DESK],
      ['phone', PHONE],
    ] as const) {
      const album = `looks-${language}-${screen}`.toLowerCase();

      it(`a visitor: shop, plans, a plan; ${language}, ${screen}`, async () => {
        const stranger = await Buyer.arrive(env, { album: `${album}-shop`, viewport });
        const pages = [
          ['shop', '/shop', 'a[href$="/shop/plans"]'],
          ['plans', '/shop/plans', '#wrap'],
          ['plan', yearly.url, '.o_microsaas_plan_facts'],
        ] as const;
        for (const [shown, path, ours] of pages)
          await look(stranger.visitor, `${prefix}${path}`, shown, viewport.width, ours);
        await stranger.visitor.leave();
      });

      it(`a customer: their Odoo, its renewal, its invoice; ${language}, ${screen}`, async () => {
        const back = await customer.comeBack(`${album}-portal`, { viewport });
        await back.logIn();
        const own = `/my/instances/${id}`;
        const pages = { instances: '/my/instances', instance: own, renewal: `${own}/renew` };
        for (const [shown, path] of Object.entries(pages))
          await look(back.visitor, `${prefix}${path}`, shown, viewport.width);
        await back.visitor.leave();
      });
    }

  it('the administrator of an Odoo lets a colleague act for it', async () => {
    const back = await customer.comeBack('looks-people');
    await back.logIn();
    const { visitor } = back;
    await visitor.go(`/my/instances/${id}`);
    await visitor.sees(colleague);
    await visitor.press('Dejar que actúe');
    await visitor.labelled('Dejar que solo mire').scrollIntoViewIfNeeded();
    await visitor.shot('people');
    await visitor.leave();
  });

  for (const [language, prefix, screen, viewport, renews, off] of [
    [
      'Spanish',
      '',
      'phone',
      PHONE,
      'Renovar automáticamente con esta tarjeta guardada',
      'Desactivar',
    ],
    ['English', '/en', 'desk', DESK, 'Renew by itself with this saved card', 'Switch it off'],
  ] as const)
    it(`a customer has it renew by itself with a saved card, and no more; ${language}, ${screen}`, async () => {
      const album = `looks-card-${language}-${screen}`.toLowerCase();
      const back = await customer.comeBack(album, { viewport });
      await back.logIn();
      const { page, visitor } = back;
      const card = async (shown: string) => {
        await page.locator('.o_microsaas_card').scrollIntoViewIfNeeded();
        await visitor.shot(shown);
        expect(await seriousFindings(page, '.o_microsaas_card'), shown).to.deep.equal([]);
      };
      await visitor.go(`${prefix}/my/instances/${id}`);
      await card('card-offered');
      await visitor.press(renews);
      await visitor.labelled(off).waitFor();
      await card('card-chosen');
      await env.office.endsIn(4, customer.email);
      await visitor.press(off);
      await visitor.press(renews);
      await visitor.labelled(off).waitFor();
      await card('charge-announced');
      await visitor.press(off);
      await visitor.labelled(renews).waitFor();
      await env.office.endsIn(28, customer.email);
      await visitor.leave();
    });

  for (const [language, screen, viewport] of [
    ['en', 'desk', DESK],
    ['es', 'phone', PHONE],
  ] as const)
    it(`the seller: overview, lists, a board and forms; ${language}, ${screen}`, async () => {
      const album = `looks-backend-${language}-${screen}`;
      const carmen = await Bookkeeper.arrive(env, { album, language, viewport });
      const { page, visitor } = carmen;
      /** Waits until a view is drawn, takes its picture, and lets axe look at what is ours of it. */
      const view = async (shown: string) => {
        await page
          .locator('.o_list_renderer, .o_form_renderer, .o_kanban_renderer')
          .first()
          .waitFor();
        // Forms ask for news now and then, so the network is never idle for long.
        await page.locator('.o_loading_indicator').waitFor({ state: 'detached' });
        await visitor.shot(shown);
        const drawn = await page.evaluate('document.documentElement.scrollWidth');
        expect(drawn, `${shown} is wider than the screen`).to.be.at.most(viewport.width);
        expect(await seriousFindings(page, '.o_content'), shown).to.deep.equal([]);
      };
      for (const [shown, action] of Object.entries({
        overview: 'microsaas_overview_action_page',
        instances: 'odoo_docker_instance_action',
        plans: 'product_template_action_plan',
        subscriptions: 'microsaas_subscription_action',
        attention: 'microsaas_attention_action',
      })) {
        await visitor.go(`/odoo/action-micro_saas.${action}`);
        await view(shown);
      }
      await visitor.go('/odoo/action-micro_saas.odoo_docker_instance_action');
      // A phone shows nothing else.
      if (screen === 'desk') await page.locator('.o_switch_view.o_kanban').click();
      await page.locator('.o_kanban_record').first().waitFor();
      await view('board');
      await carmen.open('microsaas.subscription', await env.office.endsIn(28, customer.email));
      // There is one since the customer chose a card, in the tests above.
      await page.locator('.nav-link[name=charges]').click();
      await view('charges');
      await carmen.open('odoo.docker.instance', id);
      await view('instance');
      for (const tab of await page.locator('.o_form_view .nav-link[name]').all()) {
        await tab.click();
        await view(`instance-${await tab.getAttribute('name')}`);
      }
      expect(visitor.scriptErrors).to.deep.equal([]);
      await visitor.leave();
    });
});
