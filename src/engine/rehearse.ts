import { RetryableError } from '../errors.ts';
import type { RehearsedVisit } from '../interfaces.ts';

/** The first page in a language has Odoo compile it, translate it and bundle its styles: seconds on a busy host, in milliseconds. */
const REQUEST_TIMEOUT_MS = 60_000;

/** How many bundles of one page are asked for, and how long a page may be, in characters: a few and some ten thousand is usual. */
const MAX_BUNDLES = 20;
const MAX_PAGE = 2_000_000;

/** Where a page has its scripts and styles. */
const BUNDLE = /(?:src|href)="(\/web\/assets\/[^"]+)"/g;

/** An Odoo of a spare, and who visits it. */
export interface Rehearsal extends RehearsedVisit {
  /** `http://host:port` */
  readonly origin: string;
  readonly database: string;
}

/**
 * Opens the pages that a new customer opens first, in one language, as a browser does: the login page, the link's page on which a password
 * is chosen, the home page, and after the login the web client with its menus, translations and bundles.
 * @throws RetryableError('NotAnswering') where one that everybody needs is not shown
 */
export async function rehearse(
  { database, lang, login: user, origin, password }: Rehearsal,
  signal: AbortSignal,
): Promise<void> {
  const headers: Record<string, string> = { 'accept-language': lang.replace('_', '-') };
  const ask = (path: string, more: RequestInit = {}) =>
    fetch(new URL(path, origin), {
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      headers,
      ...more,
    });
  const open = async (path: string) => {
    const answer = await ask(path);
    const page = (await answer.text()).slice(0, MAX_PAGE);
    const bundles = [...page.matchAll(BUNDLE)].map(([, url = '']) => url);
    for (const url of [...new Set(bundles)].slice(0, MAX_BUNDLES))
      await (await ask(url)).arrayBuffer();
    return answer.status;
  };
  const show = async (path: string) => {
    const status = await open(path);
    if (status !== 200)
      throw new RetryableError('NotAnswering', `The spare answers ${path} with ${status}.`);
  };

  await show('/web/login');
  await open('/web/reset_password');
  await open('/');
  const answer = await ask('/web/session/authenticate', {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ params: { db: database, login: user, password } }),
  });
  await answer.arrayBuffer();
  headers['cookie'] = answer.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';')[0])
    .join('; ');
  // Who was not let in is sent to the login page.
  await show('/odoo');
  await open(`/web/webclient/load_menus?lang=${lang}`);
  await open(`/web/webclient/translations?lang=${lang}`);
}
