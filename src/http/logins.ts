import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../log.ts';
import { OneTimeLinks } from './one-time-links.ts';
import { sendPage } from './send-page.ts';
import { LOGIN_OVER } from './state-page.ts';

/** Where people are logged in to their own Odoo, on every name that the door serves. */
export const LOGIN_PATH = '/.well-known/microsaas-login';

/** How long a link waits to be used, in milliseconds: a browser is led to it at once. */
const LINK_MS = 60_000;

/** Whom a link logs in, and where. */
export interface Login {
  readonly instance: number;
  /** Of a user in that instance's Odoo. */
  readonly login: string;
  /** When the session ends at the latest, in seconds since the epoch; null: as any other does. */
  readonly endsAt: number | null;
}

/** What the door says of a browser: what its Odoo writes down of who logs in. */
export type BrowserHeaders = Readonly<Record<string, string>>;

/** Which headers of a request these are. Clients cannot set those of the door. */
const BROWSER_HEADERS = [
  'user-agent',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
] as const;

export interface LoginsOptions {
  /** Opens a session. @returns null where the instance's Odoo lets this user in by their own means only */
  readonly logIn: (
    login: Login,
    browser: BrowserHeaders,
  ) => Promise<{ readonly sid: string; readonly isSecure: boolean } | null>;
  readonly log: Logger;
  readonly now?: () => number;
}

/** One-time links with which people are logged in to their own Odoo (ADR 21). */
export class Logins {
  readonly #options: LoginsOptions;
  readonly #links: OneTimeLinks<Login>;

  constructor(options: LoginsOptions) {
    this.#options = options;
    this.#links = new OneTimeLinks({ ...options, path: LOGIN_PATH, validMs: LINK_MS });
  }

  /** Makes a link. @returns its path and query */
  offer(login: Login): string {
    return this.#links.make(login);
  }

  /**
   * Answers a request of LOGIN_PATH. Only a GET at the instance's own address uses its link up. Where that instance cannot be reached, the
   * link leads to its login page all the same: there the door wakes it, and waits for it.
   * @param instance the one that has the address to which the request came; null for none
   */
  async serve(req: IncomingMessage, res: ServerResponse, instance: number | null): Promise<void> {
    const { log, logIn } = this.#options;
    if (req.method !== 'GET') return void res.writeHead(405, { Allow: 'GET' }).end();
    const login = this.#links.find(req.url);
    if (login === null || login.instance !== instance) return sendPage(LOGIN_OVER, 'GET', res);
    this.#links.useUp(req.url);
    const session = await logIn(login, browserHeaders(req)).catch((err) => {
      log.warn({ instance, err }, 'nobody was logged in by a link');
      return null;
    });
    log.info({ instance, isLoggedIn: session !== null }, 'a link to log in was used');
    res
      .writeHead(303, {
        // Odoo's own login page, where the link is not enough.
        Location: session ? '/odoo' : '/web/login',
        ...(session && { 'Set-Cookie': cookie(session) }),
        'Cache-Control': 'no-store',
        'Referrer-Policy': 'no-referrer',
        // The page of the manager that has opened this is out of reach of the tenant's.
        'Cross-Origin-Opener-Policy': 'same-origin',
      })
      .end();
  }
}

/** As Odoo sets it. */
function cookie({ sid, isSecure }: { readonly sid: string; readonly isSecure: boolean }): string {
  return `session_id=${sid}; HttpOnly; Path=/${isSecure ? '; Secure' : ''}`;
}

function browserHeaders({ headers }: IncomingMessage): BrowserHeaders {
  const given = BROWSER_HEADERS.map((name) => [name, headers[name]] as const);
  return Object.fromEntries(
    given.filter((one): one is [never, string] => typeof one[1] === 'string'),
  );
}
