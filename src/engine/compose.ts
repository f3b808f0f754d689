import { setTimeout as sleep } from 'node:timers/promises';
import { composeUp } from '../docker/commands.ts';
import type { Container, DockerApi } from '../docker/docker-api.ts';
import type { DockerCli } from '../docker/docker-cli.ts';
import { removeStaleHelpers } from '../docker/helpers.ts';
import { LABELS } from '../docker/labels.ts';
import { networkOf } from '../docker/names.ts';
import { Networks } from '../docker/networks.ts';
import { removeAll, stopAll } from '../docker/stopping.ts';
import { CommandError, PortTakenError, RetryableError } from '../errors.ts';
import { isFree } from '../host/tcp-ports.ts';
import { type Addressed, instanceUrl } from '../instance/instance-url.ts';
import { databaseName, projectName } from '../instance/name.ts';
import type { Remark } from '../instance/reasons.ts';
import type {
  DesiredInstance,
  EffectiveState,
  FetchedCommit,
  MarkedInstance,
  ObservedInstance,
  PortPair,
  Spare,
} from '../instance/types.ts';
import type { Engine, Health, Listed, OdooSession, RehearsedVisit } from '../interfaces.ts';
import { AddonModules } from './addon-modules.ts';
import { admit } from './admit.ts';
import { awaitAnswer } from './await-answer.ts';
import { bootCopy, type Copy } from './boot-copy.ts';
import {
  commitsOf,
  InstanceFiles,
  type InstanceFilesOptions,
  networkFor,
} from './instance-files.ts';
import { LiveLimits } from './live-limits.ts';
import { containersOf, containersOwner, containersState, odooOf } from './observe.ts';
import { isHealthy, isServing, originAt, showsLogin } from './readiness-probe.ts';
import { rehearse } from './rehearse.ts';
import { startAsMade } from './start-as-made.ts';

/** States of a container that has no process. */
const DOWN = new Set(['created', 'exited', 'dead', 'removing']);

/** Odoo's own port for HTTP, in its container. */
const HTTP_PORT = 8069;

const RECONNECT_DELAY_MS = 1_000;
const COMPOSE_TIMEOUT_MS = 120_000;

const ADDRESS_IN_USE = /address already in use|port is already allocated|ports are not available/i;

/** A container keeps the id of its network, also when another of the same name takes its place. */
const NETWORK_GONE = /network \S+ not found/i;

export interface ComposeEngineOptions extends InstanceFilesOptions {
  readonly api: DockerApi;
  readonly docker: DockerCli;
  /** See instanceUrl(). */
  readonly urlPattern: string;
  readonly answerTimeoutMs: number;
}

/** Instances as Docker Compose projects, one each, on this host's Docker Engine. */
export class ComposeEngine implements Engine {
  readonly #options: ComposeEngineOptions;
  readonly #networks: Networks;
  readonly #files: InstanceFiles;
  readonly #limits: LiveLimits;
  readonly #modules: AddonModules;

  constructor(options: ComposeEngineOptions) {
    this.#options = options;
    this.#networks = new Networks(options.install, options.api, options.docker);
    this.#files = new InstanceFiles(options);
    this.#limits = new LiveLimits(options.api);
    this.#modules = new AddonModules({ ...options, files: this.#files });
  }

  // -- what is here ---------------------------------------------------------------------------------

