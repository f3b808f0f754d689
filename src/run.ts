import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from './config.ts';
import { isVisit } from './controller/activity.ts';
import type { Controller } from './controller/controller.ts';
import { ManagerCheck } from './controller/manager-check.ts';
import { ConfigError, ManagerError } from './errors.ts';
import { waitForOwnHost } from './host-replaced.ts';
import { Downloads } from './http/downloads.ts';
import { type BrowserHeaders, type Login, Logins } from './http/logins.ts';
import { servePages, type Visit } from './http/pages.ts';
import { type HttpServer, type ListenAddress, listen } from './http/server.ts';
import { makeVerify } from './http/signature.ts';
import { lockInstall } from './install-id.ts';
import { effectiveState } from './instance/decide.ts';
import { DISTRUST_MESSAGES, type Distrust } from './instance/manager-history.ts';
import type { DesiredInstance, EffectiveState } from './instance/types.ts';
import { countedByState } from './instance-table.ts';
import type { Logger } from './log.ts';
import { makeMetrics } from './metrics.ts';
import { assemble, makeController, type Sidecar } from './wiring.ts';

/** How long a manager that is away is left alone between two handshakes, in milliseconds. */
const HANDSHAKE_INTERVAL_MS = 2_000;

/**
 * Starts everything in order, serves until the signal, and stops everything in the opposite order.
 * @param wire makes the adapters; another one only in tests
 */
export async function run(
  config: Config,
  log: Logger,
  asked: AbortSignal,
  wire: typeof assemble = assemble,
): Promise<void> {
  let parts: ReturnType<typeof makeController> | null = null;
  const stolen = new AbortController();
  const stop = AbortSignal.any([asked, stolen.signal]);
  let check: ManagerCheck | null = null;
  const metrics = makeMetrics(
    () => parts?.controller ?? null,
    () => sidecar.disk.free(),
  );
  const sidecar: Sidecar = await wire(config, {
    onRpc: ({ method, outcome, seconds }) => {
      metrics.rpcSeconds.observe({ method, outcome }, seconds);
      if (outcome === 'ok') metrics.odooAnswered();
    },
    onDocker: () => metrics.dockerCalls.inc(),
    onKeptImage: (instance, kept, current) =>
      log.warn(
        { instance, kept, current },
        "keeps the image its database was made with; the template's tag now names another",
      ),
    onBackgroundError: (err) =>
      log.warn({ err }, 'backups could not be paused for a start, or resumed after it'),
    onReplaced: (error) => stolen.abort(error),
    onBackupsKept: () =>
      log.warn('the server of the backups keeps all of them: run `restic forget` there'),
  });
  const { databases, install, manager } = sidecar;
  const unlock = await lockInstall(install);
  for (const [code, error] of sidecar.templates.broken)
    log.error({ template: code, err: error }, 'template left out');

  const { backups } = sidecar;
  const downloads = new Downloads({
    open: async (id, snapshot) => backups.exports.open(id, snapshot),
    log,
  });
  const logins = new Logins({
    logIn: (login, browser) => logIn(sidecar, login, browser),
    log,
  });
  const server = await listen(await addresses(config, sidecar, log), {
    verify: makeVerify(config.webhookSecret),
    // What comes before there is a controller is found by its first poll.
    onKeys: (keys) => parts?.controller.addNow(keys),
    invite: (id, isFirst) => invite(sidecar, parts?.controller ?? null, id, isFirst),
    offer: (id, snapshot) => offer(sidecar, server.addresses, downloads, id, snapshot),
    offerLogin: (login) => offerLogin(sidecar, parts?.controller ?? null, logins, login),
    download: (req, res) => downloads.serve(req, res),
    ready: () => readiness(sidecar, parts !== null, check?.distrust ?? null),
    instances: () => parts?.controller.states && countedByState(parts.controller.states),
    metrics: metrics.render,
    log,
  });
  // From the first moment on: while nothing is known, visitors of what does not answer read that.
  const pages =
    sidecar.door &&
    (await servePages(await sidecar.door.pagesSocket(), {
      instanceAt: (host) => parts?.routes.instanceAt(host),
      domainToken: (host, id) => parts?.routes.domainToken(host, id) ?? null,
      takes: async (visit) => parts !== null && takes(visit, parts),
      page: (host, id, language) => manager.page(host, id, language),
      download: (req, res) => downloads.serve(req, res),
      logIn: (req, res, instance) => logins.serve(req, res, instance),
      log,
    }));
  log.info({ install, listening: server.addresses }, 'sidecar is up');

  let lock: Awaited<ReturnType<typeof databases.lockInstall>> | null = null;
  try {
    lock = await databases.lockInstall(stop, (error) => stolen.abort(error));
    await sidecar.repositories.sweep();
    // Before the manager answers: its own restore may be among what a killed sidecar has left frozen.
    await sidecar.background.resume();
    // Before the manager answers: what the door served last goes on being served.
    await sidecar.door?.ensureRunning().catch((err) => log.warn({ err }, 'the door does not run'));
    await Promise.all([
      backups.sweep((err) => log.warn({ err }, 'what a killed sidecar has left is not gone')),
      waitForOwnHost(sidecar, log, stop),
      waitForManager(sidecar, log, stop),
    ]);
    check = new ManagerCheck({ ...sidecar, memory: sidecar.managerMemory, log });
    // What is away now is found by the sweeps.
    await check.sweep().catch((err) => log.warn({ err }, 'the host could not be observed yet'));
    const isSynced = await syncTemplates(sidecar);
    watchImages(sidecar, isSynced, log, stop);
    parts = makeController(config, sidecar, check, log, metrics.meter);
    await parts.controller.start();
    await aborted(stop);
    stolen.signal.throwIfAborted();
  } catch (error) {
    if (!asked.aborted) throw error;
  } finally {
    log.info('stopping');
    await server.close();
    await pages?.close();
    await parts?.controller.stop();
    await sidecar.background.resume();
    for (const of of [sidecar.backups.store, sidecar.backups.ofManager])
      await of?.close().catch((err) => log.warn({ err }, 'the proofs’ Postgres is not gone'));
    await lock?.release();
    unlock();
  }
}

