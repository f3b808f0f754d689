import { expect } from 'chai';
import { showsLoginAt } from '../../stack/door.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { Buyer } from './support/buyer.ts';
import { freeName } from './support/customer.ts';
import { type ShopEnvironment, shopEnvironment } from './support/shop-environment.ts';
import { Visitor } from './support/visitor.ts';

/** An HTTP client with cookies, forms and JSON, without a browser. */
class Client {
  readonly #url: string;
  readonly #cookies = new Map<string, string>();

  constructor(url: string) {
    this.#url = url;
  }

  async get(path: string): Promise<string> {
    return (await this.#send(path, {})).text();
  }

  async post(path: string, form: Record<string, string>): Promise<string> {
    const body = new URLSearchParams(form);
    return (await this.#send(path, { method: 'POST', body })).text();
  }

  async json<T>(path: string, params: Record<string, unknown>): Promise<T> {
    const body = JSON.stringify({ jsonrpc: '2.0', method: 'call', params });
    const headers = { 'content-type': 'application/json' };
    const response = await this.#send(path, { method: 'POST', body, headers });
    const answer = (await response.json()) as { result: T; error?: unknown };
    if (answer.error) throw new Error(`${path}: ${JSON.stringify(answer.error).slice(0, 500)}`);
    return answer.result;
  }

  async #send(path: string, init: RequestInit, hops = 0): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...(init.headers as Record<string, string>), cookie };
    const address = new URL(path, this.#url);
    const response = await fetch(address, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      this.#cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const next = response.headers.get('location');
    if (next === null || hops > 10) return response;
    return this.#send(next, {}, hops + 1);
  }
}

/** The value of an attribute or a form field in a page. */
function valueIn(html: string, pattern: RegExp): string {
  const found = pattern.exec(html)?.[1];
  if (found === undefined) throw new Error(`The page has no ${pattern}.`);
  return found;
}

describe('the shop without JavaScript', function () {
  this.timeout(300_000);
  let env: ShopEnvironment;

  before(async function () {
    this.timeout(900_000);
    env = await shopEnvironment();
  });

  it('sells a plan to an unknown visitor who chooses no name', async () => {
    const client = new Client(env.stack.url);
    const { rpc } = env.manager;
    const email = `plain-${Date.now()}@example.com`;
    const product = env.plan.product;
    const [
      {
        product_tmpl_id: [template],
      } = { product_tmpl_id: [0] },
    ] = await rpc.read<{
      product_tmpl_id: [number];
    }>('product.product', [['id', '=', product]], ['product_tmpl_id']);
    await client.get('/shop');
    await client.json('/shop/cart/add', {
      product_template_id: template,
      product_id: product,
      quantity: 1,
    });
    const address = await client.get('/shop/checkout?try_skip_step=true');
    const [spain] = await rpc.read<{ id: number }>('res.country', [['code', '=', 'ES']], ['id']);
    const madrid = [
      ['country_id', '=', spain?.id],
      ['name', '=', 'Madrid'],
    ];
    const [state] = await rpc.read<{ id: number }>('res.country.state', madrid, ['id']);
    const answer = await client.post('/shop/address/submit', {
      csrf_token: valueIn(address, /name="csrf_token" value="([^"]+)"/),
      name: 'Carpintería Río',
      email,
      phone: '600123456',
      street: 'Calle Mayor 1',
      city: 'Madrid',
      zip: '28013',
      country_id: String(spain?.id),
      state_id: String(state?.id),
      address_type: 'billing',
      use_delivery_as_billing: 'true',
    });
    expect(JSON.parse(answer)).to.have.property('redirectUrl');
    const payment = await client.get('/shop/payment');
    const demo = /<input[^>]*data-provider-code="demo"[^>]*>/.exec(payment)?.[0] ?? '';
    const values = await client.json<{ reference: string }>(
      valueIn(payment, /data-transaction-route="([^"]+)"/),
      {
        provider_id: Number(valueIn(demo, /data-provider-id="(\d+)"/)),
        payment_method_id: Number(valueIn(demo, /data-payment-option-id="(\d+)"/)),
        token_id: null,
        amount: null,
        flow: 'direct',
        tokenization_requested: false,
        landing_route: '/shop/payment/validate',
        is_validation: false,
        access_token: valueIn(payment, /data-access-token="([^"]+)"/),
      },
    );
    await client.json('/payment/demo/simulate_payment', {
      reference: values.reference,
      payment_details: '1234',
      simulated_state: 'done',
    });
    await client.json('/payment/status/poll', {});
    const thanks = await client.get('/shop/payment/validate');
    expect(thanks).to.match(/Estamos preparando su Odoo|Tiene su Odoo en su propia página/);
    await eventually(async () => {
      const fields = ['name', 'state', 'instance_url'];
      const domain = [['partner_id.email', '=', email]];
      const [instance] = await rpc.read('odoo.docker.instance', domain, fields);
      expect(instance).to.include({ state: 'running' });
      expect(instance?.['name']).to.match(/^carpinteria-rio/);
      expect(await showsLoginAt(String(instance?.['instance_url']))).to.equal(true);
    }, 120);
  });

  it('keeps a name sent by the plain form of the cart, and shows there what is wrong with it', async () => {
    const buyer = await Buyer.arrive(env, { album: 'without-javascript-cart' });
    await buyer.logInAsKnown();
    await buyer.cartWith();
    const state = await buyer.page.context().storageState();
    const visitor = await Visitor.arrive(env, {
      album: 'without-javascript',
      javaScript: false,
      state,
    });
    await visitor.go('/shop/cart');
    const field = visitor.page.locator('.o_microsaas_name input');
    await field.fill('WWW');
    await visitor.press('Guardar el nombre');
    await visitor.sees('Use solo minúsculas sin acentos, cifras y guiones.');
    await visitor.shot('refused');
    const name = freeName('sin-js');
    await field.fill(name);
    await visitor.press('Guardar el nombre');
    await visitor.page
      .locator('.o_microsaas_problem', { hasText: /./ })
      .waitFor({ state: 'detached' });
    expect(await field.inputValue()).to.equal(name);
    await visitor.shot('kept');
    await visitor.leave();
    await buyer.visitor.leave();
  });
});