  async observe(
    desired: DesiredInstance,
    effective: EffectiveState,
  ): Promise<Omit<ObservedInstance, 'database' | 'hung' | 'isHandedOver' | 'preparedJob'>> {
    const { dirs, marks } = this.#options;
    const files = this.#files;
    const containers = await this.#containersOf(desired);
    const owners = {
      directory: await marks.ownerOf(desired),
      containerOwner: containersOwner(containers, desired.identity),
    };
    const data = await files.dataState(desired);
    // Stopping and removing must work without the template too.
    if (effective !== 'running')
      return {
        ...owners,
        checkouts: 'current',
        files: effective === 'purged' && !(await dirs.exists(desired.id)) ? 'absent' : 'current',
        data,
        containers: containersState(containers, 1, ''),
        answering: false,
        appsList: 'current',
        limits: 'current',
      };
    const hasCheckouts = await files.hasCheckouts(desired);
    const digest = desired.ports !== null && hasCheckouts ? await files.digestOf(desired) : '';
    const state = containersState(containers, files.servicesOf(desired), digest);
    const isUp = state !== 'none' && state !== 'stopped';
    const answering = state === 'running' && (await showsLogin(this.#originOf(desired)));
    return {
      ...owners,
      checkouts: hasCheckouts ? 'current' : 'missing',
      files: digest === '' ? 'absent' : await files.state(desired, digest, isUp),
      data,
      containers: state,
      answering,
      appsList: (await dirs.appsList(desired.id)) === commitsOf(desired) ? 'current' : 'stale',
      limits: answering ? await this.#limitsState(desired, containers) : 'current',
    };
  }

  /** The label of a container does not say: its limits may have been changed since it was made. */
  async #limitsState(
    desired: DesiredInstance,
    containers: readonly Container[],
  ): Promise<ObservedInstance['limits']> {
    const odoo = odooOf(containers);
    const isOther = odoo && (await this.#limits.areOther(odoo, this.#files.limitsOf(desired)));
    return isOther ? 'other' : 'current';
  }

  /** See bootCopy(). */
  bootCopy(desired: DesiredInstance, copy: Copy, signal: AbortSignal): Promise<boolean> {
    return bootCopy({ ...this.#options, files: this.#files }, desired, copy, signal);
  }

  async list(): Promise<Map<number, Listed>> {
    const containers = await this.#options.api.containers([
      `${LABELS.install}=${this.#options.install}`,
      LABELS.instance,
    ]);
    const found = new Map<number, Listed>();
    for (const { id: container, labels, published, state } of containers) {
      const id = Number(labels[LABELS.instance]);
      const others = found.get(id);
      found.set(id, {
        running: state === 'running' && (others?.running ?? true),
        up: !DOWN.has(state) || (others?.up ?? false),
        httpPort: published.get(HTTP_PORT) || (others?.httpPort ?? 0),
        hasOwnDatabase: others !== undefined,
        containers: [...(others?.containers ?? []), container],
      });
    }
    return found;
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

  async adopt(desired: DesiredInstance): Promise<void> {
    await this.#options.marks.adopt(desired);
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

  async watch(changed: (id: number | null) => void, signal: AbortSignal): Promise<void> {
    const label = `${LABELS.install}=${this.#options.install}`;
    const happened = (labels: Readonly<Record<string, string>>) => {
      const id = Number(labels[LABELS.instance]);
      if (id > 0) changed(id); // not one of ours that builds a template or is the manager's own
    };
    while (!signal.aborted) {
      await this.#options.api.events(label, () => changed(null), happened, signal).catch(() => {}); // Docker is away: what is missed is found by the sweep after reconnecting
      await sleep(RECONNECT_DELAY_MS, undefined, { signal }).catch(() => {});
    }
  }

  url(instance: Addressed): string {
    return instanceUrl(this.#options.urlPattern, instance);
  }

  // -- the way to an instance that runs ---------------------------------------------------------------

  async occupiedPorts(ports: PortPair): Promise<number[]> {
    const { publishAddress } = this.#options;
    const bound: number[] = [];
    for (const port of [ports.http, ports.longpolling])
      if (!(await isFree(port, publishAddress))) bound.push(port);
    return bound;
  }

  fetchRepositories(
    wanted: Pick<DesiredInstance, 'templateCode' | 'repositories'>,
    signal: AbortSignal,
  ): Promise<{ readonly commits: readonly FetchedCommit[]; readonly remarks: readonly Remark[] }> {
    return this.#modules.fetch(wanted, signal);
  }

  imageDigest(desired: DesiredInstance): Promise<string> {
    return this.#files.imageDigest(desired);
  }

  async render(desired: DesiredInstance): Promise<void> {
    await this.#files.write(desired);
  }

  async startDatabase(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#up(desired, ['db'], signal);
  }

  async start(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#up(desired, [], signal);
  }

  awaitListening(desired: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    const origin = this.#originOf(desired);
    return awaitAnswer(this.#options, desired, () => isServing(origin), signal);
  }

  awaitLogin(desired: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    const origin = this.#originOf(desired);
    return awaitAnswer(this.#options, desired, () => showsLogin(origin), signal);
  }

  async rehearse(spare: Spare, visit: RehearsedVisit, signal: AbortSignal): Promise<void> {
    const database = databaseName(this.#options.install, spare.id);
    await rehearse({ ...visit, database, origin: this.#originOf(spare) }, signal);
  }

  async forgetSessions({ id }: Spare): Promise<void> {
    await this.#options.dirs.forgetSessions(id);
  }

  admit(
    desired: DesiredInstance,
    session: OdooSession,
    browser: Readonly<Record<string, string>>,
  ): Promise<boolean> {
    const { docker, install } = this.#options;
    const container = `${projectName(install, desired.id)}-odoo`;
    return admit(docker, { container, origin: this.#originOf(desired), session, browser });
  }

  mayBeSpare(templateCode: string): boolean {
    const { templates } = this.#options;
    return templates.has(templateCode) && templates.get(templateCode).database === 'shared';
  }

  renewMark(desired: DesiredInstance): Promise<void> {
    return this.#options.marks.renew(desired);
  }

  async applyLimits(desired: DesiredInstance): Promise<void> {
    const odoo = odooOf(await this.#containersOf(desired));
    if (odoo) await this.#limits.apply(odoo, this.#files.limitsOf(desired));
  }

  updateAppsList(desired: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    return this.#modules.updateAppsList(desired, signal);
  }

  // -- and back ---------------------------------------------------------------------------------------

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
    // There is one for all copies, and the next comes soon.
    if (desired.copyOf) return;
    const network = networkOf(install, desired.id);
    const isWanted = async () =>
      [...(await this.list()).keys()].some((id) => networkOf(install, id) === network);
    await this.#networks.removeUnless(network, isWanted);
  }

  async removeStaleHelpers(): Promise<string[]> {
    return removeStaleHelpers(this.#options.api, this.#options.install, new Date());
  }

  /**
   * What exists as it should be is started as it is; Compose makes the rest, and is the one to say why something does not start.
   * @throws PortTakenError, or RetryableError('StartFailed') for any other failure of Docker
   */
  async #up(
    desired: DesiredInstance,
    services: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const { api, dirs, docker, install } = this.#options;
    const containers = await this.#containersOf(desired);
    const file = containers.length > 0 ? await dirs.madeFrom(desired.id) : null;
    const wanted = file && { file, identity: desired.identity, services };
    if (wanted && (await startAsMade(api, containers, wanted, signal))) return;
    await this.#networks.ensure(networkFor(install, desired));
    // Docker neither starts a paused container nor lets it go on when it is asked to start it.
    for (const { id, state } of containers) if (state === 'paused') await api.unpause(id);
    const project = projectName(install, desired.id);
    const command = composeUp(project, dirs.paths(desired.id).compose, services);
    const up = () => docker(command, { timeoutMs: COMPOSE_TIMEOUT_MS, signal });
    try {
      await up().catch(async (cause) => {
        if (!(cause instanceof CommandError) || !NETWORK_GONE.test(cause.stderr)) throw cause;
        // Compose starts the containers that it finds. New ones get the current network; the data are outside them.
        await this.removeContainers(desired, signal);
        await up();
      });
    } catch (cause) {
      if (!(cause instanceof CommandError)) throw cause;
      if (ADDRESS_IN_USE.test(cause.stderr))
        throw new PortTakenError('PortTaken', 'Another program has taken the port.', { cause });
      throw new RetryableError('StartFailed', 'Docker could not start the instance.', { cause });
    }
  }

  /** Where this host reaches an instance, whatever its customers call it. */
  #originOf({ ports }: DesiredInstance): string {
    return this.#originAt(ports?.http ?? 0);
  }

  #originAt(httpPort: number): string {
    return originAt(this.#options.publishAddress, httpPort);
  }

  #containersOf({ id }: DesiredInstance) {
    return containersOf(this.#options.api, this.#options.install, id);
  }
}