/** The webhook on loopback, and on the gateway of the manager's network for the manager's container alone. */
async function addresses(config: Config, { api }: Sidecar, log: Logger): Promise<ListenAddress[]> {
  const { host, port, managerNetwork } = config.http;
  const loopback = { host, port, webhookOnly: false };
  if (!managerNetwork) return [loopback];
  const network = await api.network(managerNetwork);
  if (!network?.gateway)
    throw new ConfigError(
      `http.managerNetwork: expected a Docker network with a gateway, found none named ${managerNetwork}`,
    );
  log.debug({ network }, 'the manager reaches us through its network');
  const gateway = { host: network.gateway, port, webhookOnly: true, allowFrom: network.subnet };
  return [loopback, gateway];
}

/** How often Docker is asked whether a template's tag is another image by now, in milliseconds. */
const IMAGES_INTERVAL_MS = 5 * 60_000;

/**
 * Tells Odoo of the templates and of the images that new instances get now, where something of it is new.
 * @param told what was told last
 * @returns what was told
 */
async function syncTemplates(
  { images, manager, swarm, templates }: Sidecar,
  told = '',
): Promise<string> {
  // What cannot run here is not to be sold.
  const usable = templates.all.filter(({ database }) => !(swarm && database === 'own'));
  const rows = await Promise.all(
    usable.map(async ({ code, image, name, odooVersion }) => {
      // Docker may be away: that is no reason not to begin.
      const imagePins = await images.pinsOf(image).catch(() => []);
      return { code, name, odooVersion, imagePins };
    }),
  );
  const text = JSON.stringify(rows);
  if (text !== told) await manager.syncTemplates(rows);
  return text;
}

/** Goes on telling, until the signal, so that people see that an instance could be updated. */
function watchImages(sidecar: Sidecar, first: string, log: Logger, stop: AbortSignal): void {
  // Aborted before now, it would never say so again.
  if (stop.aborted) return;
  let told = first;
  const look = async () => {
    told = await syncTemplates(sidecar, told);
  };
  const timer = setInterval(
    () => void look().catch((err) => log.warn({ err }, 'images not reported')),
    IMAGES_INTERVAL_MS,
  );
  stop.addEventListener('abort', () => clearInterval(timer), { once: true });
}

/** Waits until the manager answers, saying once that it does not. @throws ConfigError for the manager of another install. */
async function waitForManager(
  { manager, install }: Sidecar,
  log: Logger,
  stop: AbortSignal,
): Promise<void> {
  let said = '';
  for (;;) {
    try {
      const facts = await manager.handshake(install);
      if (facts.installId !== install)
        throw new ConfigError(foreignInstall(facts.installId, install));
      log.info({ addon: facts.addonVersion }, 'the manager answers');
      return;
    } catch (error) {
      if (!(error instanceof ManagerError)) throw error;
      if (said !== error.kind) log.warn({ err: error }, 'the manager is away; trying again');
      said = error.kind;
    }
    await sleep(HANDSHAKE_INTERVAL_MS, undefined, { signal: stop });
  }
}

function foreignInstall(theirs: string, ours: string): string {
  return [
    `install id: expected ${ours} (dataDir/install-id) in Odoo, found ${theirs}.`,
    'Two sidecars must never act for copies of one manager database.',
    'If this is a copy, clear the system parameter microsaas.install_id in it;',
    'if dataDir is new and the containers are to be taken over, write the id from Odoo into dataDir/install-id.',
  ].join(' ');
}

/** How long a visitor is held while an instance wakes, in milliseconds; one who sends something, and would have to send it again, longer. */
const HOLD_MS = 1_000;
const HOLD_SENDER_MS = 30_000;

/** How long a link to log in waits for an instance that is asleep, in milliseconds: the addon waits 15 s for it. */
const HOLD_INVITED_MS = 6_000;

