import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OdooRpc } from './odoo-rpc.ts';
import { repository } from './paths.ts';

/** What the manager needs, beside `micro_saas`, to sell in a web shop. */
export const shopModules = ['micro_saas_website', 'payment_demo', 'payment_custom'];

const SPANISH = 'es_ES';
/** The example of the Spanish banks' own leaflet: nobody's account. */
const IBAN = 'ES9121000418450200051332';

/**
 * Opens the manager's web shop the way its owner would: in Spanish and euros, bank transfer on, one press on
 * *Sell from the web shop*. Odoo's demo payment is on by itself. May be repeated.
 */
export async function openShop(odoo: OdooRpc): Promise<void> {
  await asSpanishCompany(odoo);
  const logo = await picture('odoo-addon', 'micro_saas', 'static', 'description', 'icon.png');
  const [website] = await odoo.call<number[]>('website', 'search', [[]], { limit: 1 });
  const [spanish] = await odoo.call<number[]>('res.lang', 'search', [[['code', '=', SPANISH]]]);
  // No second language: with one, Odoo sends whoever asks for none from `/shop` to `/en/shop`.
  const languages = { language_ids: [[6, 0, [spanish]]], default_lang_id: spanish };
  // Odoo's own home page is a blank one.
  const start = { homepage_url: '/shop' };
  await odoo.call('website', 'write', [
    [website],
    { name: 'MicroSaaS', logo, ...start, ...languages },
  ]);
  await takeTransfers(odoo);
  // Its button in the cart would skip what this shop is there to show: billing data, then the payment.
  await changeProviders(odoo, [['code', '=', 'demo']], { allow_express_checkout: false });
  const settings = await odoo.create('res.config.settings', {});
  await odoo.call('res.config.settings', 'action_microsaas_sell_from_shop', [[settings]]);
}

/** Bank transfer is a way to pay, and the thank-you page says to which account. */
async function takeTransfers(odoo: OdooRpc): Promise<void> {
  const transfer = [['custom_mode', '=', 'wire_transfer']];
  await changeProviders(odoo, transfer, { state: 'enabled', is_published: true });
  const bank = await odoo.call<number[]>('account.journal', 'search', [[['type', '=', 'bank']]]);
  await odoo.call('account.journal', 'write', [bank, { bank_acc_number: IBAN }]);
  const ids = await odoo.call<number[]>('payment.provider', 'search', [transfer]);
  const spanish = { context: { lang: SPANISH } };
  await odoo.call('payment.provider', 'action_recompute_pending_msg', [ids], spanish);
}

async function changeProviders(
  odoo: OdooRpc,
  domain: unknown[],
  values: Record<string, unknown>,
): Promise<void> {
  const ids = await odoo.call<number[]>('payment.provider', 'search', [domain]);
  await odoo.call('payment.provider', 'write', [ids, values]);
}

/** A picture of this checkout, as Odoo takes it. */
async function picture(...path: string[]): Promise<string> {
  return (await readFile(join(repository, ...path))).toString('base64');
}

/** A Spanish company. It may change its currency and country only while its books are empty. */
async function asSpanishCompany(odoo: OdooRpc): Promise<void> {
  const [line] = await odoo.read('account.move.line', [], ['id'], { limit: 1 });
  if (line) return;
  const inactiveToo = { context: { active_test: false } };
  const domain = [['name', '=', 'EUR']];
  const [euro] = await odoo.read<{ id: number }>('res.currency', domain, ['id'], inactiveToo);
  const [spain] = await odoo.read<{ id: number }>('res.country', [['code', '=', 'ES']], ['id']);
  await odoo.call('res.currency', 'write', [[euro?.id], { active: true }]);
  const companies = await odoo.call<number[]>('res.company', 'search', [[]]);
  const values = { name: 'MicroSaaS', currency_id: euro?.id, country_id: spain?.id };
  await odoo.call('res.company', 'write', [companies, values]);
  const lists = await odoo.call<number[]>('product.pricelist', 'search', [[]]);
  await odoo.call('product.pricelist', 'write', [lists, { currency_id: euro?.id }]);
}
