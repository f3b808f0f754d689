import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { serviceLogs } from '../docker/commands.ts';
import type { DockerCli } from '../docker/docker-cli.ts';
import { LABELS } from '../docker/labels.ts';
import { saveSessionBeside } from '../docker/odoo-session.ts';
import type { Secret, Service, SwarmApi, SwarmNode, Task } from '../docker/swarm-api.ts';
import { admit } from '../engine/admit.ts';
import { type Awaited, LOG_TAIL_LINES } from '../engine/await-answer.ts';
import {
  CommonEngine,
  type CommonEngineOptions,
  type SeenContainers,
} from '../engine/common-engine.ts';
import { originAt } from '../engine/readiness-probe.ts';
import { filesMissing, PortTakenError, RetryableError } from '../errors.ts';
import { type InstanceSpec, instanceSpec } from '../files/instance-spec.ts';
import { readIfThere } from '../host/files.ts';
import { projectName } from '../instance/name.ts';
import type { DesiredInstance, PortPair } from '../instance/types.ts';
import type { Engine, Listed, OdooSession } from '../interfaces.ts';
import { chooseNode, isUsable } from './choose-node.ts';
import { hasEnded, type Placed, placedState } from './observe.ts';
import { confOf, nodeOf, replicasOf, reservedBytes, serviceSpec, stopped } from './service-spec.ts';

/** Odoo's own ports for HTTP, and for websockets where it has workers, in its container. */
const HTTP_PORT = 8069;
const GEVENT_PORT = 8072;

const RECONNECT_DELAY_MS = 1_000;

/** How long Swarm may take to start a container, and to stop one after its grace period, in milliseconds. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 150_000;

/** How often the tasks of one service are looked at meanwhile, in milliseconds: each look takes some. */
const POLL_INTERVAL_MS = 100;

/** How often all tasks are looked at, in milliseconds: while something is under way, and otherwise. Swarm has no events of tasks. */
const BUSY_INTERVAL_MS = 2_000;
const CALM_INTERVAL_MS = 15_000;

/** After this many ends in a row, a container counts as crash-looping. */
const CRASH_LOOP_ENDS = 3;

/** How long the swarm may take to tell the end of a log, in milliseconds. */
const LOG_TIMEOUT_MS = 10_000;

/** What an engine says where another program, and what the scheduler says where another service, has the port. */
const PORT_TAKEN =
  /port is already allocated|address already in use|host-mode port already in use/i;

/** It was started: why it has ended is for who waits for its answer. */
const HAS_RUN = /^task: non-zero exit/;

