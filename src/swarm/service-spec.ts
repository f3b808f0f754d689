import { createHash } from 'node:crypto';
import { LABELS } from '../docker/labels.ts';
import type { ServiceSpec } from '../docker/swarm-api.ts';
import type { InstanceSpec } from '../files/instance-spec.ts';
import type { UnixUser } from '../host/files.ts';

const SECOND = 1e9;

/** How long Swarm waits until it starts again what has ended, in nanoseconds. */
const RESTART_DELAY = SECOND;

/**
 * The share of its memory limit that a node keeps for an instance. An Odoo with a few users uses about 200 MB (docs/benchmarks.md), a
 * fifth of what the template gives it.
 */
const RESERVED_SHARE = 0.25;

/** What a service is made with beside its instance's own specification. */
export interface ServiceFacts {
  readonly name: string;
  /** `sha256:…`: for a tag, each task would ask a registry first. */
  readonly imageId: string;
  /** The id of the one node that it may run on. */
  readonly node: string;
  /** Swarm's secret with odoo.conf, and who may read it. */
  readonly conf: { readonly id: string; readonly name: string };
  readonly owner: UnixUser;
}

/** What of its memory an instance has for itself. */
export function reservedBytes({ memoryBytes }: Pick<InstanceSpec, 'memoryBytes'>): number {
  return Math.round(memoryBytes * RESERVED_SHARE);
}

/**
 * The service that runs an instance, in the words of the Engine API 1.44. Pure. It has one container at most: Swarm starts it again on its
 * node, and on no other.
 */
export function serviceSpec(spec: InstanceSpec, facts: ServiceFacts): ServiceSpec {
  const task = taskTemplate(spec, facts);
  // Tells whether a task was made from this very specification.
  const made = createHash('sha256').update(JSON.stringify(task)).digest('hex');
  const labels = { ...spec.labels, [LABELS.made]: made };
  return {
    Name: facts.name,
    Labels: labels,
    TaskTemplate: { ...task, ContainerSpec: { ...task.ContainerSpec, Labels: labels } },
    Mode: { Replicated: { Replicas: 1 } },
    UpdateConfig: { Parallelism: 1, Order: 'stop-first', FailureAction: 'pause' },
    EndpointSpec: {
      // No address of its own in the swarm: it is reached at its node's ports.
      Mode: 'dnsrr',
      Ports: publishable(spec.ports).map(({ published, target }) => ({
        ...{ Protocol: 'tcp', TargetPort: target, PublishedPort: published, PublishMode: 'host' },
      })),
    },
  } as ServiceSpec;
}

/** Swarm publishes a container's port once: of several, the last would take the place of the others. The first of ours is that of HTTP. */
function publishable(ports: InstanceSpec['ports']): InstanceSpec['ports'] {
  return ports.filter(
    ({ target }, index) => ports.findIndex((it) => it.target === target) === index,
  );
}

function taskTemplate(spec: InstanceSpec, facts: ServiceFacts) {
  const { conf, imageId, node, owner } = facts;
  const { hardening } = spec;
  return {
    ContainerSpec: {
      Image: imageId,
      Command: spec.entrypoint,
      Args: spec.arguments,
      Env: Object.entries(spec.environment).map(([name, value]) => `${name}=${value}`),
      ...(spec.user === null ? {} : { User: spec.user }),
      Sysctls: spec.sysctls,
      Init: hardening.init,
      ReadOnly: hardening.readOnly,
      CapabilityDrop: hardening.dropsAllCapabilities ? ['ALL'] : [],
      Privileges: { NoNewPrivileges: hardening.noNewPrivileges },
      StopGracePeriod: spec.graceSeconds * SECOND,
      Mounts: [
        ...spec.mounts.map(({ readOnly, source, target }) => ({
          ...{ Type: 'bind', Source: source, Target: target, ReadOnly: readOnly },
        })),
        ...spec.tmpfs.map(({ mode, sizeBytes, target }) => ({
          ...{ Type: 'tmpfs', Target: target, TmpfsOptions: { SizeBytes: sizeBytes, Mode: mode } },
        })),
      ],
      Secrets: [
        {
          SecretID: conf.id,
          SecretName: conf.name,
          File: {
            Name: spec.conf.target,
            ...{ UID: String(owner.uid), GID: String(owner.gid), Mode: 0o400 },
          },
        },
      ],
    },
    Resources: {
      Limits: { NanoCPUs: spec.nanoCpus, MemoryBytes: spec.memoryBytes, Pids: spec.pids },
      Reservations: { MemoryBytes: reservedBytes(spec) },
    },
    RestartPolicy: { Condition: 'any', Delay: RESTART_DELAY },
    Placement: { Constraints: [onNode(node)], MaxReplicas: 1 },
    LogDriver: { Name: spec.logging.driver, Options: spec.logging.options },
  };
}

const ON_NODE = 'node.id==';

function onNode(id: string): string {
  return `${ON_NODE}${id}`;
}

/** The id of the node that a service is for; null: it is none of ours. */
export function nodeOf({ TaskTemplate }: ServiceSpec): string | null {
  const found = TaskTemplate.Placement?.Constraints?.find((it) => it.startsWith(ON_NODE));
  return found?.slice(ON_NODE.length) ?? null;
}

/** The name of the secret with its odoo.conf; null: it has none. */
export function confOf({ TaskTemplate }: ServiceSpec): string | null {
  return TaskTemplate.ContainerSpec?.Secrets?.[0]?.SecretName ?? null;
}

/** How many containers it is to have: one or none. */
export function replicasOf({ Mode }: ServiceSpec): number {
  return Mode.Replicated?.Replicas ?? 0;
}

/**
 * The same service without a container.
 * @param isShutOut what may go on of it on a node that nobody hears of cannot write: see wasShutOut()
 */
export function stopped(spec: ServiceSpec, isShutOut = false): ServiceSpec {
  const Labels = isShutOut ? { ...spec.Labels, [LABELS.shutOut]: 'true' } : spec.Labels;
  return { ...spec, Labels, Mode: { Replicated: { Replicas: 0 } } };
}

/** Whether what may go on of a stopped service was shut out of its database. The next start makes the service without this. */
export function wasShutOut({ Labels }: ServiceSpec): boolean {
  return Labels?.[LABELS.shutOut] !== undefined;
}