/** Whether an instance that did not answer takes the request now. One that is asleep is woken by it, unless nobody is behind it. */
async function takes(
  { id, method, uri }: Visit,
  { controller, visits }: ReturnType<typeof makeController>,
): Promise<boolean> {
  if (!controller.isAsleep(id)) return visits.takes(id);
  if (!isVisit(uri.split('?')[0] ?? '')) return false;
  const isReading = method === 'GET' || method === 'HEAD';
  return (await controller.wake(id, isReading ? HOLD_MS : HOLD_SENDER_MS)) === 'answers';
}

/** An instance that Odoo says runs; null: it is none. */
async function runningInstance({ manager }: Sidecar, id: number): Promise<DesiredInstance | null> {
  const [desired] = await manager.desired([id]);
  return desired?.wasReady && effectiveState(desired, null) === 'running' ? desired : null;
}

/** A link to log in to an instance that Odoo says runs. @param isFirst only while nobody has logged in */
async function invite(
  sidecar: Sidecar,
  controller: Controller | null,
  id: number,
  isFirst: boolean,
) {
  const desired = await runningInstance(sidecar, id);
  if (!desired) return null;
  // Who asks for the link opens it a moment later; and its own Postgres, where it has one, sleeps too.
  if (desired.isAsleep) await controller?.wake(id, HOLD_INVITED_MS);
  const made = await sidecar.databases.invitation(desired);
  return isFirst && !made.isFirst ? 'used' : { url: made.link };
}

/**
 * A link that logs a user of an instance in, at its own address. Without a door there is none: a cookie knows no ports, so the session would
 * take the place of that of the manager on the same host.
 */
async function offerLogin(
  sidecar: Sidecar,
  controller: Controller | null,
  logins: Logins,
  login: Login,
) {
  const { databases, door, engine } = sidecar;
  const desired = door && (await runningInstance(sidecar, login.instance));
  if (!desired) return null;
  if (desired.isAsleep) await controller?.wake(desired.id, HOLD_INVITED_MS);
  // Who cannot be let in learns of it where they have pressed the button.
  if (!(await databases.odooSession(desired, login))) return null;
  return { url: new URL(logins.offer(login), engine.url(desired)).href };
}

/** Opens the session of a link that was used: until then there is none. Null: that user is let in by their own means only. */
async function logIn(sidecar: Sidecar, login: Login, browser: BrowserHeaders) {
  const { databases, engine } = sidecar;
  const desired = await runningInstance(sidecar, login.instance);
  if (desired && login.endsAt !== null && !letsSupportIn(desired)) return null;
  const session = desired && (await databases.odooSession(desired, login));
  if (!session || !(await engine.admit(desired, session, browser))) return null;
  return { sid: session.sid, isSecure: engine.url(desired).startsWith('https:') };
}

/** Whether its customer has not taken their consent back: the link of support may be a minute old. Both moments are of Odoo's clock. */
function letsSupportIn({ managerTime, supportUntil }: DesiredInstance): boolean {
  return supportUntil * 1000 > managerTime.getTime();
}

/** What is suspended is paid for no more, and its data are its customer's all the same. */
const HAS_ADDRESS: ReadonlySet<EffectiveState> = new Set([
  'running',
  'asleep',
  'stopped',
  'suspended',
]);

/** A link to the export of a backup, below the instance's address. Without a door, the sidecar's own listener serves it. */
async function offer(
  { backups, door, engine, manager }: Sidecar,
  listening: HttpServer['addresses'],
  downloads: Downloads,
  id: number,
  snapshot: string,
) {
  if (!(await backups.exports.has(id, snapshot))) return null;
  const [desired] = await manager.desired([id]);
  if (!desired || !HAS_ADDRESS.has(effectiveState(desired, null))) return null;
  const address = new URL(engine.url(desired));
  if (!door) {
    // An address that browsers elsewhere do not reach is no link.
    const [own] = listening;
    if (!own || (isLoopback(own.address) && !isLoopback(address.hostname))) return null;
    address.protocol = 'http:';
    address.port = String(own.port);
  }
  return { url: new URL(downloads.offer(id, snapshot), address).href };
}

function isLoopback(host: string): boolean {
  return /^(localhost|.*\.localhost|127\..*|\[?::1\]?)$/.test(host);
}

/** @param hasBegun before that, Odoo does not know our templates: a plan could not name one */
async function readiness(
  { manager, api, databases, install }: Sidecar,
  hasBegun: boolean,
  distrust: Distrust | null,
) {
  const check = (probe: Promise<unknown>) =>
    probe.then(
      () => true as const,
      (error: Error) => error.message,
    );
  const [odoo, docker, postgres] = await Promise.all([
    check(manager.handshake(install)),
    check(api.ping()),
    check(databases.ping()),
  ]);
  const starting = 'answers, but the sidecar is still introducing itself';
  const trouble = hasBegun ? distrust && DISTRUST_MESSAGES[distrust] : starting;
  return { odoo: odoo === true && trouble ? trouble : odoo, docker, postgres };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
