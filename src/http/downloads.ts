import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Exports } from '../interfaces.ts';
import type { Logger } from '../log.ts';
import { OneTimeLinks } from './one-time-links.ts';
import { sendPage } from './send-page.ts';
import { LINK_OVER, UNAVAILABLE } from './state-page.ts';

/** Where customers' data are fetched from, on every name that the door serves. */
export const DOWNLOAD_PATH = '/.well-known/microsaas-download';

/** How long a link waits to be used, in milliseconds: who asks for one is led to it at once. */
const LINK_MS = 5 * 60_000;

/** Downloads under way at once: a browser that reads slowly must not keep everybody else's from beginning. */
const MAX_DOWNLOADS = { perInstance: 2, ofAll: 20 };

/** How long a browser may read nothing, in milliseconds. */
const STALL_MS = 60_000;

interface Offer {
  readonly instance: number;
  readonly snapshot: string;
}

export interface DownloadsOptions {
  readonly open: Exports['open'];
  readonly log: Logger;
  readonly now?: () => number;
}

/** One-time links to exports. */
export class Downloads {
  readonly #options: DownloadsOptions;
  readonly #links: OneTimeLinks<Offer>;
  /** How many are under way, by instance. */
  readonly #underWay = new Map<number, number>();

  constructor(options: DownloadsOptions) {
    this.#options = options;
    this.#links = new OneTimeLinks({ ...options, path: DOWNLOAD_PATH, validMs: LINK_MS });
  }

  /** Makes a link. @returns its path and query */
  offer(instance: number, snapshot: string): string {
    return this.#links.make({ instance, snapshot });
  }

  /** Answers a request of DOWNLOAD_PATH. Only a GET uses its link up. Never throws. */
  async serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      await this.#serve(req, res);
    } catch (err) {
      this.#options.log.warn({ err }, 'no download for a visitor');
      if (res.headersSent) res.destroy();
      else sendPage(UNAVAILABLE, 'GET', res);
    }
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { log } = this.#options;
    if (req.method !== 'GET') return void res.writeHead(405, { Allow: 'GET' }).end();
    const offer = this.#links.find(req.url);
    if (offer === null) return sendPage(LINK_OVER, 'GET', res);
    const { instance, snapshot } = offer;
    if (!this.#hasRoomFor(instance)) return sendPage(UNAVAILABLE, 'GET', res);
    this.#links.useUp(req.url);
    const ofInstance = this.#underWay.get(instance) ?? 0;
    this.#underWay.set(instance, ofInstance + 1);
    try {
      const file = await this.#options.open(instance, snapshot);
      if (!file) return sendPage(LINK_OVER, 'GET', res);
      res.writeHead(200, {
        'Content-Type': 'application/zip',
        'Content-Length': file.bytes,
        'Content-Disposition': `attachment; filename="odoo-${instance}-${snapshot.slice(0, 8)}.zip"`,
        'Cache-Control': 'no-store',
        'X-Content-Type-Options': 'nosniff',
        'X-Robots-Tag': 'noindex',
        'Referrer-Policy': 'no-referrer',
      });
      res.setTimeout(STALL_MS, () => res.destroy());
      const whole = await pipeline(file.content, res).then(
        () => true,
        () => false, // the browser went away, or was too slow
      );
      log.info({ instance, backup: snapshot, whole }, "an instance's data were downloaded");
    } finally {
      const left = (this.#underWay.get(instance) ?? 1) - 1;
      if (left > 0) this.#underWay.set(instance, left);
      else this.#underWay.delete(instance);
    }
  }

  #hasRoomFor(instance: number): boolean {
    const all = [...this.#underWay.values()].reduce((sum, one) => sum + one, 0);
    const mine = this.#underWay.get(instance) ?? 0;
    return mine < MAX_DOWNLOADS.perInstance && all < MAX_DOWNLOADS.ofAll;
  }
}
