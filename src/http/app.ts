import { STATUS_CODES } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type Response } from 'express';
import { z } from 'zod';
import type { Key } from '../instance/types.ts';
import type { Logger } from '../log.ts';
import { RecentlySeen } from './recently-seen.ts';
import type { Verify } from './signature.ts';

const LARGEST_BODY = 256 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

/** What the routes need from the rest of the sidecar. */
export interface HttpOptions {
  readonly verify: Verify;
  /** Told which things to look at, after the sender has been answered. Must not throw nor block. */
  readonly onKeys: (keys: readonly Key[]) => void;
  /** True for each part that can be reached, else why not. */
  readonly ready: () => Promise<Readonly<Record<'odoo' | 'docker' | 'postgres', true | string>>>;
  /** How many instances are in which state, for people; null before anybody knows. */
  readonly instances: () => string | null | undefined;
  /** The metrics in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  readonly log: Logger;
}

/** The models that Odoo nudges about, and the kind of key each becomes. */
const KINDS = {
  'account.move': 'invoice',
  'odoo.docker.instance': 'instance',
  'product.template': 'plan',
} as const;

/** A webhook says only which records to look at; nothing else in it is believed. */
const nudge = z.object({
  model: z.enum(Object.keys(KINDS) as [keyof typeof KINDS]),
  ids: z.array(z.int().positive()).max(10_000),
});

/** Answers with an RFC 9457 problem. */
function problem(res: Response, status: number, detail?: string): void {
  const body = { type: 'about:blank', title: STATUS_CODES[status], status, detail };
  res.status(status).type('application/problem+json').send(JSON.stringify(body));
}

/** The webhook's route, to be put on every app: one memory of ids, whichever address a webhook came to. */
export function makeWebhookRoute(options: HttpOptions): (app: Express) => void {
  const seen = new RecentlySeen(10_000, DAY_MS);
  const complaints = new RecentlySeen(1_000, 60_000);
  const complain = (reason: string, source: string | undefined): void => {
    if (!complaints.firstTime(`${reason} ${source}`)) return;
    options.log.warn({ source, reason }, 'webhook refused (said once a minute)');
  };

  return (app) => {
    const route = app.route('/webhooks/odoo');
    const rawBody = express.raw({ type: () => true, limit: LARGEST_BODY, inflate: false });
    route.post(rawBody, (req, res) => {
      const source = req.socket.remoteAddress;
      const body: Buffer = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
      const id = options.verify(body, req.headers);
      if (id === null) {
        complain('forged or stale', source);
        return problem(res, 401, 'The signature is missing, wrong or too old.');
      }
      const keys = readKeys(body);
      if (keys === null) {
        complain('malformed', source);
        return problem(res, 400, 'Expected {"model", "ids"} as JSON.');
      }
      res.status(202).end();
      if (seen.firstTime(id)) options.onKeys(keys);
    });
    route.all((_req, res) => problem(res.set('Allow', 'POST'), 405));
  };
}

/** The keys that a genuine body names; null when it is malformed. */
function readKeys(body: Buffer): Key[] | null {
  let json: unknown;
  try {
    json = JSON.parse(body.toString());
  } catch {
    return null;
  }
  const parsed = nudge.safeParse(json);
  if (!parsed.success) return null;
  const kind = KINDS[parsed.data.model];
  return parsed.data.ids.map((id): Key => `${kind}:${id}`);
}

/** Health and metrics, for the host only. */
export function addOperatorRoutes(app: Express, { ready, instances, metrics }: HttpOptions): void {
  const routes = {
    '/healthz': async (res: Response) => res.json({ status: 'ok' }),
    '/readyz': async (res: Response) => {
      const parts = await ready();
      const isReady = Object.values(parts).every((part) => part === true);
      // One instance in error is no reason to call the sidecar unready.
      res.status(isReady ? 200 : 503).json({ ...parts, instances: instances() ?? undefined });
    },
    '/metrics': async (res: Response) =>
      res.type('text/plain; version=0.0.4; charset=utf-8').send(await metrics()),
  };
  for (const [path, answer] of Object.entries(routes)) {
    app.get(path, async (_req, res) => void (await answer(res)));
    app.all(path, (_req, res) => problem(res.set('Allow', 'GET, HEAD'), 405));
  }
}

/** An app with the given routes, and problems for everything else. */
export function makeApp(log: Logger, ...routes: ReadonlyArray<(app: Express) => void>): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  for (const add of routes) add(app);
  app.use((_req, res) => problem(res, 404));
  const failed: ErrorRequestHandler = (error, _req, res, next) => {
    if (res.headersSent) return next(error);
    const status = Number(error?.status);
    const isSenders = status >= 400 && status < 500;
    if (!isSenders) log.error({ err: error }, 'an HTTP request failed');
    problem(res, isSenders ? status : 500);
  };
  app.use(failed);
  return app;
}
