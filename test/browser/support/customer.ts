import { expect } from 'chai';
import type { ShopEnvironment } from './shop-environment.ts';
import { Visitor, type VisitorOptions } from './visitor.ts';

const PASSWORD = 'Una-clave-2026';
/** A loaded machine, with the plan's modules prepared: ten times what it usually takes. */
const INSTANCE_MS = 120_000;

/** Customers of earlier runs are still in the database. */
const run = Date.now().toString(36);
let count = 0;

/** Somebody with an account in the shop, her own page and, sooner or later, her own Odoo. */
export class Customer {
  readonly visitor: Visitor;
  readonly name: string;
  readonly email: string;

  constructor(visitor: Visitor, name: string, email: string) {
    this.visitor = visitor;
    this.name = name;
    this.email = email;
  }

  /** Somebody new. */
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

  /** The same customer on another day: another browser, nothing remembered. */
  async comeBack(album: string): Promise<this> {
    const Kind = this.constructor as new (visitor: Visitor, name: string, email: string) => this;
    return new Kind(await Visitor.arrive(this.visitor.env, { album }), this.name, this.email);
  }

  get page() {
    return this.visitor.page;
  }

  /** Is given an account and an address by the office, as if she had bought before, and logs in. */
  async logInAsKnown(): Promise<void> {
    await this.visitor.env.office.account(this.name, this.email, PASSWORD);
    await this.logIn();
  }

  async signUp(): Promise<void> {
    const { page, visitor } = this;
    await visitor.go('/web/login');
    await visitor.press('¿No tiene una cuenta?');
    await page.locator('#name').fill(this.name);
    await page.locator('#login').fill(this.email);
    await page.locator('#password').fill(PASSWORD);
    await page.locator('#confirm_password').fill(PASSWORD);
    await visitor.shot('login');
    await visitor.press('Registrarse');
    await page.waitForURL(/\/my/);
    await visitor.shot('account');
  }

  async logIn(): Promise<void> {
    const { page, visitor } = this;
    await visitor.go('/web/login');
    await page.locator('#login').fill(this.email);
    await page.locator('#password').fill(PASSWORD);
    await visitor.shot('login');
    await page.locator('.oe_login_form button[type=submit]').click();
    await page.waitForURL(/\/my/);
  }

  /** From the thank-you page to her own page, and there until the instance is ready. @returns its number */
  async waitForInstance(name: string): Promise<number> {
    const { page, visitor } = this;
    await visitor.go('/my/instances');
    await page.getByRole('link', { name, exact: true }).click();
    await page.waitForURL(/\/my\/instances\/\d+/);
    await visitor.shot('being-prepared');
    await page.getByText('Su Odoo está listo').waitFor({ timeout: INSTANCE_MS });
    await visitor.shot('ready');
    return Number(page.url().split('/').at(-1));
  }

  /** Presses *Open* and looks at her own Odoo's login page in the new tab. */
  async openInstance(): Promise<void> {
    const { page, visitor } = this;
    const opening = page.waitForEvent('popup');
    await visitor.press('Abrir');
    const instance = await opening;
    await instance.locator('input[name=login]').waitFor();
    expect(new URL(instance.url()).host).to.not.equal(new URL(page.url()).host);
    await visitor.shotOf(instance, 'her-own-odoo');
    await instance.close();
  }
}

/** A name that nobody has yet, beginning with a word. */
export function freeName(word: string): string {
  count += 1;
  return `${word}-${run}-${count}`;
}