const NO_ROOM = /no suitable node \(insufficient resources/i;

export interface SwarmEngineOptions extends CommonEngineOptions {
  readonly swarm: SwarmApi;
  /** The CLI against one of the managers. */
  readonly managerCli: DockerCli;
  /**
   * Gives the role of an instance this password and ends all of its connections: whoever has an older one is shut out of the database.
   * @param password is called while nobody else gives the role one
   */
  readonly shutOut: (
    instance: Pick<DesiredInstance, 'id'>,
    password: () => Promise<string>,
  ) => Promise<void>;
}

/**
 * Instances as services of a Docker Swarm. Each has one node at a time, which its service names: Swarm starts it again there, and only the
 * sidecar gives it another one, once nobody on the first can write any more (ADR 24).
 */
export class SwarmEngine extends CommonEngine {
  readonly #options: SwarmEngineOptions;
  /** Where instances were seen last. */
  readonly #addresses = new Map<number, string>();

  constructor(options: SwarmEngineOptions) {
    super(options);
    this.#options = options;
  }

  // -- what is here -----------------------------------------------------------------------------------

  protected override async seen(desired: DesiredInstance): Promise<SeenContainers> {
    const placed = await this.#placed(desired);
    const label = placed?.service.spec.Labels?.[LABELS.identity];
    const isOwn = label === undefined ? 'unmarked' : label === desired.identity ? 'own' : 'foreign';
    const conf = placed && (await this.#confOf(desired));
    return {
      owner: placed === null ? 'nobody' : isOwn,
      state: (_, digest) => placedState(placed, { digest, conf }),
      // Other limits would be another container: they wait for its next start.
      limits: async () => 'current',
    };
  }

  override async list(): Promise<Map<number, Listed>> {
    const [[services, nodes], tasks] = await Promise.all([
      this.#servicesAndNodes(),
      this.#options.swarm.wantedTasks(),
    ]);
    const found = new Map<number, Listed>();
    for (const service of services) {
      const id = instanceOf(service);
      const node = nodes.find((one) => one.id === nodeOf(service.spec));
      const own = tasks.filter((task) => task.service === service.id);
      const task = own.find(({ state }) => state === 'running');
      const isReady = node?.isReady ?? false;
      if (node) this.#addresses.set(id, node.address);
      found.set(id, {
        running: isReady && replicasOf(service.spec) === 1 && task !== undefined,
        up: isReady && own.some(({ state }) => !hasEnded(state) && state !== 'pending'),
        address: node?.address ?? '',
        httpPort: portsOf(service).http,
        hasOwnDatabase: false,
        // On another machine, whose counters are not seen from here.
        containers: [],
      });
    }
    return found;
  }

  override async places(): ReturnType<Engine['places']> {
    const [services, nodes] = await this.#servicesAndNodes();
    const addresses = new Map(nodes.map(({ address, id }) => [id, address]));
    return new Map(
      services.map((service) => {
        const address = addresses.get(nodeOf(service.spec) ?? '') ?? '';
        const ports = address ? portsOf(service) : null;
        return [instanceOf(service), { address, ports }];
      }),
    );
  }

  /**
   * Swarm tells of services and nodes. What becomes of tasks it does not: they are compared, and for an instance whose tasks have changed
   * `changed` is called with its id.
   */
  override async watch(changed: (id: number | null) => void, signal: AbortSignal): Promise<void> {
    await Promise.all([this.#watchEvents(changed, signal), this.#watchTasks(changed, signal)]);
  }

  async #watchEvents(changed: (id: number | null) => void, signal: AbortSignal): Promise<void> {
    const { install, swarm } = this.#options;
    const prefix = projectName(install, 1).slice(0, -1);
    const happened = ({ name, type }: { readonly type: string; readonly name: string }) => {
      if (type === 'node') return changed(null);
      const id = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0;
      if (Number.isSafeInteger(id) && id > 0) changed(id);
    };
    while (!signal.aborted) {
      await swarm.events(() => changed(null), happened, signal).catch(() => {}); // no manager answers: what is missed is found by the sweep after reconnecting
      await sleep(RECONNECT_DELAY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #watchTasks(changed: (id: number | null) => void, signal: AbortSignal): Promise<void> {
    let known: ReadonlyMap<number, string> | null = null;
    let isBusy = false;
    while (!signal.aborted) {
      const seen = await this.#snapshot().catch(() => null);
      if (seen !== null) {
        for (const [id, now] of seen.states) if (known && known.get(id) !== now) changed(id);
        known = seen.states;
        isBusy = seen.isBusy;
      }
      const pause = isBusy ? BUSY_INTERVAL_MS : CALM_INTERVAL_MS;
      await sleep(pause, undefined, { signal }).catch(() => {});
    }
  }

  /** Each instance's tasks in one line, and whether something of them is under way. */
  async #snapshot(): Promise<{ states: Map<number, string>; isBusy: boolean }> {
    const [[services, nodes], tasks] = await Promise.all([
      this.#servicesAndNodes(),
      this.#options.swarm.wantedTasks(),
    ]);
    const ready = new Set(nodes.filter(({ isReady }) => isReady).map(({ id }) => id));
    const states = new Map<number, string>();
    let isBusy = ready.size < nodes.length;
    for (const service of services) {
      const own = tasks.filter((task) => task.service === service.id);
      const isRunning = own.length > 0 && own.every(({ state }) => state === 'running');
      isBusy ||= replicasOf(service.spec) === 1 && !isRunning;
      const lines = own.map((task) => `${task.id} ${task.state} ${ready.has(task.node)}`);
      states.set(instanceOf(service), lines.sort().join());
    }
    return { states, isBusy };
  }

  // -- the way to an instance that runs ---------------------------------------------------------------

  /** Those of other installs' and of foreign services: Odoo gives no two instances the same. What else a node has bound shows at the start. */
  override async occupiedPorts(ports: PortPair): Promise<number[]> {
    const { install, swarm } = this.#options;
    const others = (await swarm.services()).filter(
      ({ spec }) => spec.Labels?.[LABELS.install] !== install,
    );
    const bound = new Set(
      others.flatMap(({ spec }) => spec.EndpointSpec?.Ports ?? []).map((it) => it.PublishedPort),
    );
    return [ports.http, ports.longpolling].filter((port) => bound.has(port));
  }

  override async render(desired: DesiredInstance): Promise<void> {
    await super.render(desired);
    // What cannot run here is said before anything else is made for it.
    await this.#specOf(desired);
  }

  override async startDatabase(): Promise<void> {
    throw new TypeError('an instance with a Postgres of its own is refused by instanceSpec()');
  }

  override async start(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const { images, swarm } = this.#options;
    const name = this.#nameOf(desired);
    const nodes = await swarm.nodes();
    const service = await swarm.service(name);
    const last = nodes.find(({ id }) => service && id === nodeOf(service.spec));
    const files = await this.#specOf(desired);
    // Made from other files it is stopped first: its ports are taken until it has ended.
    const isUp =
      service !== null &&
      replicasOf(service.spec) === 1 &&
      last &&
      isUsable(last) &&
      service.spec.Labels?.[LABELS.digest] === files.labels[LABELS.digest] &&
      confOf(service.spec) === (await this.#confOf(desired));
    // One that was stopped a moment ago may be ending still.
    const isShutOut = service
      ? !isUp && (await this.#takeFrom(service, last, desired, signal))
      : await this.#shutOutUnseen(desired);
    if (isShutOut) await this.render(desired);
    const spec = isShutOut ? await this.#specOf(desired) : files;
    const node = isUp ? last : await this.#choose(nodes, name, spec, last);
    const imageId = await images.id(spec.image);
    const conf = await this.#secretOf(desired, spec);
    const made = serviceSpec(spec, {
      ...{ name, imageId, node: node.id, owner: await images.user(imageId), conf },
    });
    // The role may have an older password than this odoo.conf, where a fence was cut short in between.
    if (service && !isShutOut && confOf(service.spec) !== conf.name) await this.#endFence(desired);
    const before = service ? await swarm.tasksOf(service.id) : [];
    await swarm.put(made);
    this.#addresses.set(desired.id, node.address);
    await this.#awaitStart(desired, made.Labels?.[LABELS.made] ?? '', before, signal);
    await this.#removeSecrets(desired, [conf.name]);
  }

  async #choose(
    nodes: readonly SwarmNode[],
    name: string,
    spec: InstanceSpec,
    last: SwarmNode | undefined,
  ): Promise<SwarmNode> {
    const services = (await this.#options.swarm.services()).map((one) => one.spec);
    const others = services.filter(({ Name }) => Name !== name);
    return chooseNode(nodes, others, reservedBytes(spec), last);
  }

  /** Until the container runs. What fails is not tried again by Swarm: the next start is the controller's. */
  async #awaitStart(
    desired: DesiredInstance,
    made: string,
    before: readonly Task[],
    signal: AbortSignal,
  ): Promise<void> {
    const { swarm } = this.#options;
    const ended = new Set(before.filter(({ state }) => hasEnded(state)).map(({ id }) => id));
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      const service = await swarm.service(this.#nameOf(desired));
      if (!service) throw notStarted('its service is gone');
      const tasks = (await swarm.tasksOf(service.id)).filter(
        ({ id, labels }) => labels[LABELS.made] === made && !ended.has(id),
      );
      if (tasks.some(({ error, state }) => state === 'running' || HAS_RUN.test(error))) return;
      const failed = tasks.find(({ error, state }) => hasEnded(state) && error !== '');
      const blocked = tasks.find(({ error, state }) => state === 'pending' && error !== '');
      const error = failed?.error ?? blocked?.error ?? '';
      const isOver = failed !== undefined || PORT_TAKEN.test(error) || NO_ROOM.test(error);
      if (isOver || Date.now() > deadline) {
        await swarm.put(stopped(service.spec));
        if (PORT_TAKEN.test(error))
          throw new PortTakenError('PortTaken', 'Another program has taken the port.');
        if (NO_ROOM.test(error))
          throw new RetryableError('NotEnoughMemory', `The node has no room left: ${error}`);
        throw notStarted(error || 'no container within its time');
      }
      await sleep(POLL_INTERVAL_MS, undefined, { signal });
    }
  }

  protected override async originOf({
    id,
    ports,
  }: Pick<DesiredInstance, 'id' | 'ports'>): Promise<string> {
    if (!this.#addresses.has(id)) await this.#placed({ id });
    return originAt(this.#addresses.get(id) ?? '', ports?.http ?? 0);
  }

  protected override originOfListed({ address = '', httpPort }: Listed): string {
    return originAt(address, httpPort);
  }

  protected override awaited(desired: DesiredInstance): Awaited {
    /** Those that had ended before, and those that have since. */
    let before: ReadonlySet<string> | undefined;
    const ended = new Set<string>();
    return {
      answerTimeoutMs: this.#options.answerTimeoutMs,
      life: async () => {
        const placed = await this.#placed(desired);
        const state = placedState(placed, { digest: '', conf: null });
        if (placed === null || state === 'stopped' || state === 'partial') return 'ended';
        const over = placed.tasks.filter((task) => hasEnded(task.state)).map(({ id }) => id);
        before ??= new Set(over);
        for (const id of over) if (!before.has(id)) ended.add(id);
        return ended.size >= CRASH_LOOP_ENDS ? 'looping' : 'up';
      },
      lastWords: () => {
        const options = { tail: LOG_TAIL_LINES, follow: false };
        return this.#options.managerCli(serviceLogs(this.#nameOf(desired), options), {
          ...{ mixed: true, timeoutMs: LOG_TIMEOUT_MS },
        });
      },
    };
  }

  /** The store of sessions is a folder of all nodes: the session is put there without the instance's own container. */
  override async admit(
    desired: DesiredInstance,
    session: OdooSession,
    browser: Readonly<Record<string, string>>,
  ): Promise<boolean> {
    const { dirs, docker, images, install } = this.#options;
    const image = await this.files.imageOf(desired);
    const owner = await images.user(image);
    const folder = dirs.paths(desired.id).sessions;
    const save = saveSessionBeside({ install, image, owner, folder });
    return admit(docker, { save, origin: await this.originOf(desired), session, browser });
  }

  /** See seen(): they are never other. */
  override async applyLimits(): Promise<void> {}

  // -- and back ---------------------------------------------------------------------------------------

  override async stop(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const { swarm } = this.#options;
    const service = await swarm.service(this.#nameOf(desired));
    if (!service) return;
    const node = (await swarm.nodes()).find(({ id }) => id === nodeOf(service.spec));
    await this.#takeFrom(service, node, desired, signal);
  }

  override async removeContainers(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const { swarm } = this.#options;
    await this.stop(desired, signal);
    const service = await swarm.service(this.#nameOf(desired));
    if (service) await swarm.remove(service.id);
    await this.#removeSecrets(desired, []);
  }

  override async purge(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.removeContainers(desired, signal);
    await this.#options.dirs.remove(desired.id);
  }

  /**
   * Ends what runs on its node. Where nobody hears of that node, it may go on there: then it is shut out of its database.
   * @returns whether it was: its files are to be written again
   */
  async #takeFrom(
    service: Service,
    node: SwarmNode | undefined,
    desired: DesiredInstance,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { swarm } = this.#options;
    // Before the service says that it is stopped: whoever observes it then need not ask where.
    const wasLost = !node?.isReady;
    if (wasLost) await this.#fence(desired);
    if (wasLost || replicasOf(service.spec) !== 0) await swarm.put(stopped(service.spec, wasLost));
    const deadline = Date.now() + STOP_TIMEOUT_MS;
    for (;;) {
      const nodes = await swarm.nodes();
      const heard = new Set(nodes.filter(({ isReady }) => isReady).map(({ id }) => id));
      const tasks = (await swarm.tasksOf(service.id)).filter(({ state }) => !hasEnded(state));
      if (tasks.every((task) => !heard.has(task.node))) {
        if (wasLost || heard.has(node.id)) return wasLost;
        await this.#fence(desired);
        await swarm.put(stopped(service.spec, true));
        return true;
      }
      if (Date.now() > deadline)
        throw new RetryableError('DockerFailed', 'The swarm has not stopped the instance in time.');
      await sleep(POLL_INTERVAL_MS, undefined, { signal });
    }
  }

  /**
   * Shuts out what may run of an instance without a service: that may have been removed by hand, or lost with its swarm, while a node that
   * nobody hears of goes on. Not one that is being made: its secret is there before its service, and goes after it.
   * @returns as #takeFrom()
   */
  async #shutOutUnseen(desired: DesiredInstance): Promise<boolean> {
    const mayRun = desired.wasReady || (await this.#secretsOf(desired)).length > 0;
    if (mayRun) await this.#fence(desired);
    return mayRun;
  }

  /** May be repeated, and is until the instance has another node or is stopped. */
  async #fence(desired: DesiredInstance): Promise<void> {
    const { dirs, shutOut } = this.#options;
    await shutOut(desired, () => dirs.renewDbPassword(desired.id));
  }

  /** The second half of a fence: the password that was renewed is the role's from now on. */
  async #endFence(desired: DesiredInstance): Promise<void> {
    const { dirs, shutOut } = this.#options;
    await shutOut(desired, async () => (await dirs.secrets(desired.id)).dbPassword);
  }

  /** Of all instances. A service with their labels and another name is none: anybody in the swarm may have written those. */
  async #servicesAndNodes(): Promise<[Service[], SwarmNode[]]> {
    const { install, swarm } = this.#options;
    const [services, nodes] = await Promise.all([
      swarm.services(`${LABELS.install}=${install}`),
      swarm.nodes(),
    ]);
    const isOwn = (it: Service) => {
      const id = instanceOf(it);
      return Number.isSafeInteger(id) && id > 0 && it.spec.Name === this.#nameOf({ id });
    };
    return [services.filter(isOwn), nodes];
  }

  // -- its service ------------------------------------------------------------------------------------

  #nameOf({ id }: Pick<DesiredInstance, 'id'>): string {
    return projectName(this.#options.install, id);
  }

  async #placed({ id }: Pick<DesiredInstance, 'id'>): Promise<Placed | null> {
    const { swarm } = this.#options;
    const service = await swarm.service(this.#nameOf({ id }));
    if (service === null) return null;
    const [tasks, nodes] = await Promise.all([swarm.tasksOf(service.id), swarm.nodes()]);
    const node = nodes.find((one) => one.id === nodeOf(service.spec)) ?? null;
    if (node) this.#addresses.set(id, node.address);
    return { service, tasks, node };
  }

  /** @throws TerminalError('TemplateBreaksPolicy', 'FilesMissing') */
  async #specOf(desired: DesiredInstance): Promise<InstanceSpec> {
    const { dirs, templates } = this.#options;
    const { compose, conf } = dirs.paths(desired.id);
    const text = await readFile(compose, 'utf8').catch(() => {
      throw filesMissing();
    });
    const { code: template } = templates.get(desired.templateCode);
    return instanceSpec(text, { template, conf });
  }

  /** Swarm's secret with the instance's odoo.conf: named by its content, for a secret is never changed. */
  async #secretOf(
    desired: DesiredInstance,
    { conf, labels }: InstanceSpec,
  ): Promise<{ readonly id: string; readonly name: string }> {
    const { swarm } = this.#options;
    const content = await readFile(conf.source, 'utf8');
    const name = this.#secretName(desired, content);
    const known = (await this.#secretsOf(desired)).find((it) => it.name === name);
    return { id: known?.id ?? (await swarm.makeSecret(name, labels, content)), name };
  }

  /** The name of the secret that the present odoo.conf gives; null: there is none. */
  async #confOf(desired: DesiredInstance): Promise<string | null> {
    const content = await readIfThere(this.#options.dirs.paths(desired.id).conf);
    return content === null ? null : this.#secretName(desired, content);
  }

  #secretName({ id }: Pick<DesiredInstance, 'id'>, conf: string): string {
    const digest = createHash('sha256').update(conf).digest('hex').slice(0, 12);
    return `${this.#nameOf({ id })}-conf-${digest}`;
  }

  /** Removes all but those of these names: no service uses them any more. */
  async #removeSecrets(desired: DesiredInstance, kept: readonly string[]): Promise<void> {
    for (const { id, name } of await this.#secretsOf(desired))
      if (!kept.includes(name)) await this.#options.swarm.removeSecret(id);
  }

  #secretsOf({ id }: Pick<DesiredInstance, 'id'>): Promise<Secret[]> {
    const { install, swarm } = this.#options;
    return swarm.secrets([`${LABELS.install}=${install}`, `${LABELS.instance}=${id}`]);
  }
}

/** The number of the instance whose service it is. */
function instanceOf({ spec }: Service): number {
  return Number(spec.Labels?.[LABELS.instance]);
}

/** Without workers, the one server answers both. */
function portsOf({ spec }: Service): PortPair {
  const ports = spec.EndpointSpec?.Ports ?? [];
  const at = (target: number) => ports.find((it) => it.TargetPort === target)?.PublishedPort;
  const http = at(HTTP_PORT) ?? 0;
  return { http, longpolling: at(GEVENT_PORT) ?? http };
}

/** @param why an engine's own words, for the log */
function notStarted(why: string): RetryableError {
  return new RetryableError('StartFailed', 'The swarm could not start the instance.', {
    cause: new Error(why),
  });
}
