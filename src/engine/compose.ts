import { setTimeout as sleep } from 'node:timers/promises';
import {
  compileCheckout,
  composeUp,
  containerLogs,
  containersRemove,
  LABELS,
} from '../docker/commands.ts';
import type { Container, DockerApi } from '../docker/docker-api.ts';
import type { DockerCli } from '../docker/docker-cli.ts';
import { removeStaleHelpers } from '../docker/helpers.ts';
import type { Images } from '../docker/images.ts';
import { Networks } from '../docker/networks.ts';
import { odooOnce } from '../docker/odoo-once.ts';
import { removeAll, stopAll } from '../docker/stopping.ts';
import { CommandError, PortTakenError, RetryableError } from '../errors.ts';
import type { DirectoryMarks } from '../files/directory-mark.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import { digestOf, type RenderInput, renderInstance, type Template } from '../files/render.ts';
import type { Templates } from '../files/templates.ts';
import { isFree } from '../host/tcp-ports.ts';
import { instanceUrl } from '../instance/instance-url.ts';
import { databaseName, networkOf, projectName } from '../instance/name.ts';
import type {
  DesiredInstance,
  EffectiveState,
  FetchedCommit,
  MarkedInstance,
  ObservedInstance,
  PortPair,
  Repository,
} from '../instance/types.ts';
import type { Engine, Health, Listed } from '../interfaces.ts';
import { printable } from '../log.ts';
import { mountsOf } from '../repositories/checkout-layout.ts';
import { missingPackages } from '../repositories/python-packages.ts';
import type { Repositories } from '../repositories/repositories.ts';
import { containersOwner, containersState } from './observe.ts';
import { isHealthy, isServing, showsLogin } from './readiness-probe.ts';

/** An instance that starts is asked this often, in milliseconds; one that takes long, less often. */
const POLL_INTERVAL = 25;
const PATIENT_AFTER = 10_000;
const PATIENT_INTERVAL = 1_000;

/** So often in a row the daemon has restarted a container that ends again and again, and will not stay up. */
const CRASHES = 3;

/** How much of a container's log is kept, in characters. */
const LOG_TAIL_LENGTH = 2_000;

/** While it starts, the container itself is looked at this often: a crash should not wait for the deadline. */
const CONTAINER_CHECK_INTERVAL = 1_000;

/** States of a container that may still answer. */
const ALIVE = new Set(['running', 'restarting']);

/** States of a container that has no process. */
const DOWN = new Set(['created', 'exited', 'dead', 'removing']);

/** Odoo's own port for HTTP, in its container. */
const HTTP_PORT = 8069;
/** How long renewing the list of Apps may take, in milliseconds: it waits for locks that a customer may hold. */
const APPS_LIST_TIMEOUT = 60_000;

/** What *Update Apps List* does; run apart from the customer's Odoo, which has its memory for itself. */
const UPDATE_APPS_LIST = `
env['ir.module.module'].update_list()
env.cr.commit()
`;

const RECONNECT_DELAY = 1_000;
const COMPOSE_TIMEOUT = 120_000;

const ADDRESS_IN_USE = /address already in use|port is already allocated|ports are not available/i;

/** A container keeps the id of its network, also when another of the same name takes its place. */
const NETWORK_GONE = /network \S+ not found/i;

export interface ComposeEngineOptions {
  readonly install: string;
  readonly api: DockerApi;
  readonly docker: DockerCli;
  readonly images: Images;
  readonly templates: Templates;
  readonly dirs: InstanceDirs;
  readonly marks: DirectoryMarks;
  readonly repositories: Repositories;
  readonly sharedSocketDirectory: string;
  readonly publishAddress: string;
  /** See instanceUrl(). */
  readonly urlPattern: string;
  readonly answerTimeoutMs: number;
  /** Hears of an instance that stays with its image though the template's tag is another one by now. */
  readonly onKeptImage?: (instance: number, kept: string, current: string) => void;
}

/** Instances as Docker Compose projects, one each, on this host's Docker Engine. */
export class ComposeEngine implements Engine {
  readonly #options: ComposeEngineOptions;
  readonly #networks: Networks;

