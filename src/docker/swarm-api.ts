import { z } from 'zod';
import { RetryableError } from '../errors.ts';
import { type DaemonAnswer, type DaemonCall, DaemonSocket } from './daemon-socket.ts';

/** The events after which an instance may be on another node, or on none. */
const EVENT_TYPES = ['service', 'node'];

/** How often the swarm is asked again when another writer has changed a service in between. */
const MAX_CONFLICTS = 5;

/** A machine of the swarm. */
export interface SwarmNode {
  readonly id: string;
  readonly name: string;
  /** Where its published ports are. */
  readonly address: string;
  /** The managers hear of it. */
  readonly isReady: boolean;
  /** New tasks may be put on it: it is neither drained nor paused. */
  readonly isActive: boolean;
  readonly isManager: boolean;
  readonly memoryBytes: number;
}

/** What a new leader says of each node until it has heard of it, or has given it up: some seconds later it is ready or lost. */
const UNKNOWN = 'unknown';

const nodeSchema = z
  .object({
    ID: z.string(),
    Spec: z.object({ Availability: z.string() }),
    Description: z.object({
      Hostname: z.string().default(''),
      Resources: z.object({ MemoryBytes: z.number().default(0) }),
    }),
    Status: z.object({ State: z.string(), Addr: z.string().default('') }),
    ManagerStatus: z.object({ Addr: z.string().default('') }).optional(),
  })
  .transform((it): SwarmNode | typeof UNKNOWN => {
    if (it.Status.State === UNKNOWN) return UNKNOWN;
    return {
      id: it.ID,
      name: it.Description.Hostname,
      // A manager may know itself by no address, or by its loopback one.
      address: it.ManagerStatus?.Addr.replace(/:\d+$/, '') || it.Status.Addr,
      isReady: it.Status.State === 'ready',
      isActive: it.Spec.Availability === 'active',
      isManager: it.ManagerStatus !== undefined,
      memoryBytes: it.Description.Resources.MemoryBytes,
    };
  });

/** What Swarm is to keep running. Docker's own names: it is written as it is read. */
export interface ServiceSpec {
  readonly Name: string;
  readonly Labels?: Readonly<Record<string, string>> | null | undefined;
  readonly TaskTemplate: {
    readonly ContainerSpec?:
      | {
          readonly Secrets?:
            | ReadonlyArray<{ readonly SecretName?: string | undefined }>
            | null
            | undefined;
        }
      | undefined;
    readonly Placement?:
      | { readonly Constraints?: readonly string[] | null | undefined }
      | undefined;
    readonly Resources?:
      | { readonly Reservations?: { readonly MemoryBytes?: number | undefined } | undefined }
      | undefined;
  };
  readonly Mode: { readonly Replicated?: { readonly Replicas?: number | undefined } | undefined };
  readonly EndpointSpec?:
    | {
        readonly Ports?:
          | ReadonlyArray<{
              readonly TargetPort?: number | undefined;
              readonly PublishedPort?: number | undefined;
            }>
          | null
          | undefined;
      }
    | undefined;
}

const specSchema = z.looseObject({
  Name: z.string(),
  Labels: z.record(z.string(), z.string()).nullish(),
  TaskTemplate: z.looseObject({
    ContainerSpec: z
      .looseObject({
        Secrets: z.array(z.looseObject({ SecretName: z.string().optional() })).nullish(),
      })
      .optional(),
    Placement: z.looseObject({ Constraints: z.array(z.string()).nullish() }).optional(),
    Resources: z
      .looseObject({
        Reservations: z.looseObject({ MemoryBytes: z.number().optional() }).optional(),
      })
      .optional(),
  }),
  Mode: z.looseObject({
    Replicated: z.looseObject({ Replicas: z.number().optional() }).optional(),
  }),
  EndpointSpec: z
    .looseObject({
      Ports: z
        .array(
          z.looseObject({
            TargetPort: z.number().optional(),
            PublishedPort: z.number().optional(),
          }),
        )
        .nullish(),
    })
    .optional(),
});

export interface Service {
  readonly id: string;
  /** Grows with each change: who changes it says which one they have seen. */
  readonly version: number;
  readonly spec: ServiceSpec;
}

