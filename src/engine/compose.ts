import { homedir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, PortTakenError, RetryableError } from '../errors.ts';
import { standingOf } from '../instance/decide.ts';
import { networkOf, projectName } from '../instance/name.ts';
import type { DesiredInstance, ObservedInstance, PortPair } from '../instance/types.ts';
import type { Engine } from '../interfaces.ts';
import { isServing, showsLogin } from './answer.ts';
import {
  type Command,
  compileCheckout,
  composeDown,
  composeStop,
  composeUp,
  containerLogs,
  containersRemove,
  imagePull,
  imageUser,
  networkCreate,
  networkRemove,
  parseImageUser,
} from './commands.ts';
import type { Container, DockerApi } from './docker-api.ts';
import { type ExecOptions, exec } from './exec.ts';
import type { InstanceDirs } from './instance-dir.ts';
import { containersState } from './observe.ts';
import { digestOf, type ImageUser, type RenderInput, renderInstance } from './render.ts';
import type { Repositories } from './repositories.ts';
import { isFree } from './tcp-ports.ts';
import type { Templates } from './templates.ts';

/** An instance that starts is asked this often, in milliseconds. */
const POLL_INTERVAL = 25;

/** While it starts, the container itself is looked at this often: a crash should not wait for the deadline. */
const CONTAINER_CHECK_INTERVAL = 1_000;

const RECONNECT_DELAY = 1_000;
const COMPOSE_TIMEOUT = 120_000;
const PULL_TIMEOUT = 15 * 60_000;

const ADDRESS_IN_USE = /address already in use|port is already allocated|ports are not available/i;

export interface ComposeEngineOptions {
  readonly install: string;
  readonly api: DockerApi;
  readonly dockerSocket: string;
  readonly templates: Templates;
  readonly dirs: InstanceDirs;
  readonly repositories: Repositories;
  readonly sharedSocketDirectory: string;
  readonly publishAddress: string;
  /** With `{port}` and `{id}` to be filled in. */
  readonly urlPattern: string;
  readonly answerTimeoutMs: number;
}

/** Instances as Docker Compose projects, one each, on this host's Docker Engine. */
export class ComposeEngine implements Engine {
  readonly #options: ComposeEngineOptions;
  readonly #imageUsers = new Map<string, Promise<ImageUser>>();
  readonly #networks = new Map<string, Promise<void>>();

  constructor(options: ComposeEngineOptions) {
    this.#options = options;
  }

