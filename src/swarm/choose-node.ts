import type { ServiceSpec, SwarmNode } from '../docker/swarm-api.ts';
import { RetryableError } from '../errors.ts';
import { nodeOf, replicasOf } from './service-spec.ts';

/** Whether a node can run what it is given. */
export function isUsable({ isActive, isReady }: SwarmNode): boolean {
  return isActive && isReady;
}

/**
 * The node with the most memory that nobody has reserved yet; the last one, as long as it has enough: what it has cached is there. Pure.
 * @param services all others of the swarm @param bytes what the new one reserves
 * @throws RetryableError('NotEnoughMemory') where no node has so much
 */
export function chooseNode(
  nodes: readonly SwarmNode[],
  services: readonly ServiceSpec[],
  bytes: number,
  last?: SwarmNode,
): SwarmNode {
  const reserved = new Map<string, number>();
  for (const spec of services) {
    const node = nodeOf(spec);
    if (node === null || replicasOf(spec) === 0) continue;
    const { MemoryBytes = 0 } = spec.TaskTemplate.Resources?.Reservations ?? {};
    reserved.set(node, (reserved.get(node) ?? 0) + MemoryBytes);
  }
  const roomOf = ({ id, memoryBytes }: SwarmNode) => memoryBytes - (reserved.get(id) ?? 0);
  if (last && isUsable(last) && roomOf(last) >= bytes) return last;
  const [best] = nodes.filter(isUsable).toSorted((a, b) => roomOf(b) - roomOf(a));
  if (!best || roomOf(best) < bytes)
    throw new RetryableError('NotEnoughMemory', 'No node of the swarm has memory left.');
  return best;
}
