import { createHash, randomBytes } from 'node:crypto';

/** How many links may wait; what comes beyond replaces the oldest. */
const MAX_LINKS = 1_000;

export interface OneTimeLinksOptions {
  /** Where the links lead. */
  readonly path: string;
  /** How long one waits to be used, in milliseconds: who asks for one is led to it at once. */
  readonly validMs: number;
  readonly now?: () => number;
}

/**
 * Links that are good for one thing, once. Of a token (256 random bits) only the hash is kept, in memory: after a restart people ask for
 * another. The token is in the query, which no log has.
 */
export class OneTimeLinks<T> {
  readonly #options: OneTimeLinksOptions;
  readonly #now: () => number;
  /** By the hash of its token, oldest first. */
  readonly #links = new Map<string, { readonly leadsTo: T; readonly until: number }>();

  constructor(options: OneTimeLinksOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Makes a link. @returns its path and query */
  make(leadsTo: T): string {
    const { path, validMs } = this.#options;
    const token = randomBytes(32).toString('base64url');
    this.#links.set(hashOf(token), { leadsTo, until: this.#now() + validMs });
    for (const [oldest, { until }] of this.#links)
      if (this.#links.size > MAX_LINKS || until <= this.#now()) this.#links.delete(oldest);
    return `${path}?token=${token}`;
  }

  /**
   * What the link of a request leads to; null where it was used, is too old, or never was.
   * @param url path and query of the request
   */
  find(url = ''): T | null {
    const link = this.#links.get(hashIn(url));
    return link && link.until > this.#now() ? link.leadsTo : null;
  }

  /** Uses the link up: of two requests at once, one has found it. To be called before anything is awaited. */
  useUp(url = ''): void {
    this.#links.delete(hashIn(url));
  }
}

function hashIn(url: string): string {
  return hashOf(new URLSearchParams(url.split('?')[1]).get('token') ?? '');
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
