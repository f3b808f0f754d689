import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { normalizedHost } from '../instance/host-name.ts';
import type { StatePage } from '../interfaces.ts';
import type { Logger } from '../log.ts';
import { preferredLanguage } from './accept-language.ts';
import { DOWNLOAD_PATH } from './downloads.ts';
import { RateLimit } from './limits.ts';
import { LOGIN_PATH } from './logins.ts';
import { sendPage } from './send-page.ts';
import { UNAVAILABLE } from './state-page.ts';
import { withinTime } from './within-time.ts';

/** The path of what the door asks for every request that no instance has answered. */
const PAGE_PATH = '/page';

/** Where the sidecar proves that a domain leads to this host. */
const TOKEN_PATH = '/.well-known/microsaas-domain';

/** How long a page may be shown again without asking the manager, in milliseconds: visitors reload, and floods repeat. */
const PAGE_TTL_MS = 1_000;

/** The same for names that belong to nobody now, and how many of those the manager is asked about. */
const UNKNOWN_TTL_MS = 60_000;
const STRANGERS = { most: 30, withinMs: 10_000 };

/** How long the manager may take to say what a page shows, in milliseconds. */
const MANAGER_MS = 5_000;

/** Requests at once; the door answers what comes beyond with its own page. */
const MAX_CONNECTIONS = 2_000;

/** How many of them may wait for one instance, and for all together; who comes beyond gets the page at once. */
const MAX_HELD = { perInstance: 100, ofAll: 1_000 };

export interface PagesServer {
  /** Takes no more requests, and cuts those under way: the door has a page of its own for them. */
  close(): Promise<void>;
}

/** What the door sends on of a request: its own limit of headers, and the address once more. */
const MAX_HEADER_BYTES = 128 * 1024;

/** A request that no instance has answered. */
export interface Visit {
  /** The instance at that address. */
  readonly id: number;
  readonly method: string;
  /** Path and query. */
  readonly uri: string;
}

export interface PagesOptions {
  /** The instance that has this host name; null: nobody's; undefined: the names are not known yet. */
  readonly instanceAt: (host: string) => number | null | undefined;
  /** What proves that this customer's domain leads to this host; null: there is none of that name and number. */
  readonly domainToken: (host: string, id: number) => string | null;
  /** Whether the instance takes the request now, or within the moment that this waits for it. */
  readonly takes: (visit: Visit) => Promise<boolean>;
  /** What the visitor reads. @param id 0 for a host that is nobody's @param language of what is about nobody; '' for any */
  readonly page: (host: string, id: number, language: string) => Promise<StatePage>;
  /** Answers a request of DOWNLOAD_PATH. */
  readonly download: (req: IncomingMessage, res: ServerResponse) => Promise<void>;
  /** Answers a request of LOGIN_PATH. @param instance the one at that address; null: nobody's, or the names are not known yet */
  readonly logIn: (
    req: IncomingMessage,
    res: ServerResponse,
    instance: number | null,
  ) => Promise<void>;
  readonly log: Logger;
}

/**
 * The pages in place of an instance that does not answer. Only the door reaches them, over a unix socket: it sends a GET of `/page`
 * for a request without its body. Where the instance has ports and refused the connection (`X-Door-Refused`), the answer 204 means that
 * it takes the request now; everything else is for the visitor.
 */