const serviceSchema = z
  .object({ ID: z.string(), Version: z.object({ Index: z.number() }), Spec: specSchema })
  .transform((it): Service => ({ id: it.ID, version: it.Version.Index, spec: it.Spec }));

/** One attempt of Swarm's to run a service's container. */
export interface Task {
  readonly id: string;
  readonly service: string;
  /** '' while none has been found. */
  readonly node: string;
  /** new, pending, assigned, accepted, preparing, ready, starting, running, complete, shutdown, failed, rejected, remove, orphaned */
  readonly state: string;
  /** What Swarm wants of it: `running`, `ready` (its turn comes), `shutdown`, `remove`. */
  readonly desired: string;
  /** Why it is in this state; '' where nothing is wrong. */
  readonly error: string;
  readonly labels: Readonly<Record<string, string>>;
}

const taskSchema = z
  .object({
    ID: z.string(),
    ServiceID: z.string().default(''),
    NodeID: z.string().default(''),
    DesiredState: z.string(),
    Status: z.object({
      State: z.string(),
      Err: z.string().default(''),
    }),
    Spec: z.object({
      ContainerSpec: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).optional(),
    }),
  })
  .transform(
    (it): Task => ({
      id: it.ID,
      service: it.ServiceID,
      node: it.NodeID,
      state: it.Status.State,
      desired: it.DesiredState,
      error: it.Status.Err,
      labels: it.Spec.ContainerSpec?.Labels ?? {},
    }),
  );

/** A file that Swarm keeps and gives to the nodes that need it. */
export interface Secret {
  readonly id: string;
  readonly name: string;
}

const secretSchema = z
  .object({ ID: z.string(), Spec: z.object({ Name: z.string() }) })
  .transform((it): Secret => ({ id: it.ID, name: it.Spec.Name }));

const eventSchema = z.object({
  Type: z.string(),
  Actor: z.object({ Attributes: z.record(z.string(), z.string()).nullish() }),
});

/** What the stream of events tells: of a service its name alone. */
export interface SwarmEvent {
  readonly type: string;
  readonly name: string;
}

/**
 * A swarm, asked through its managers. The one that answered last is asked first; where it does not answer, or knows no leader, the next
 * one is.
 */
export class SwarmApi {
  readonly #managers: readonly DaemonSocket[];
  #first = 0;

  /** @param sockets of managers, absolute paths; at least one */
  constructor(sockets: readonly string[], onCall: () => void = () => {}) {
    this.#managers = sockets.map((socket) => new DaemonSocket(socket, onCall));
  }

  /** @throws RetryableError('DockerUnavailable') too while it is unknown how one of them is: such a node is not to be taken for lost */
  async nodes(): Promise<SwarmNode[]> {
    const found = z.array(nodeSchema).parse(await this.#json('/nodes'));
    return found.map((node) => {
      if (node !== UNKNOWN) return node;
      throw new RetryableError(
        'DockerUnavailable',
        'The swarm has a new leader, which has not heard of all nodes yet.',
      );
    });
  }

  /** @param label `name=value`; all services by default */
  async services(label?: string): Promise<Service[]> {
    const filters = label === undefined ? {} : { label: [label] };
    return z.array(serviceSchema).parse(await this.#json(`/services?${filtered(filters)}`));
  }

  /** The service of this name; null: there is none. */
  async service(name: string): Promise<Service | null> {
    const { body, status } = await this.#call(`/services/${encodeURIComponent(name)}`, {
      accepted: [404],
    });
    return status === 404 ? null : serviceSchema.parse(JSON.parse(body));
  }

