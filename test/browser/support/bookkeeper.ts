import type { ShopEnvironment } from './shop-environment.ts';
import { Visitor, type VisitorOptions } from './visitor.ts';

const LOGIN = 'contable';
const PASSWORD = 'Una-clave-2026';
const GROUPS = [
  'base.group_user',
  'sales_team.group_sale_salesman_all_leads',
  'account.group_account_manager',
  'micro_saas.group_microsaas_manager',
];

/** A user of the selling company: sales, accounting and the buttons. */
export class Bookkeeper {
  readonly visitor: Visitor;

  private constructor(visitor: Visitor) {
    this.visitor = visitor;
  }

  /** Logs in; the user is created the first time. */
  static async arrive(env: ShopEnvironment, options: VisitorOptions): Promise<Bookkeeper> {
    await ensureUser(env);
    return Bookkeeper.#logIn(env, options, LOGIN, PASSWORD);
  }

  /** The manager's administrator. */
  static async asAdministrator(env: ShopEnvironment, options: VisitorOptions): Promise<Bookkeeper> {
    const { login, password } = env.manager;
    return Bookkeeper.#logIn(env, options, login, password);
  }

  static async #logIn(
    env: ShopEnvironment,
    options: VisitorOptions,
    login: string,
    password: string,
  ): Promise<Bookkeeper> {
    const visitor = await Visitor.arrive(env, options);
    const { page } = visitor;
    await env.office.readsIn(login, visitor.language);
    await visitor.go('/web/login');
    await page.locator('#login').fill(login);
    await page.locator('#password').fill(password);
    await page.locator('.oe_login_form button[type=submit]').click();
    await page.locator('.o_main_navbar').waitFor();
    return new Bookkeeper(visitor);
  }

  get page() {
    return this.visitor.page;
  }

  /** Opens a record's form. */
  async open(model: string, id: number): Promise<void> {
    await this.visitor.go(`/odoo/m-${model}/${id}`);
    await this.page.locator('.o_form_view').waitFor();
  }

  /** Waits until the form, without a reload, shows this state in its status bar. */
  async seesState(label: string): Promise<void> {
    const current = this.page.locator('.o_statusbar_status button[aria-checked=true]');
    await current.filter({ hasText: label }).waitFor({ timeout: 120_000 });
  }

  /** Invoices a confirmed order and registers its payment, button by button. */
  async invoiceAndRegisterPayment(order: number): Promise<void> {
    const { page, visitor } = this;
    await this.open('sale.order', order);
    await visitor.shot('order');
    await visitor.press(visitor.words.createInvoice);
    await visitor.press(visitor.words.createDraft);
    await page.locator('.o_breadcrumb', { hasText: visitor.words.draft }).waitFor();
    await visitor.press(new RegExp(`^${visitor.words.confirm}$`));
    await page.locator('button[name=action_register_payment]').first().waitFor();
    await visitor.shot('invoice-to-pay');
    await page.locator('button[name=action_register_payment]').filter({ visible: true }).click();
    await page.locator('.modal button[name=action_create_payments]:visible').click();
    await page.locator('.modal').waitFor({ state: 'detached' });
  }
}

async function ensureUser({ manager }: ShopEnvironment): Promise<void> {
  const { rpc } = manager;
  const known = await rpc.read('res.users', [['login', '=', LOGIN]], ['id']);
  if (known.length > 0) return;
  const groups: number[] = [];
  for (const id of GROUPS) {
    const [module, name] = id.split('.');
    const domain = [
      ['module', '=', module],
      ['name', '=', name],
    ];
    const [found] = await rpc.read<{ res_id: number }>('ir.model.data', domain, ['res_id']);
    if (found) groups.push(found.res_id);
  }
  await rpc.call(
    'res.users',
    'create',
    [
      {
        name: 'Carmen, contable',
        login: LOGIN,
        password: PASSWORD,
        tz: 'Europe/Madrid',
        email: 'contable@example.com',
        group_ids: [[6, 0, groups]],
      },
    ],
    { context: { no_reset_password: true } },
  );
}
