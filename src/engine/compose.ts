import { setTimeout as sleep } from 'node:timers/promises';
import { composeUp } from '../docker/commands.ts';
import type { Container } from '../docker/docker-api.ts';
import { LABELS } from '../docker/labels.ts';
import { networkOf } from '../docker/names.ts';
import { Networks } from '../docker/networks.ts';
import { saveSession } from '../docker/odoo-session.ts';
import { removeAll, stopAll } from '../docker/stopping.ts';
import { CommandError, PortTakenError, RetryableError } from '../errors.ts';
import { isFree } from '../host/tcp-ports.ts';
import { odooContainer, projectName } from '../instance/name.ts';
import type { DesiredInstance, ObservedInstance, PortPair } from '../instance/types.ts';
import type { Listed, OdooSession } from '../interfaces.ts';
import { admit } from './admit.ts';
import type { Awaited } from './await-answer.ts';
import { CommonEngine, type CommonEngineOptions, type SeenContainers } from './common-engine.ts';
import { containerLife } from './container-life.ts';
import { networkFor } from './instance-files.ts';
import { LiveLimits } from './live-limits.ts';
import { containersOf, containersOwner, containersState, odooOf } from './observe.ts';
import { originAt } from './readiness-probe.ts';
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

/** Instances as Docker Compose projects, one each, on this host's Docker Engine. */
export class ComposeEngine extends CommonEngine {
  readonly #options: CommonEngineOptions;
  readonly #networks: Networks;
  readonly #limits: LiveLimits;

  constructor(options: CommonEngineOptions) {
    super(options);
    this.#options = options;
    this.#networks = new Networks(options.install, options.api, options.docker);
    this.#limits = new LiveLimits(options.api);
  }

  // -- what is here ---------------------------------------------------------------------------------

  protected override async seen(desired: DesiredInstance): Promise<SeenContainers> {
    const containers = await this.#containersOf(desired);
    return {
      owner: containersOwner(containers, desired.identity),
      state: (services, digest) => containersState(containers, services, digest),
      limits: () => this.#limitsState(desired, containers),
    };
  }

  /** The label of a container does not say: its limits may have been changed since it was made. */
  async #limitsState(
    desired: DesiredInstance,
    containers: readonly Container[],
  ): Promise<ObservedInstance['limits']> {
    const odoo = odooOf(containers);
    const isOther = odoo && (await this.#limits.areOther(odoo, this.files.limitsOf(desired)));
    return isOther ? 'other' : 'current';
  }

  override async list(): Promise<Map<number, Listed>> {
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

  override async places(): Promise<null> {
    return null;
  }

  override async watch(changed: (id: number | null) => void, signal: AbortSignal): Promise<void> {
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

  // -- the way to an instance that runs ---------------------------------------------------------------

  override async occupiedPorts(ports: PortPair): Promise<number[]> {
    const { publishAddress } = this.#options;
    const bound: number[] = [];
    for (const port of [ports.http, ports.longpolling])
      if (!(await isFree(port, publishAddress))) bound.push(port);
    return bound;
  }

  override async startDatabase(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#up(desired, ['db'], signal);
  }

  override async start(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#up(desired, [], signal);
  }

  override async admit(
    desired: DesiredInstance,
    session: OdooSession,
    browser: Readonly<Record<string, string>>,
  ): Promise<boolean> {
    const { docker, install } = this.#options;
    const save = saveSession(odooContainer(install, desired.id));
    return admit(docker, { save, origin: await this.originOf(desired), session, browser });
  }

  override async applyLimits(desired: DesiredInstance): Promise<void> {
    const odoo = odooOf(await this.#containersOf(desired));
    if (odoo) await this.#limits.apply(odoo, this.files.limitsOf(desired));
  }

  // -- and back ---------------------------------------------------------------------------------------

  override async stop(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await stopAll(this.#options.api, await this.#containersOf(desired), signal);
  }

  override async removeContainers(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await removeAll(this.#options.api, await this.#containersOf(desired), signal);
  }

  override async purge(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
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

  protected override async originOf({ ports }: Pick<DesiredInstance, 'ports'>): Promise<string> {
    return originAt(this.#options.publishAddress, ports?.http ?? 0);
  }

  protected override originOfListed({ httpPort }: Listed): string {
    return originAt(this.#options.publishAddress, httpPort);
  }

  protected override awaited({ id }: DesiredInstance): Awaited {
    return containerLife(this.#options, id);
  }

  #containersOf({ id }: DesiredInstance) {
    return containersOf(this.#options.api, this.#options.install, id);
  }
}