  constructor(options: ComposeEngineOptions) {
    this.#options = options;
    this.#networks = new Networks(options.install, options.api, options.docker);
  }

  async adopt(desired: DesiredInstance): Promise<void> {
    await this.#options.marks.adopt(desired);
  }

  async numbers(): Promise<number[]> {
    const [containers, directories] = await Promise.all([
      this.list(),
      this.#options.marks.numbers(),
    ]);
    return [...new Set([...containers.keys(), ...directories])];
  }

  async marked(id: number): Promise<MarkedInstance | null> {
    return this.#options.marks.read(id);
  }

  async observe(
    desired: DesiredInstance,
    effective: EffectiveState,
  ): Promise<Omit<ObservedInstance, 'database' | 'hung'>> {
    const { dirs, marks, repositories } = this.#options;
    const containers = await this.#containersOf(desired);
    const owners = {
      directory: await marks.ownerOf(desired),
      containerOwner: containersOwner(containers, desired.identity),
    };
    const data = await this.#dataState(desired);
    // Stopping and removing must work whatever has become of the template.
    if (effective !== 'running')
      return {
        ...owners,
        checkouts: 'current',
        files: effective === 'purged' && !(await dirs.exists(desired.id)) ? 'absent' : 'current',
        data,
        containers: containersState(containers, 1, ''),
        answering: false,
        appsList: 'current',
      };
    const fetched = await Promise.all(desired.repositories.map((repo) => repositories.has(repo)));
    const isRenderable = desired.ports !== null && fetched.every(Boolean);
    const digest = isRenderable ? digestOf(await this.#inputOf(desired)) : '';
    const state = containersState(containers, this.#servicesOf(desired), digest);
    const isUp = state !== 'none' && state !== 'stopped';
    return {
      ...owners,
      checkouts: fetched.every(Boolean) ? 'current' : 'missing',
      files: digest === '' ? 'absent' : await dirs.filesState(desired.id, digest, isUp),
      data,
      containers: state,
      answering: state === 'running' && (await showsLogin(this.#originOf(desired))),
      appsList: (await dirs.appsList(desired.id)) === commitsOf(desired) ? 'current' : 'stale',
    };
  }

  async occupiedPorts(ports: PortPair): Promise<number[]> {
    const { publishAddress } = this.#options;
    const bound: number[] = [];
    for (const port of [ports.http, ports.longpolling])
      if (!(await isFree(port, publishAddress))) bound.push(port);
    return bound;
  }

  async fetchRepositories(
    desired: Pick<DesiredInstance, 'templateCode' | 'repositories'>,
    signal: AbortSignal,
  ) {
    const { docker, images, install, repositories, templates } = this.#options;
    const { image } = templates.get(desired.templateCode);
    const compile = async (tree: string) => {
      await images.id(image);
      // A file that is no Python fails the command, not the checkout: Odoo itself may never load it.
      await docker(compileCheckout(install, image, tree), { signal }).catch(ignoreFailure);
      signal.throwIfAborted();
    };
    const commits: FetchedCommit[] = [];
    const remarks: string[] = [];
    for (const repository of desired.repositories) {
      const fetched = await repositories.fetch(repository, signal, compile);
      commits.push({ id: repository.id, commit: fetched.commit });
      remarks.push(...fetched.remarks);
      if (fetched.commit === repository.commit) continue;
      const missing = await missingPackages(
        docker,
        install,
        image,
        repositories.path(fetched.commit),
        signal,
      );
      if (missing.length > 0) remarks.push(withoutPackages(repository, missing));
    }
    return { commits, remarks };
  }

  async render(desired: DesiredInstance): Promise<void> {
    const { dirs, images, marks, templates } = this.#options;
    const template = templates.get(desired.templateCode);
    await marks.claim(desired);
    await marks.renew(desired);
    const image = await this.#imageOf(desired, template);
    const odoo = await images.user(image);
    const { dbPassword, masterPasswordHash } = desired.wasReady
      ? await dirs.secrets(desired.id)
      : await dirs.makeSecrets(desired.id);
    const rendered = renderInstance({ ...template, image }, await this.#inputOf(desired), {
      dbPassword,
      masterPasswordHash,
    });
    const isNew = !desired.wasReady;
    await dirs.prepare(desired.id, { odoo, postgres: template.postgresUser, isNew });
    // The template database of a new instance lists what the plan brings.
    if (isNew)
      await dirs.writeAppsList(
        desired.id,
        commitsOf({ repositories: desired.repositories.filter(({ isOfPlan }) => isOfPlan) }),
      );
    await dirs.write(desired.id, rendered, odoo);
  }

  async updateAppsList(desired: DesiredInstance, signal: AbortSignal): Promise<string> {
    const { dirs, docker, images, install, repositories, templates } = this.#options;
    const template = templates.get(desired.templateCode);
    const image = await this.#imageOf(desired, template);
    const paths = dirs.paths(desired.id);
    const container = `${projectName(install, desired.id)}-apps`;
    const command = odooOnce(
      {
        ...{ install, kind: 'apps-list', container, image, conf: paths.conf },
        owner: await images.user(image),
        socketDir: template.database === 'own' ? paths.socket : this.#options.sharedSocketDirectory,
        filestoreDir: '',
        database: databaseName(install, desired.id),
        addons: mountsOf(
          await Promise.all(desired.repositories.map((it) => repositories.checkout(it))),
        ),
      },
      ['shell'],
      [],
    );
    // Left behind by a sidecar that was killed, it would have the name.
    await docker(containersRemove([container])).catch(ignoreFailure);
    const failed = await docker(command, {
      ...{ timeoutMs: APPS_LIST_TIMEOUT, signal, input: UPDATE_APPS_LIST },
    }).then(
      () => false,
      (error) => {
        ignoreFailure(error);
        signal.throwIfAborted();
        return true;
      },
    );
    // Whatever in the customer's database has prevented it would prevent it again.
    await dirs.writeAppsList(desired.id, commitsOf(desired));
    return failed
      ? 'The list of Apps could not be renewed: press Update Apps List in the customer’s Odoo.'
      : '';
  }

  async startDatabase(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#up(desired, ['db'], signal);
  }

  async start(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#up(desired, [], signal);
  }

  awaitListening(desired: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    return this.#await(isServing, desired, signal);
  }

  awaitLogin(desired: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    return this.#await(showsLogin, desired, signal);
  }

  async #await(
    answers: (origin: string) => Promise<boolean>,
    desired: DesiredInstance,
    signal: AbortSignal,
  ): Promise<boolean> {
    const began = Date.now();
    const deadline = began + this.#options.answerTimeoutMs;
    let nextCheck = began + CONTAINER_CHECK_INTERVAL;
    const origin = this.#originOf(desired);
    while (!(await answers(origin))) {
      signal.throwIfAborted();
      if (Date.now() > deadline)
        throw new RetryableError('NotAnswering', 'The instance was started but does not answer.', {
          cause: new Error(await this.#logTail(desired)),
        });
      if (Date.now() > nextCheck) {
        const containers = await this.#containersOf(desired);
        await this.#refuseCrashLoop(desired, containers);
        if (containers.length === 0 || containers.some(({ state }) => !ALIVE.has(state))) {
          // One that ran before was stopped or removed by somebody: the next look starts it again.
          if (desired.wasReady) return false;
          throw new RetryableError('StartFailed', 'The instance ended while it was starting.', {
            cause: new Error(await this.#logTail(desired)),
          });
        }
        nextCheck = Date.now() + CONTAINER_CHECK_INTERVAL;
      }
      await sleep(Date.now() - began > PATIENT_AFTER ? PATIENT_INTERVAL : POLL_INTERVAL);
    }
    return true;
  }

  async stop(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await stopAll(this.#options.api, await this.#containersOf(desired), signal);
  }

  async restart(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.stop(desired, signal);
    await this.#up(desired, [], signal);
  }

  async removeContainers(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await removeAll(this.#options.api, await this.#containersOf(desired), signal);
  }

  async purge(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const { dirs, install } = this.#options;
    await this.removeContainers(desired, signal);
    await dirs.remove(desired.id);
    const network = networkOf(install, desired.id);
    const isWanted = async () =>
      [...(await this.list()).keys()].some((id) => networkOf(install, id) === network);
    await this.#networks.removeUnless(network, isWanted);
  }

  url(instance: Pick<DesiredInstance, 'id' | 'ports'>): string {
    return instanceUrl(this.#options.urlPattern, instance);
  }

  async list(): Promise<Map<number, Listed>> {
    const containers = await this.#options.api.containers([
      `${LABELS.install}=${this.#options.install}`,
      LABELS.instance,
    ]);
    const found = new Map<number, Listed>();
    for (const { labels, published, state } of containers) {
      const id = Number(labels[LABELS.instance]);
      const others = found.get(id);
      found.set(id, {
        running: state === 'running' && (others?.running ?? true),
        up: !DOWN.has(state) || (others?.up ?? false),
        httpPort: published.get(HTTP_PORT) || (others?.httpPort ?? 0),
        hasOwnDatabase: others !== undefined,
      });
    }
    return found;
  }

  /** See Probe. */
  async probe(id: number, { hasOwnDatabase, httpPort }: Listed): Promise<Health> {
    const { dirs, install } = this.#options;
    const database = databaseName(install, id);
    // What keeps the disk from being read is no proof that the files are gone.
    const data = await dirs.dataState(id, database, hasOwnDatabase).catch(() => 'whole');
    if (data !== 'whole') return 'emptied';
    return (await isHealthy(this.#originAt(httpPort))) ? 'well' : 'silent';
  }

  async removeStaleHelpers(): Promise<string[]> {
    return removeStaleHelpers(this.#options.api, this.#options.install, new Date());
  }

  async watch(changed: (id: number | null) => void, signal: AbortSignal): Promise<void> {
    const label = `microsaas.install=${this.#options.install}`;
    const happened = (labels: Readonly<Record<string, string>>) => {
      const id = Number(labels['microsaas.instance']);
      if (id > 0) changed(id); // not one of ours that builds a template or is the manager's own
    };
    while (!signal.aborted) {
      await this.#options.api.events(label, () => changed(null), happened, signal).catch(() => {}); // Docker is away: what is missed is found by the sweep after reconnecting
      await sleep(RECONNECT_DELAY, undefined, { signal }).catch(() => {});
    }
  }

  /**
   * The id of the image that an instance runs: the one that its files name since its database was made. A tag that was pulled
   * meanwhile may be another Odoo, and an old database is upgraded by nobody's accident.
   */
  async #imageOf({ id, wasReady }: DesiredInstance, { image }: Template): Promise<string> {
    const { api, dirs, images, onKeptImage } = this.#options;
    const kept = wasReady ? await dirs.imageId(id) : null;
    if (kept === null || (await api.imageId(kept)) === null) return images.id(image);
    const current = await api.imageId(image);
    if (current !== null && current !== kept) onKeptImage?.(id, kept, current);
    return kept;
  }

  /** Everything but secrets that an instance's files depend on. */
  async #inputOf(desired: DesiredInstance): Promise<RenderInput> {
    const { dirs, install, publishAddress, repositories, sharedSocketDirectory } = this.#options;
    if (desired.ports === null) throw new TypeError('an instance without ports cannot be rendered');
    return {
      install,
      instance: desired.id,
      identity: desired.identity,
      templateCode: desired.templateCode,
      directory: dirs.paths(desired.id).directory,
      sharedSocketDirectory,
      checkouts: await Promise.all(desired.repositories.map((repo) => repositories.checkout(repo))),
      network: networkOf(install, desired.id),
      publishAddress,
      ports: desired.ports,
      workers: 0,
      memoryMb: desired.memoryMb,
      cpus: desired.cpus,
      restartCount: desired.restartCount,
    };
  }

  /** @throws PortTakenError, or RetryableError('StartFailed') for whatever else Docker says */
  async #up(
    desired: DesiredInstance,
    services: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const { api, dirs, docker, install } = this.#options;
    await this.#networks.ensure(networkOf(install, desired.id));
    // Docker neither starts a paused container nor lets it go on when it is asked to start it.
    for (const { id, state } of await this.#containersOf(desired))
      if (state === 'paused') await api.unpause(id);
    const project = projectName(install, desired.id);
    const command = composeUp(project, dirs.paths(desired.id).compose, services);
    const up = () => docker(command, { timeoutMs: COMPOSE_TIMEOUT, signal });
    try {
      await up().catch(async (cause) => {
        if (!(cause instanceof CommandError) || !NETWORK_GONE.test(cause.stderr)) throw cause;
        // Compose starts the containers that it finds. New ones get the network of today; the data lie outside them.
        await this.removeContainers(desired, signal);
        await up();
      });
    } catch (cause) {
      if (!(cause instanceof CommandError)) throw cause;
      if (ADDRESS_IN_USE.test(cause.stderr))
        throw new PortTakenError('NoFreePorts', 'Another program has taken the port.', { cause });
      throw new RetryableError('StartFailed', 'Docker could not start the instance.', { cause });
    }
  }

  /** How many containers an instance has. */
  #servicesOf({ templateCode }: DesiredInstance): number {
    return this.#options.templates.get(templateCode).database === 'own' ? 2 : 1;
  }

  /** Where this host reaches an instance, whatever its customers call it. */
  #originOf({ ports }: DesiredInstance): string {
    return this.#originAt(ports?.http ?? 0);
  }

  #originAt(httpPort: number): string {
    const { publishAddress } = this.#options;
    const host = publishAddress.includes(':') ? `[${publishAddress}]` : publishAddress;
    return `http://${host}:${httpPort}`;
  }

  /** A look at the disk alone: whether what exists only once is there. */
  async #dataState({ id, templateCode }: DesiredInstance): Promise<ObservedInstance['data']> {
    const { dirs, install, templates } = this.#options;
    // Stopping and removing must work whatever has become of the template.
    const hasOwnPostgres = templates.has(templateCode)
      ? templates.get(templateCode).database === 'own'
      : false;
    return dirs.dataState(id, databaseName(install, id), hasOwnPostgres);
  }

  /** @throws RetryableError('CrashLoop') */
  async #refuseCrashLoop(
    desired: DesiredInstance,
    containers: readonly Container[],
  ): Promise<void> {
    for (const { id, state } of containers) {
      if (state !== 'restarting' || (await this.#options.api.restarts(id)) < CRASHES) continue;
      throw new RetryableError(
        'CrashLoop',
        'The instance ends again and again while it starts. The operator finds its last words in the log.',
        { cause: new Error(await this.#logTail(desired)) },
      );
    }
  }

  #containersOf(desired: DesiredInstance): Promise<Container[]> {
    const { api, install } = this.#options;
    return api.containers([`${LABELS.install}=${install}`, `${LABELS.instance}=${desired.id}`]);
  }

  /** The end of the container's log, for the sidecar's own log alone: it is a tenant's text. */
  async #logTail(desired: DesiredInstance): Promise<string> {
    const container = `${projectName(this.#options.install, desired.id)}-odoo`;
    const text = await this.#options
      .docker(containerLogs(container, { tail: 20, follow: false }), { mixed: true })
      .catch(String);
    return printable(text).slice(-LOG_TAIL_LENGTH);
  }
}

/** All commits in use, in their order. */
function commitsOf({ repositories }: Pick<DesiredInstance, 'repositories'>): string {
  return repositories.map(({ commit }) => commit).join('\n');
}

function withoutPackages({ url }: Repository, packages: readonly string[]): string {
  return `Modules of ${url} need Python packages that the image does not have: ${packages.join(', ')}. They cannot be installed.`;
}

function ignoreFailure(error: unknown): void {
  if (!(error instanceof CommandError)) throw error;
}
