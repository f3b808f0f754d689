import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, PortTakenError, RetryableError } from '../errors.ts';
import { standingOf } from '../instance/decide.ts';
import { networkOf, projectName } from '../instance/name.ts';
import type {
  DesiredInstance,
  FetchedCommit,
  MarkedInstance,
  ObservedInstance,
  PortPair,
  Repository,
} from '../instance/types.ts';
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
} from './commands.ts';
import type { DirectoryMarks } from './directory-mark.ts';
import type { Container, DockerApi } from './docker-api.ts';
import type { DockerCli } from './docker-cli.ts';
import type { Images } from './images.ts';
import type { InstanceDirs } from './instance-dir.ts';
import { Networks } from './networks.ts';
import { containersOwner, containersState } from './observe.ts';
import { missingPackages } from './python-packages.ts';
import { digestOf, type RenderInput, renderInstance } from './render.ts';
import type { Repositories } from './repositories.ts';
import { isFree } from './tcp-ports.ts';
import type { Templates } from './templates.ts';

/** An instance that starts is asked this often, in milliseconds. */
const POLL_INTERVAL = 25;

/** While it starts, the container itself is looked at this often: a crash should not wait for the deadline. */
const CONTAINER_CHECK_INTERVAL = 1_000;

const RECONNECT_DELAY = 1_000;
const COMPOSE_TIMEOUT = 120_000;

const ADDRESS_IN_USE = /address already in use|port is already allocated|ports are not available/i;

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
  /** With `{port}` and `{id}` to be filled in. */
  readonly urlPattern: string;
  readonly answerTimeoutMs: number;
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

  async observe(desired: DesiredInstance): Promise<Omit<ObservedInstance, 'database'>> {
    const { dirs, marks, repositories } = this.#options;
    const containers = await this.#containersOf(desired);
    const standing = standingOf(desired);
    const owners = {
      directory: await marks.ownerOf(desired),
      containerOwner: containersOwner(containers, desired.identity),
    };
    // Stopping and removing must work whatever has become of the template.
    if (standing !== 'running')
      return {
        ...owners,
        checkouts: 'current',
        files: standing === 'purged' && !(await dirs.exists(desired.id)) ? 'absent' : 'current',
        containers: containersState(containers, 1, ''),
        answering: false,
      };
    const fetched = await Promise.all(desired.repositories.map((repo) => repositories.has(repo)));
    const isRenderable = desired.ports !== null && fetched.every(Boolean);
    const digest = isRenderable ? digestOf(await this.#inputOf(desired)) : '';
    const state = containersState(containers, this.#servicesOf(desired), digest);
    return {
      ...owners,
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
    const odoo = await images.user(template.image);
    const { dbPassword, masterPasswordHash } = await dirs.secrets(desired.id);
    const rendered = renderInstance(template, await this.#inputOf(desired), {
      dbPassword,
      masterPasswordHash,
    });
    await dirs.prepare(desired.id, { odoo, postgres: template.postgresUser });
    await dirs.write(desired.id, rendered, odoo);
  }

  async startDatabase(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#networks.ensure(networkOf(this.#options.install, desired.id));
    await this.#up(() =>
      this.#compose(desired, (project, file) => composeUp(project, file, ['db']), signal),
    );
  }

  async start(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#networks.ensure(networkOf(this.#options.install, desired.id));
    await this.#up(() => this.#compose(desired, composeUp, signal));
  }

  async awaitAnswer(
    desired: DesiredInstance,
    isUp: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const deadline = Date.now() + this.#options.answerTimeoutMs;
    let nextCheck = Date.now() + CONTAINER_CHECK_INTERVAL;
    const origin = this.#originOf(desired);
    let wasUp = false;
    const answers = async () => {
      if (!wasUp) {
        if (!(await isServing(origin))) return false;
        wasUp = true;
        await isUp();
      }
      return showsLogin(origin);
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
    if (names.length > 0) await this.#options.docker(containersRemove(names), { signal });
    await dirs.remove(desired.id);
    const network = networkOf(install, desired.id);
    const isWanted = async () =>
      [...(await this.list()).keys()].some((id) => networkOf(install, id) === network);
    await this.#networks.removeUnless(network, isWanted);
  }

  url({ id, ports }: Pick<DesiredInstance, 'id' | 'ports'>): string {
    return this.#options.urlPattern
      .replaceAll('{port}', String(ports?.http ?? ''))
      .replaceAll('{id}', String(id));
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
    await this.#options.docker(command(project, file), { timeoutMs: COMPOSE_TIMEOUT, signal });
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
    return this.#options
      .docker(containerLogs(container, { tail: 20, follow: false }), {
        mixed: true,
      })
      .catch(String);
  }
}

function withoutPackages({ url }: Repository, packages: readonly string[]): string {
  return `Modules of ${url} need Python packages that the image does not have: ${packages.join(', ')}. They cannot be installed.`;
}

function ignoreFailure(error: unknown): void {
  if (!(error instanceof CommandError)) throw error;
}
