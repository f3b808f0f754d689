import { z } from 'zod';
import type { AddressPool } from './address-pools.ts';
import { DaemonSocket } from './daemon-socket.ts';

/** How long the daemon may take to stop a container, in milliseconds: the container's grace period, after which it is killed, and some more. */
const STOP_TIMEOUT_MS = 120_000;

/** How long the daemon may take to start a container, in milliseconds: a busy machine takes seconds. */
const START_TIMEOUT_MS = 120_000;

/** The events after which a container may be in another state. */
const EVENTS = ['start', 'kill', 'die', 'stop', 'pause', 'unpause', 'oom', 'destroy'];

const containerSchema = z
  .object({
    Id: z.string(),
    Names: z.array(z.string()),
    State: z.string(),
    Created: z.number(),
    Labels: z.record(z.string(), z.string()),
    Ports: z
      .array(z.object({ PrivatePort: z.int(), PublicPort: z.int().optional() }))
      .nullish()
      .transform((ports) => ports ?? []),
  })
  .transform(
    (it): Container => ({
      id: it.Id,
      name: (it.Names[0] ?? '').replace(/^\//, ''),
      state: it.State,
      created: it.Created,
      labels: it.Labels,
      published: new Map(it.Ports.map((port) => [port.PrivatePort, port.PublicPort ?? 0])),
    }),
  );

const subnetsSchema = z
  .object({
    IPAM: z.object({ Config: z.array(z.object({ Subnet: z.string().default('') })).nullish() }),
  })
  .transform(({ IPAM }) => (IPAM.Config ?? []).map(({ Subnet }) => Subnet));

const poolsSchema = z.object({
  DefaultAddressPools: z
    .array(
      z
        .object({ Base: z.string(), Size: z.int() })
        .transform(({ Base, Size }): AddressPool => ({ base: Base, size: Size })),
    )
    .nullish()
    .transform((pools) => (pools && pools.length > 0 ? pools : null)),
});

const networkSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  Options: z
    .record(z.string(), z.string())
    .nullish()
    .transform((options) => options ?? {}),
});

/** What the kernel would give back is left out: `inactive_file` of cgroups version 2, `total_inactive_file` of version 1. */
const statsSchema = z
  .object({
    memory_stats: z.object({
      usage: z.number().optional(),
      stats: z.record(z.string(), z.number()).default({}),
    }),
  })
  .transform(({ memory_stats: { stats, usage } }) => {
    if (usage === undefined) return null;
    const cache = stats['total_inactive_file'] ?? stats['inactive_file'] ?? 0;
    return Math.max(0, usage - cache);
  });

export interface Container {
  readonly id: string;
  readonly name: string;
  /** created, running, restarting, paused, exited, dead, removing */
  readonly state: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The host's port by the container's; 0: none. */
  readonly published: ReadonlyMap<number, number>;
}

const mountSchema = z
  .object({ Source: z.string().default(''), Destination: z.string() })
  .transform(({ Destination, Source }): Mount => ({ from: Source, to: Destination }));

const madeWithSchema = z
  .object({
    Mounts: z.array(mountSchema),
    Config: z.object({ Env: z.array(z.string()).nullish() }),
  })
  .transform(({ Config, Mounts }): MadeWith => {
    const pairs = (Config.Env ?? []).map((one) => /^([^=]+)=(.*)$/s.exec(one));
    const named = pairs.flatMap((pair) => (pair ? [[pair[1] ?? '', pair[2] ?? ''] as const] : []));
    return { mounts: Mounts, environment: new Map(named) };
  });

/** How much a container may use. */
export interface Limits {
  readonly memoryBytes: number;
  /** Thousand-millionths of a processor. */
  readonly nanoCpus: number;
}

const limitsSchema = z
  .object({ HostConfig: z.object({ Memory: z.int(), NanoCpus: z.int() }) })
  .transform(
    ({ HostConfig }): Limits => ({
      memoryBytes: HostConfig.Memory,
      nanoCpus: HostConfig.NanoCpus,
    }),
  );

export interface MadeWith {
  readonly mounts: readonly Mount[];
  readonly environment: ReadonlyMap<string, string>;
}

