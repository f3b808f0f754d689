import { expect } from 'chai';
import { eventually } from '../../e2e/support/eventually.ts';
import type { ShopEnvironment } from './shop-environment.ts';
import { Visitor, type VisitorOptions } from './visitor.ts';

const PASSWORD = 'Una-clave-2026';
/** For a loaded machine, with the plan's modules prepared: ten times the usual duration. */
const INSTANCE_MS = 120_000;

/** Makes names unique: customers of earlier runs are still in the database. */
const run = Date.now().toString(36);
let count = 0;

/** A customer with an account in the shop, a portal page and, later, their own Odoo. */
export class Customer {
  readonly visitor: Visitor;
  readonly name: string;
  readonly email: string;

  constructor(visitor: Visitor, name: string, email: string) {
    this.visitor = visitor;
    this.name = name;
    this.email = email;
  }

  /** A new customer. */
  static async arrive<T extends Customer>(
    this: new (
      visitor: Visitor,
      name: string,
      email: string,
    ) => T,
    env: ShopEnvironment,
    options: VisitorOptions & { name?: string },
  ): Promise<T> {
    const { name = 'Panadería Luna', ...visit } = options;
    return new this(await Visitor.arrive(env, visit), name, `${freeName('cliente')}@example.com`);
  }

  /** The same customer in a new browser session. */
  async comeBack(album: string, options: Omit<VisitorOptions, 'album'> = {}): Promise<this> {
    const Kind = this.constructor as new (visitor: Visitor, name: string, email: string) => this;
    const visitor = await Visitor.arrive(this.visitor.env, { album, ...options });
    return new Kind(visitor, this.name, this.email);
  }

  get page() {
    return this.visitor.page;
  }

  /** Gets an account and an address from the office, like a customer who has bought before, and logs in. */
  async logInAsKnown(): Promise<void> {
    const { env, language } = this.visitor;
    await env.office.account(this.name, this.email, PASSWORD, language);
    await this.logIn();
  }

  async signUp(): Promise<void> {
    const { page, visitor } = this;
    await visitor.go('/web/login');
    await visitor.press(visitor.words.noAccount);
    await page.locator('#name').fill(this.name);
    await page.locator('#login').fill(this.email);
    await page.locator('#password').fill(PASSWORD);
    await page.locator('#confirm_password').fill(PASSWORD);
    await visitor.shot('login');
    await visitor.press(visitor.words.signUp);
    await page.waitForURL(/\/my/);
    await visitor.shot('account');
  }

  async logIn(): Promise<void> {
    await this.visitor.go('/web/login');
    await this.fillLogin();
    await this.page.waitForURL(/\/my/);
  }

  /** Fills in the login page that is shown. */
  async fillLogin(): Promise<void> {
    const { page, visitor } = this;
    await page.locator('#login').fill(this.email);
    await page.locator('#password').fill(PASSWORD);
    await visitor.shot('login');
    await page.locator('.oe_login_form button[type=submit]').click();
  }

  /** From the thank-you page to the portal page, and waits there until the instance is ready. @returns its id */
  async waitForInstance(name: string): Promise<number> {
    const { page, visitor } = this;
    await visitor.go('/my/instances');
    await page.getByRole('link', { name, exact: true }).click();
    await page.waitForURL(/\/my\/instances\/\d+/);
    await visitor.shot('being-prepared');
    await page.getByText(visitor.words.ready).waitFor({ timeout: INSTANCE_MS });
    await visitor.shot('ready');
    return Number(page.url().split('/').at(-1));
  }

  /** Pays an invoice in the dialog of its page, with Odoo's demo provider. */
  async payInvoice(): Promise<void> {
    const { page, visitor } = this;
    const dialog = page.locator('#pay_with');
    await dialog.locator('label', { hasText: visitor.words.demo }).click();
    await visitor.shot('pay');
    await dialog.locator('button[name=o_payment_submit_button]').click();
    await dialog.waitFor({ state: 'hidden' });
    await page.waitForURL(/\/my\/invoices\/\d+/);
    await visitor.shot('paid');
  }

  /** Opens their Odoo's own address until it shows its login page. */
  async findsOdooAt(url: string): Promise<void> {
    const { page, visitor } = this;
    await eventually(async () => {
      await visitor.go(`${url}/web/login`);
      expect(await page.locator('input[name=login]').count(), url).to.equal(1);
    }, 60);
    await visitor.shot('own-odoo');
  }

  /** Presses *Open* and waits until they are in their Odoo in the new tab, logged in as themselves. */
  async openInstance(): Promise<void> {
    const { page, visitor } = this;
    const opening = page.waitForEvent('popup');
    await visitor.press(visitor.words.open);
    const instance = await opening;
    await instance.locator('.o_main_navbar').waitFor();
    expect(new URL(instance.url()).host).to.not.equal(new URL(page.url()).host);
    await visitor.shotOf(instance, 'own-odoo');
    await instance.close();
  }
}

/** A free name that begins with a word. */
export function freeName(word: string): string {
  count += 1;
  return `${word}-${run}-${count}`;
}
