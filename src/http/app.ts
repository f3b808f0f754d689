import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type Response,
} from 'express';
import { z } from 'zod';
import type { Key } from '../instance/types.ts';
import type { Logger } from '../log.ts';
import { DOWNLOAD_PATH } from './downloads.ts';
import { RateLimit, RecentlySeen } from './limits.ts';
import type { Login } from './logins.ts';
import type { Verify } from './signature.ts';
import { withinTime } from './within-time.ts';

const MAX_BODY_BYTES = 256 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

/** What the routes need from the rest of the sidecar. */
export interface HttpOptions {
  readonly verify: Verify;
  /** Called with the keys to work on, after the response was sent. Must neither throw nor block. */
  readonly onKeys: (keys: readonly Key[]) => void;
  /** The links with which customers set their password, made when they ask for one. */
  readonly invite: Invite;
  /** The links with which data are downloaded, made when somebody asks for one. */
  readonly offer: Offer;
  /** The links with which people are logged in to their own Odoo, made when they press a button. */
  readonly offerLogin: OfferLogin;
  /** Answers a request of DOWNLOAD_PATH. */
  readonly download: (req: IncomingMessage, res: ServerResponse) => Promise<void>;
  /** True for each part that can be reached, else why not. */
  readonly ready: () => Promise<Readonly<Record<'odoo' | 'docker' | 'postgres', true | string>>>;
  /** How many instances are in which state, for people; null before anybody knows. */
  readonly instances: () => string | null | undefined;
  /** The metrics in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  readonly log: Logger;
}

/**
 * Makes a one-time link to log in to an instance. @param isFirst only while nobody has logged in
 * @returns null when Odoo knows no such running instance, 'used' when `isFirst` and a user has logged in before
 */
export type Invite = (
  instance: number,
  isFirst: boolean,
) => Promise<{ readonly url: string } | 'used' | null>;

/** Makes a one-time link to the export of a backup. @returns null where there is none, or browsers do not reach this host */
export type Offer = (
  instance: number,
  snapshot: string,
) => Promise<{ readonly url: string } | null>;

/**
 * Makes a one-time link that logs a user of an instance in.
 * @returns null where Odoo knows no such running instance with an address of its own, or its Odoo no such user whom a password alone lets in
 */
export type OfferLogin = (login: Login) => Promise<{ readonly url: string } | null>;

/** How many links of a kind one instance may have, and all together, within LINKS_WITHIN_MS. */
const LINKS = { perInstance: 5, ofAll: 200 };
/** The same of links to log in, which people need more often: what a hundred instances may have, so that a few keep nobody from their own. */
const LOGIN_LINKS = { perInstance: 30, ofAll: 3_000 };
const LINKS_WITHIN_MS = 15 * 60_000;
/** How long making a link may take, in milliseconds: the customer waits in the browser, and a tenant can slow their database down. */
const LINK_MS = 10_000;

/** The models that Odoo sends notifications of, and the kind of key each becomes. */
const KINDS = {
  'account.move': 'invoice',
  'odoo.docker.instance': 'instance',
  'product.template': 'plan',
} as const;

/** A webhook only names records to reconcile; nothing else in it is trusted. */
const notification = z.object({
  model: z.enum(Object.keys(KINDS) as [keyof typeof KINDS]),
  ids: z.array(z.int().positive()).max(10_000),
});

/** The instance that a visitor wants to log in to. Odoo is asked about it; nothing else is trusted. */
const invitation = z.object({ instance: z.int().positive(), is_first: z.boolean() });

/** The backup whose export somebody wants to download. */
const download = z.object({
  instance: z.int().positive(),
  snapshot: z.string().regex(/^[0-9a-f]{64}$/),
});

/** Whom somebody wants to be logged in as. */
const loginWanted = z.object({
  instance: z.int().positive(),
  login: z.string().min(1).max(254),
  ends_at: z.int().positive().nullable(),
});

/** Answers with an RFC 9457 problem. */
function problem(res: Response, status: number, detail?: string): void {
  const body = { type: 'about:blank', title: STATUS_CODES[status], status, detail };
  res.status(status).type('application/problem+json').send(JSON.stringify(body));
}

/** The routes that only the manager may use, to be put on every app: one memory of ids, whichever address a message came to. */
export function makeSignedRoutes(options: HttpOptions): (app: Express) => void {
  const seen = new RecentlySeen(10_000, DAY_MS);
  const complaints = new RecentlySeen(1_000, 60_000);
  const complain = (reason: string, source: string | undefined): void => {
    if (!complaints.firstTime(`${reason} ${source}`)) return;
    options.log.warn({ source, reason }, 'webhook refused (said once a minute)');
  };

  /** The id and the value of a genuine message; null after an answer to one that is not. */
  function genuine<T>(req: Request, res: Response, shape: z.ZodType<T>, expected: string) {
    const source = req.socket.remoteAddress;
    const body: Buffer = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
    const id = options.verify(body, req.headers);
    if (id === null) {
      complain('forged or stale', source);
      problem(res, 401, 'The signature is missing, wrong or too old.');
      return null;
    }
    const parsed = shape.safeParse(readJson(body));
    if (!parsed.success) {
      complain('malformed', source);
      problem(res, 400, `Expected ${expected} as JSON.`);
      return null;
    }
    return { id, value: parsed.data };
  }

  const rawBody = express.raw({ type: () => true, limit: MAX_BODY_BYTES, inflate: false });
  const invitations = makeLinks<z.infer<typeof invitation>>(
    ({ instance, is_first: isFirst }) => options.invite(instance, isFirst),
    options.log,
    seen,
  );
  const downloads = makeLinks<z.infer<typeof download>>(
    ({ instance, snapshot }) => options.offer(instance, snapshot),
    options.log,
    seen,
  );
  const logins = makeLinks<z.infer<typeof loginWanted>>(
    ({ instance, login, ends_at: endsAt }) => options.offerLogin({ instance, login, endsAt }),
    options.log,
    seen,
    LOGIN_LINKS,
  );
  return (app) => {
    const webhook = app.route('/webhooks/odoo');
    webhook.post(rawBody, (req, res) => {
      const message = genuine(req, res, notification, '{"model", "ids"}');
      if (message === null) return;
      res.status(202).end();
      const kind = KINDS[message.value.model];
      const keys = message.value.ids.map((id): Key => `${kind}:${id}`);
      if (seen.firstTime(message.id)) options.onKeys(keys);
    });
    const invite = app.route('/invitations');
    invite.post(rawBody, async (req, res) => {
      const message = genuine(req, res, invitation, '{"instance", "is_first"}');
      if (message !== null) await invitations(message, res);
    });
    const offer = app.route('/downloads');
    offer.post(rawBody, async (req, res) => {
      const message = genuine(req, res, download, '{"instance", "snapshot"}');
      if (message !== null) await downloads(message, res);
    });
    const offerLogin = app.route('/logins');
    offerLogin.post(rawBody, async (req, res) => {
      const message = genuine(req, res, loginWanted, '{"instance", "login", "ends_at"}');
      if (message !== null) await logins(message, res);
    });
    for (const route of [webhook, invite, offer, offerLogin])
      route.all((_req, res) => problem(res.set('Allow', 'POST'), 405));
  };
}

/** Answers requests for links to an instance. A link is in the response and nowhere else: not in a log, not in an error. */
function makeLinks<T extends { readonly instance: number }>(
  make: (value: T) => ReturnType<Invite>,
  log: Logger,
  seen: RecentlySeen,
  most: typeof LINKS = LINKS,
) {
  const each = new RateLimit(most.perInstance, LINKS_WITHIN_MS);
  const all = new RateLimit(most.ofAll, LINKS_WITHIN_MS);
  return async (
    { id, value }: { readonly id: string; readonly value: T },
    res: Response,
  ): Promise<void> => {
    const { instance } = value;
    // A replay must not make another link.
    if (!seen.firstTime(id)) return problem(res, 409, 'This message has been answered.');
    if (!(each.take(String(instance)) && all.take('all'))) {
      log.warn({ instance }, 'asked for too many links');
      return problem(res.set('Retry-After', String(LINKS_WITHIN_MS / 1000)), 429);
    }
    try {
      const made = await withinTime(make(value), LINK_MS);
      if (made === null) return problem(res, 404, 'There is nothing that a link could lead to.');
      if (made === 'used') return problem(res, 410, 'Somebody has logged in already.');
      res.set('Cache-Control', 'no-store').json({ url: made.url });
    } catch (err) {
      log.warn({ instance, err }, 'no link could be made');
      problem(res, 503);
    }
  };
}

/** A body's content; undefined when it is no JSON. */
function readJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

/** Health and metrics, and downloads where no door leads to them: not for the manager's network. */
export function addOperatorRoutes(app: Express, options: HttpOptions): void {
  const { download, ready, instances, metrics } = options;
  app.all(DOWNLOAD_PATH, (req, res) => download(req, res));
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