  /** The tasks that Swarm wants to run, of all services. */
  async wantedTasks(): Promise<Task[]> {
    const filters = { 'desired-state': ['running', 'ready'] };
    return z.array(taskSchema).parse(await this.#json(`/tasks?${filtered(filters)}`));
  }

  /** The tasks of one service, as far back as Swarm remembers them. @param service its id */
  async tasksOf(service: string): Promise<Task[]> {
    return z
      .array(taskSchema)
      .parse(await this.#json(`/tasks?${filtered({ service: [service] })}`));
  }

  /** Makes the service, or gives the one of its name this specification. */
  async put(spec: ServiceSpec): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const known = await this.service(spec.Name);
      const path = known
        ? `/services/${known.id}/update?version=${known.version}`
        : '/services/create';
      try {
        await this.#call(path, { method: 'POST', body: spec });
        return;
      } catch (error) {
        // Its version is another one by now, or it has just been made.
        if (!isConflict(error) || attempt >= MAX_CONFLICTS) throw error;
      }
    }
  }

  /** One that is gone is no error. */
  async remove(service: string): Promise<void> {
    await this.#call(`/services/${service}`, { method: 'DELETE', accepted: [404] });
  }

  /** @param label all of which they carry, each `name=value` */
  async secrets(label: readonly string[]): Promise<Secret[]> {
    return z.array(secretSchema).parse(await this.#json(`/secrets?${filtered({ label })}`));
  }

  /** @param content is not kept in any log @returns its id */
  async makeSecret(
    name: string,
    labels: Readonly<Record<string, string>>,
    content: string,
  ): Promise<string> {
    const body = { Name: name, Labels: labels, Data: Buffer.from(content).toString('base64') };
    const answer = await this.#call('/secrets/create', { method: 'POST', body });
    return z.object({ ID: z.string() }).parse(JSON.parse(answer.body)).ID;
  }

  /** One that is gone is no error. @throws RetryableError('DockerRefused') where a service uses it */
  async removeSecret(id: string): Promise<void> {
    await this.#call(`/secrets/${id}`, { method: 'DELETE', accepted: [404] });
  }

  /**
   * Calls back with what happens to services and nodes, until the stream or the signal ends.
   * @param onOpen is called once no event can be missed any more
   * @throws RetryableError when the stream was refused or cut
   */
  async events(
    onOpen: () => void,
    onEvent: (event: SwarmEvent) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const path = `/events?${filtered({ type: EVENT_TYPES })}`;
    const manager = this.#managers[this.#first] as DaemonSocket;
    const onLine = (line: string) => {
      const event = eventIn(line);
      if (event) onEvent(event);
    };
    try {
      await manager.lines(path, onOpen, onLine, signal);
    } catch (error) {
      // A stream is not begun at the next one: whoever reads it has to look at all first.
      this.#first = (this.#first + 1) % this.#managers.length;
      throw error;
    }
  }

  async #json(path: string): Promise<unknown> {
    return JSON.parse((await this.#call(path)).body);
  }

  /** @throws as DaemonSocket.call(), of the last manager that was asked */
  async #call(path: string, options: DaemonCall = {}): Promise<DaemonAnswer> {
    const begin = this.#first;
    for (let skipped = 0; ; skipped++) {
      const index = (begin + skipped) % this.#managers.length;
      try {
        const answer = await (this.#managers[index] as DaemonSocket).call(path, options);
        this.#first = index;
        return answer;
      } catch (error) {
        const isLast = skipped === this.#managers.length - 1;
        if (isLast || !isOfManager(error) || options.signal?.aborted) throw error;
      }
    }
  }
}

/** Another manager may answer: this one is away, is no manager any more or knows no leader (503). */
function isOfManager(error: unknown): boolean {
  const { reason } = error as Partial<RetryableError>;
  return reason === 'DockerUnavailable' || reason === 'DockerFailed';
}

/** A name that exists already (409), or a version that is not the last (500, `update out of sequence`). */
function isConflict(error: unknown): boolean {
  if (!(error instanceof RetryableError) || !(error.cause instanceof Error)) return false;
  return /answered 409|update out of sequence/.test(error.cause.message);
}

function filtered(filters: Readonly<Record<string, readonly string[]>>): string {
  return `filters=${encodeURIComponent(JSON.stringify(filters))}`;
}

/** What one line of events says, null when it is not one. */
function eventIn(line: string): SwarmEvent | null {
  try {
    const { Actor, Type } = eventSchema.parse(JSON.parse(line));
    return { type: Type, name: Actor.Attributes?.['name'] ?? '' };
  } catch {
    return null;
  }
}