export async function servePages(socketPath: string, options: PagesOptions): Promise<PagesServer> {
  const pages = new PageCache(options.page);
  const held = new HeldVisits();
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    const [path, query] = (req.url ?? '').split('?');
    if (path === TOKEN_PATH) {
      const id = Number(new URLSearchParams(query).get('id'));
      return sendToken(options.domainToken(normalizedHost(header(req, 'host')), id), res);
    }
    if (path === DOWNLOAD_PATH) return options.download(req, res);
    if (path === LOGIN_PATH) {
      const instance = options.instanceAt(normalizedHost(header(req, 'host')));
      return options.logIn(req, res, instance ?? null);
    }
    if (path !== PAGE_PATH) return void res.writeHead(404).end();
    const host = normalizedHost(header(req, 'x-door-host'));
    const id = options.instanceAt(host);
    if (id === undefined) return sendPage(UNAVAILABLE, 'GET', res);
    const method = header(req, 'x-door-method') || 'GET';
    const isRefused = header(req, 'x-door-refused') === 'yes';
    if (
      id !== null &&
      isRefused &&
      (await held.hold(id, () => options.takes({ id, method, uri: header(req, 'x-door-uri') })))
    )
      return void res.writeHead(204).end();
    const language = id === null ? preferredLanguage(header(req, 'accept-language')) : '';
    sendPage(await pages.read(host, id ?? 0, language), method, res);
  };
  const server = createServer(
    { requestTimeout: 60_000, maxHeaderSize: MAX_HEADER_BYTES },
    (req, res) => {
      answer(req, res).catch((err) => {
        options.log.warn({ err }, 'no page for a visitor');
        if (!res.headersSent) sendPage(UNAVAILABLE, 'GET', res);
      });
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function header(req: IncomingMessage, name: string): string {
  const value = req.headers[name];
  return typeof value === 'string' ? value : '';
}

function sendToken(token: string | null, res: ServerResponse): void {
  const headers = { 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' };
  if (token === null) res.writeHead(404, headers).end();
  else res.writeHead(200, headers).end(token);
}

/** The visitors who wait for instances: one's must not crowd out the others'. */
class HeldVisits {
  readonly #byInstance = new Map<number, number>();
  #held = 0;

  /** @returns what `wait` returns; false at once where too many wait already. Who is not held has woken the instance all the same. */
  async hold(id: number, wait: () => Promise<boolean>): Promise<boolean> {
    const before = this.#byInstance.get(id) ?? 0;
    if (before >= MAX_HELD.perInstance) return false;
    this.#byInstance.set(id, before + 1);
    const waiting = wait().finally(() => this.#leave(id));
    if (this.#held >= MAX_HELD.ofAll) {
      waiting.catch(() => {}); // the next visitor learns of it
      return false;
    }
    this.#held += 1;
    return waiting.finally(() => {
      this.#held -= 1;
    });
  }

  #leave(id: number): void {
    const left = (this.#byInstance.get(id) ?? 1) - 1;
    if (left > 0) this.#byInstance.set(id, left);
    else this.#byInstance.delete(id);
  }
}

/** Pages, each kept for a moment; many visitors at once are one question to the manager. */
class PageCache {
  readonly #ask: PagesOptions['page'];
  readonly #strangers = new RateLimit(STRANGERS.most, STRANGERS.withinMs);
  readonly #kept = new Map<string, { readonly until: number; readonly page: Promise<StatePage> }>();
  /** What was said last of a name that is nobody's, by language. */
  readonly #nobodys = new Map<string, StatePage>();

  constructor(ask: PagesOptions['page']) {
    this.#ask = ask;
  }

  async read(host: string, id: number, language: string): Promise<StatePage> {
    const now = Date.now();
    const key = id === 0 ? `${language} ${host}` : String(id);
    const kept = this.#kept.get(key);
    if (kept && now < kept.until) return kept.page;
    for (const [other, { until }] of this.#kept) if (until <= now) this.#kept.delete(other);
    // Invented names must not keep the manager busy.
    if (id === 0 && !this.#strangers.take('all')) return this.#nobodys.get(language) ?? UNAVAILABLE;
    const page = withinTime(this.#ask(host, id, language), MANAGER_MS).catch(() => UNAVAILABLE);
    this.#kept.set(key, { until: now + (id === 0 ? UNKNOWN_TTL_MS : PAGE_TTL_MS), page });
    const answer = await page;
    if (answer.status === 404) this.#nobodys.set(language, answer);
    return answer;
  }
}
