import { LABELS } from '../docker/labels.ts';
import type { Service, SwarmNode, Task } from '../docker/swarm-api.ts';
import { areSameButLimits } from '../files/render.ts';
import type { ObservedInstance } from '../instance/types.ts';
import { confOf, nodeOf, replicasOf, wasShutOut } from './service-spec.ts';

/** States of a task whose container does not run, and will not. */
const ENDED = new Set(['complete', 'shutdown', 'failed', 'rejected', 'remove', 'orphaned']);

export function hasEnded(state: string): boolean {
  return ENDED.has(state);
}

/** One instance in the swarm. */
export interface Placed {
  readonly service: Service;
  /** As far back as Swarm remembers them. */
  readonly tasks: readonly Task[];
  /** The one that its service names; null: the swarm has it no more. */
  readonly node: SwarmNode | null;
}

/** What an instance's service should be made from. */
export interface MadeFrom {
  /** Of its files. */
  readonly digest: string;
  /** The name of the secret with its odoo.conf as it is on the disk; null: that is to be written again. */
  readonly conf: string | null;
}

/**
 * What an instance's service amounts to. Pure. On a node that nobody hears of it may run or not: then it is `partial`, which is started
 * again or stopped, both with the fence before. With another odoo.conf than the present one it is `outdated`: a fence that was cut short may
 * have renewed its password.
 */
export function placedState(
  placed: Placed | null,
  { conf, digest }: MadeFrom,
): ObservedInstance['containers'] {
  if (placed === null) return 'none';
  const { node, service, tasks } = placed;
  const alive = tasks.filter(({ state }) => !hasEnded(state));
  if (replicasOf(service.spec) === 0) {
    if (!alive.some((task) => task.node === nodeOf(service.spec))) return 'stopped';
    if (node?.isReady) return 'outdated';
    // Nobody has seen it end: it is stopped once it was shut out.
    return wasShutOut(service.spec) ? 'stopped' : 'partial';
  }
  if (!node?.isReady || !node.isActive) return 'partial';
  const label = service.spec.Labels?.[LABELS.digest] ?? '';
  if (confOf(service.spec) !== conf) return 'outdated';
  return areSameButLimits(label, digest) ? 'running' : 'outdated';
}