/** A folder or file of the host, of a volume the folder that it is, and where a container has it. */
export interface Mount {
  readonly from: string;
  readonly to: string;
}

/**
 * The Docker daemon over its socket: a request takes some milliseconds, where the CLI costs a process. It inspects, and it starts, stops
 * and removes containers by their id, which needs no file; all that makes a container goes through the CLI.
 */
export class DockerApi {
  readonly #daemon: DaemonSocket;

  constructor(socket: string, onCall: () => void = () => {}) {
    this.#daemon = new DaemonSocket(socket, onCall);
  }

  async ping(): Promise<void> {
    await this.#daemon.call('/_ping');
  }

  /** Containers that carry all of these labels (`name=value` or `name`), whatever their state. */
  async containers(labels: readonly string[]): Promise<Container[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: labels }));
    const { body } = await this.#daemon.call(`/containers/json?all=1&filters=${filters}`);
    return z.array(containerSchema).parse(JSON.parse(body));
  }

  /** How often the daemon has restarted a container automatically since it was started; 0 when it is gone. */
  async restarts(id: string): Promise<number> {
    const answer = await this.#daemon.call(`/containers/${id}/json`, { accepted: [404] });
    if (answer.status === 404) return 0;
    return z.object({ RestartCount: z.int() }).parse(JSON.parse(answer.body)).RestartCount;
  }

  /** The memory that a container uses, in bytes, as `docker stats` has it; null when it does not run. */
  async memory(id: string, signal: AbortSignal): Promise<number | null> {
    // One shot: without it the daemon waits for a second sample.
    const path = `/containers/${id}/stats?stream=false&one-shot=true`;
    const answer = await this.#daemon.call(path, { accepted: [404], signal });
    if (answer.status === 404) return null;
    return statsSchema.parse(JSON.parse(answer.body));
  }

  /** What a container was made with, running or not. @throws RetryableError('DockerRefused') where there is none */
  async madeWith(id: string): Promise<MadeWith> {
    const { body } = await this.#daemon.call(`/containers/${id}/json`);
    return madeWithSchema.parse(JSON.parse(body));
  }

  /** What a container may use now. @throws RetryableError('DockerRefused') where there is none */
  async limits(id: string): Promise<Limits> {
    const { body } = await this.#daemon.call(`/containers/${id}/json`);
    return limitsSchema.parse(JSON.parse(body));
  }

  /** Gives a container other limits while it runs. @throws RetryableError('DockerRefused') for more than this host has */
  async limit(id: string, { memoryBytes, nanoCpus }: Limits): Promise<void> {
    // As it is made: what it may use of memory is all that it may, without a swap beside it.
    const body = { Memory: memoryBytes, MemorySwap: memoryBytes, NanoCpus: nanoCpus };
    await this.#daemon.call(`/containers/${id}/update`, { method: 'POST', body });
  }

  /** Starts a container as it was made. One that runs already is no error; one that is gone is. */
  async start(id: string, signal: AbortSignal): Promise<void> {
    const options = { timeoutMs: START_TIMEOUT_MS, signal, accepted: [304] };
    await this.#daemon.call(`/containers/${id}/start`, { method: 'POST', ...options });
  }

  /** Stops a container with the grace period it was made with. One that is stopped or gone already is no error. */
  async stop(id: string, signal: AbortSignal): Promise<void> {
    const options = { timeoutMs: STOP_TIMEOUT_MS, signal, accepted: [304, 404] };
    await this.#daemon.call(`/containers/${id}/stop`, { method: 'POST', ...options });
  }

  /** Freezes a container's processes. One that does not run any more, is frozen already, or cannot be at this moment, is no error. */
  async pause(id: string): Promise<void> {
    // 409: it is not running, or paused already; 500: the kernel cannot freeze a process that waits for a disk (cgroups version 1).
    await this.#daemon.call(`/containers/${id}/pause`, {
      method: 'POST',
      accepted: [404, 409, 500],
    });
  }

  /** Resumes a paused container: before that it receives no signal. */
  async unpause(id: string): Promise<void> {
    // 409: it is not paused any more; 500: the same from daemons before API 1.42.
    await this.#daemon.call(`/containers/${id}/unpause`, {
      method: 'POST',
      accepted: [404, 409, 500],
    });
  }

  /** Removes a container, running or not; the volumes and folders that it mounts stay. */
  async remove(id: string): Promise<void> {
    // 409: it is being removed already.
    const options = { timeoutMs: STOP_TIMEOUT_MS, accepted: [404, 409] };
    await this.#daemon.call(`/containers/${id}?force=1`, { method: 'DELETE', ...options });
  }

  /** The id (`sha256:…`) of a local image, or null when it is not here. */
  async imageId(image: string): Promise<string | null> {
    const path = `/images/${encodeURIComponent(image)}/json`;
    const { body, status } = await this.#daemon.call(path, { accepted: [404] });
    return status === 404 ? null : z.object({ Id: z.string() }).parse(JSON.parse(body)).Id;
  }

  /** The digests under which registries have a local image, each `name@sha256:…`; none of one that was built here. */
  async imageDigests(image: string): Promise<string[]> {
    const path = `/images/${encodeURIComponent(image)}/json`;
    const { body, status } = await this.#daemon.call(path, { accepted: [404] });
    if (status === 404) return [];
    const schema = z.object({ RepoDigests: z.array(z.string()).nullish() });
    return schema.parse(JSON.parse(body)).RepoDigests ?? [];
  }

  /** A network's subnet, gateway and number of containers, or null when there is none of that name. */
  async network(
    name: string,
  ): Promise<{ subnet: string; gateway: string; containers: number } | null> {
    const path = `/networks/${encodeURIComponent(name)}`;
    const { body, status } = await this.#daemon.call(path, { accepted: [404] });
    if (status === 404) return null;
    const network = z
      .object({
        IPAM: z.object({
          Config: z.array(z.object({ Subnet: z.string(), Gateway: z.string().default('') })),
        }),
        Containers: z.record(z.string(), z.unknown()).default({}),
      })
      .parse(JSON.parse(body));
    const { Subnet: subnet = '', Gateway: gateway = '' } = network.IPAM.Config[0] ?? {};
    return { subnet, gateway, containers: Object.keys(network.Containers).length };
  }

  /** The networks that carry a label (`name=value`), each with the Linux bridge it is. */
  async networks(label: string): Promise<{ name: string; bridge: string }[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
    const { body } = await this.#daemon.call(`/networks?filters=${filters}`);
    return z
      .array(networkSchema)
      .parse(JSON.parse(body))
      .map(({ Id, Name, Options }) => ({
        name: Name,
        // The name that Docker gives it by default.
        bridge: Options['com.docker.network.bridge.name'] ?? `br-${Id.slice(0, 12)}`,
      }));
  }

  /** The subnets of all networks, and the pools that the daemon takes those of new ones from; null: its own. */
  async addresses(): Promise<{ subnets: string[]; pools: AddressPool[] | null }> {
    const networks = z
      .array(subnetsSchema)
      .parse(JSON.parse((await this.#daemon.call('/networks')).body));
    const info = poolsSchema.parse(JSON.parse((await this.#daemon.call('/info')).body));
    return { subnets: networks.flat(), pools: info.DefaultAddressPools };
  }

  /**
   * Calls back with the labels of every container event that carries the label, until the stream or signal ends.
   * A line that cannot be parsed is skipped: the next sweep finds what it was about.
   * @param onOpen is called once no event can be missed any more
   * @throws RetryableError when the stream was refused or cut
   */
  async events(
    label: string,
    onOpen: () => void,
    onEvent: (labels: Readonly<Record<string, string>>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const filters = JSON.stringify({ type: ['container'], event: EVENTS, label: [label] });
    const path = `/events?filters=${encodeURIComponent(filters)}`;
    const onLine = (line: string) => {
      const labels = labelsIn(line);
      if (labels) onEvent(labels);
    };
    await this.#daemon.lines(path, onOpen, onLine, signal);
  }
}

const eventSchema = z.object({
  Actor: z.object({ Attributes: z.record(z.string(), z.string()) }),
});

/** The labels in one line of events, null when it is not one. */
function labelsIn(line: string): Readonly<Record<string, string>> | null {
  try {
    return eventSchema.parse(JSON.parse(line)).Actor.Attributes;
  } catch {
    return null;
  }
}