  async observe(desired: DesiredInstance): Promise<Omit<ObservedInstance, 'database'>> {
    const { dirs, repositories } = this.#options;
    const containers = await this.#containersOf(desired);
    const standing = standingOf(desired);
    // Stopping and removing must work whatever has become of the template.
    if (standing !== 'running')
      return {
        checkouts: 'current',
        files: standing === 'purged' && !(await dirs.exists(desired.id)) ? 'absent' : 'current',
        containers: containersState(containers, 1, ''),
        answering: false,
      };
    const fetched = await Promise.all(desired.repositories.map((repo) => repositories.has(repo)));
    const isRenderable = desired.ports !== null && fetched.every(Boolean);
    const digest = isRenderable ? digestOf(this.#inputOf(desired)) : '';
    const state = containersState(containers, this.#servicesOf(desired), digest);
    return {
      checkouts: fetched.every(Boolean) ? 'current' : 'missing',
      files: digest === '' ? 'absent' : await dirs.filesState(desired.id, digest),
      containers: state,
      answering: state === 'running' && (await showsLogin(this.#originOf(desired))),
    };
  }

  async boundPorts(ports: PortPair): Promise<number[]> {
    const { publishAddress } = this.#options;
    const bound: number[] = [];
    for (const port of [ports.http, ports.longpolling])
      if (!(await isFree(port, publishAddress))) bound.push(port);
    return bound;
  }

  async fetchRepositories(desired: DesiredInstance, signal: AbortSignal) {
    const { install, repositories, templates } = this.#options;
    const { image } = templates.get(desired.templateCode);
    const compile = async (tree: string) => {
      await this.imageId(image);
      // A file that is no Python fails the command, not the checkout: Odoo itself may never load it.
      await this.#docker(compileCheckout(install, image, tree), { signal }).catch(ignoreFailure);
      signal.throwIfAborted();
    };
    const commits: Array<{ id: number; commit: string }> = [];
    for (const repository of desired.repositories)
      commits.push({
        id: repository.id,
        commit: await repositories.fetch(repository, signal, compile),
      });
    return commits;
  }

  async render(desired: DesiredInstance): Promise<void> {
    const { dirs, templates } = this.#options;
    const template = templates.get(desired.templateCode);
    const odoo = await this.imageUser(template.image);
    const { dbPassword, masterPasswordHash } = await dirs.secrets(desired.id);
    const rendered = renderInstance(template, this.#inputOf(desired), {
      dbPassword,
      masterPasswordHash,
    });
    await dirs.prepare(desired.id, { odoo, postgres: template.postgresUser });
    await dirs.write(desired.id, rendered, odoo);
  }

  async startDatabase(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#ensureNetwork(desired);
    await this.#up(() =>
      this.#compose(desired, (project, file) => composeUp(project, file, ['db']), signal),
    );
  }

  async start(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#ensureNetwork(desired);
    await this.#up(() => this.#compose(desired, composeUp, signal));
  }

  async awaitAnswer(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + this.#options.answerTimeoutMs;
    let nextCheck = Date.now() + CONTAINER_CHECK_INTERVAL;
    const origin = this.#originOf(desired);
    let isUp = false;
    const answers = async () => {
      isUp ||= await isServing(origin);
      return isUp && showsLogin(origin);
    };
    while (!(await answers())) {
      signal.throwIfAborted();
      if (Date.now() > deadline)
        throw new RetryableError('NotAnswering', 'The instance was started but does not answer.', {
          cause: new Error(await this.#lastWords(desired)),
        });
      if (Date.now() > nextCheck) {
        if (!(await this.#isAlive(desired))) {
          // One that ran before was stopped or removed by somebody: the next look starts it again.
          if (desired.wasReady) return;
          throw new RetryableError('StartFailed', 'The instance ended while it was starting.', {
            cause: new Error(await this.#lastWords(desired)),
          });
        }
        nextCheck = Date.now() + CONTAINER_CHECK_INTERVAL;
      }
      await sleep(POLL_INTERVAL);
    }
  }

  async stop(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#compose(desired, composeStop, signal);
  }

  async takeDown(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#compose(desired, composeDown, signal);
  }

  async purge(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const { dirs, install } = this.#options;
    const names = (await this.#containersOf(desired)).map(({ name }) => name);
    if (names.length > 0) await this.#docker(containersRemove(names), { signal });
    await dirs.remove(desired.id);
    await this.#removeIdleNetwork(networkOf(install, desired.id));
  }

  url(desired: DesiredInstance): string {
    return this.#options.urlPattern
      .replaceAll('{port}', String(desired.ports?.http ?? ''))
      .replaceAll('{id}', String(desired.id));
  }

  async list(): Promise<Map<number, { readonly running: boolean }>> {
    const containers = await this.#options.api.containers([
      `microsaas.install=${this.#options.install}`,
      'microsaas.instance',
    ]);
    const found = new Map<number, { running: boolean }>();
    for (const container of containers) {
      const id = Number(container.labels['microsaas.instance']);
      const running = container.state === 'running' && (found.get(id)?.running ?? true);
      found.set(id, { running });
    }
    return found;
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

  /** The user that Odoo runs as in an image: it differs between images, so the image is asked, once. */
  async imageUser(image: string): Promise<ImageUser> {
    const id = await this.imageId(image);
    let user = this.#imageUsers.get(id);
    if (!user) {
      user = this.#docker(imageUser(this.#options.install, image)).then(parseImageUser);
      this.#imageUsers.set(id, user);
      user.catch(() => this.#imageUsers.delete(id));
    }
    return user;
  }

  /** The id of an image, pulled when it is not here. */
  async imageId(image: string): Promise<string> {
    const local = await this.#options.api.imageId(image);
    if (local) return local;
    await this.#docker(imagePull(image), { timeoutMs: PULL_TIMEOUT }).catch((cause) => {
      throw new RetryableError('StartFailed', `The image ${image} could not be pulled.`, {
        cause,
        detail: image,
      });
    });
    const pulled = await this.#options.api.imageId(image);
    if (!pulled) throw new Error(`the image ${image} was pulled and is not there`);
    return pulled;
  }

  /** Everything but secrets that an instance's files depend on. */
  #inputOf(desired: DesiredInstance): RenderInput {
    const { dirs, install, publishAddress, repositories, sharedSocketDirectory } = this.#options;
    if (desired.ports === null) throw new TypeError('an instance without ports cannot be rendered');
    return {
      install,
      instance: desired.id,
      templateCode: desired.templateCode,
      directory: dirs.paths(desired.id).directory,
      sharedSocketDirectory,
      checkouts: desired.repositories.map((repo) => repositories.path(repo.commit)),
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
  async #up(start: () => Promise<unknown>): Promise<void> {
    try {
      await start();
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

  async #compose(
    desired: DesiredInstance,
    command: (project: string, file: string) => Command,
    signal: AbortSignal,
  ): Promise<void> {
    const project = projectName(this.#options.install, desired.id);
    const file = this.#options.dirs.paths(desired.id).compose;
    await this.#docker(command(project, file), { timeoutMs: COMPOSE_TIMEOUT, signal });
  }

  #docker(command: Command, options: Omit<ExecOptions, 'env'> = {}): Promise<string> {
    // HOME is where the CLI finds its plugins and the operator's registry login.
    const env = { HOME: homedir(), DOCKER_HOST: `unix://${this.#options.dockerSocket}` };
    return exec(command, { ...options, env });
  }

  async #ensureNetwork(desired: DesiredInstance): Promise<void> {
    const { api, install } = this.#options;
    const name = networkOf(install, desired.id);
    await this.#aloneWith(name, async () => {
      if ((await api.network(name)) === null) await this.#docker(networkCreate(install, name));
    });
  }

  /** A stopped container keeps its place on a network, which the network itself does not show. */
  async #removeIdleNetwork(name: string): Promise<void> {
    const { api, install } = this.#options;
    await this.#aloneWith(name, async () => {
      const ids = [...(await this.list()).keys()];
      const isIdle = ids.every((id) => networkOf(install, id) !== name);
      // Somebody else's container may be on it: then Docker refuses, and that is as it should be.
      if (isIdle && (await api.network(name))?.containers === 0)
        await this.#docker(networkRemove(name)).catch(ignoreFailure);
    });
  }

  /** One at a time per name: Docker would create two networks of the same name. */
  async #aloneWith(name: string, work: () => Promise<void>): Promise<void> {
    const before = this.#networks.get(name) ?? Promise.resolve();
    const done = before.catch(() => {}).then(work);
    this.#networks.set(name, done);
    await done;
  }

  /** Where this host reaches an instance, whatever its customers call it. */
  #originOf({ ports }: DesiredInstance): string {
    const { publishAddress } = this.#options;
    const host = publishAddress.includes(':') ? `[${publishAddress}]` : publishAddress;
    return `http://${host}:${ports?.http}`;
  }

  async #isAlive(desired: DesiredInstance): Promise<boolean> {
    const containers = await this.#containersOf(desired);
    return containers.length > 0 && containers.every(({ state }) => state === 'running');
  }

  #containersOf(desired: DesiredInstance): Promise<Container[]> {
    const { api, install } = this.#options;
    return api.containers([`microsaas.install=${install}`, `microsaas.instance=${desired.id}`]);
  }

  /** The end of the container's log, for the sidecar's own log. */
  async #lastWords(desired: DesiredInstance): Promise<string> {
    const container = `${projectName(this.#options.install, desired.id)}-odoo`;
    return this.#docker(containerLogs(container, { tail: 20, follow: false }), {
      mixed: true,
    }).catch(String);
  }
}

function ignoreFailure(error: unknown): void {
  if (!(error instanceof CommandError)) throw error;
}
