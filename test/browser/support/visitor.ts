import { mkdirSync, rmSync } from 'node:fs';
import type { BrowserContext, Locator, Page } from 'playwright-core';
import { varPath } from '../../../stack/paths.ts';
import type { ShopEnvironment } from './shop-environment.ts';
import { type Language, WORDS } from './words.ts';

/** Of the website's paths. */
const PREFIX: Record<Language, string> = { es: '', en: '/en' };

const LOCALE: Record<Language, string> = { es: 'es-ES', en: 'en-US' };

/** A desk's screen and a phone's. */
export const DESK = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** Slow machines build Odoo's asset bundles when a page is first opened. */
const TIMEOUT_MS = 60_000;

export interface VisitorOptions {
  /** Folder of the screenshots below `var/screenshots`. */
  readonly album: string;
  readonly viewport?: { readonly width: number; readonly height: number };
  /** What they read: Spanish unless told otherwise. */
  readonly language?: Language;
  readonly javaScript?: boolean;
  /** Cookies of another browser. */
  readonly state?: Awaited<ReturnType<BrowserContext['storageState']>>;
}

/** All open visitors, so that a failed test leaves their screenshots. */
const present = new Set<Visitor>();

/** One person with their own browser, whose screens are kept as numbered screenshots. */
export class Visitor {
  readonly page: Page;
  readonly env: ShopEnvironment;
  /** Messages of failed scripts on the visited pages. */
  readonly scriptErrors: string[] = [];
  readonly language: Language;
  readonly #context: BrowserContext;
  readonly #folder: string;
  readonly #hasScripts: boolean;
  #shots = 0;

  private constructor(env: ShopEnvironment, page: Page, folder: string, options: VisitorOptions) {
    this.env = env;
    this.page = page;
    this.language = options.language ?? 'es';
    this.#context = page.context();
    this.#folder = folder;
    this.#hasScripts = options.javaScript ?? true;
    page.on('pageerror', (error) => this.scriptErrors.push(error.message));
  }

  static async arrive(env: ShopEnvironment, options: VisitorOptions): Promise<Visitor> {
    const folder = varPath('screenshots', options.album);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const context = await env.browser.newContext({
      baseURL: env.stack.url,
      viewport: options.viewport ?? DESK,
      locale: LOCALE[options.language ?? 'es'],
      javaScriptEnabled: options.javaScript ?? true,
      reducedMotion: 'reduce',
      ...(options.state === undefined ? {} : { storageState: options.state }),
    });
    context.setDefaultTimeout(TIMEOUT_MS);
    // Odoo's stock pages load images and videos from elsewhere; no test depends on another server.
    await context.route(
      ({ hostname }) => hostname !== '127.0.0.1' && !hostname.endsWith('.localhost'),
      async (route) => route.abort(),
    );
    const page = await context.newPage();
    const visitor = new Visitor(env, page, folder, options);
    present.add(visitor);
    return visitor;
  }

  /** What they read on the screen and press. */
  get words() {
    return WORDS[this.language];
  }

  /** Opens a path of the manager, of its website in their language, or any full URL. @returns the HTTP status */
  async go(path: string): Promise<number> {
    const isOfWebsite = path.startsWith('/') && !path.startsWith('/odoo');
    const response = await this.page.goto(isOfWebsite ? `${PREFIX[this.language]}${path}` : path);
    return response?.status() ?? 0;
  }

  /** Opens the website's menu, which a phone shows when asked. */
  async openMenu(): Promise<void> {
    await this.#isAlive();
    const button = this.page.locator('header [data-bs-target="#top_menu_collapse_mobile"]');
    if (await button.isVisible()) await button.click();
  }

  /** Presses the visible button, link or menu with this label. */
  async press(label: string | RegExp): Promise<void> {
    await this.#isAlive();
    await this.labelled(label).click();
  }

  /** Waits until the scripts of a website page are attached: a button pressed earlier does nothing. */
  async #isAlive(): Promise<void> {
    if (!this.#hasScripts) return;
    const site = 'body:has(#wrapwrap):not([is-ready])';
    await this.page.locator(site).waitFor({ state: 'detached' });
  }

  labelled(label: string | RegExp): Locator {
    const [button, ...others] = (['button', 'link', 'menuitem', 'tab'] as const).map((role) =>
      this.page.getByRole(role, { name: label }),
    ) as [Locator, ...Locator[]];
    const any = others.reduce((found, other) => found.or(other), button);
    return any.filter({ visible: true }).first();
  }

  /** Waits until a text can be read on the page. */
  async sees(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor();
  }

  /** Takes a screenshot. @param name is part of the file's name, after its number */
  async shot(name: string): Promise<void> {
    await this.shotOf(this.page, name);
  }

  /** Like shot(), of another tab. */
  async shotOf(page: Page, name: string): Promise<void> {
    this.#shots += 1;
    if (page === this.page) await this.#isAlive();
    const number = String(this.#shots).padStart(2, '0');
    // Images that load late would make the screenshots differ from run to run.
    await page.evaluate('document.fonts.ready.then(() => true)');
    await page.screenshot({
      path: `${this.#folder}/${number}-${name}.png`,
      animations: 'disabled',
    });
  }

  async leave(): Promise<void> {
    present.delete(this);
    await this.#context.close();
  }
}

afterEach(async function () {
  if (this.currentTest?.state !== 'failed') return;
  for (const visitor of present) await visitor.shot('failed').catch(() => undefined);
});
