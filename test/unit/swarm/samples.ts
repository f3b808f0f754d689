import type { Service, SwarmNode, Task } from '../../../src/docker/swarm-api.ts';

const GB = 2 ** 30;

/** At an address where a connection is refused at once. */
export function aNode(over: Partial<SwarmNode> = {}): SwarmNode {
  return {
    ...{ id: 'n1', name: 'one', address: '127.0.0.1', isReady: true, isActive: true },
    ...{ isManager: true, memoryBytes: 8 * GB },
    ...over,
  };
}

/**
 * Of an instance that is to run on a node.
 * @param reserved bytes @param digest of its files @param conf the name of its secret @param labels more of them
 */
export function aService(
  node: string,
  {
    conf = 'c',
    digest = 'd',
    labels = {},
    replicas = 1,
    reserved = GB,
  }: {
    conf?: string;
    digest?: string;
    labels?: Record<string, string>;
    replicas?: number;
    reserved?: number;
  } = {},
): Service {
  return {
    ...{ id: 's1', version: 1 },
    spec: {
      Name: 'ms-k3x9ab-7',
      Labels: { 'microsaas.digest': digest, ...labels },
      TaskTemplate: {
        ContainerSpec: { Secrets: [{ SecretName: conf }] },
        Placement: { Constraints: [`node.id==${node}`] },
        Resources: { Reservations: { MemoryBytes: reserved } },
      },
      Mode: { Replicated: { Replicas: replicas } },
    },
  };
}

export function aTask(over: Partial<Task> = {}): Task {
  return {
    ...{ id: 't1', service: 's1', node: 'n1', state: 'running', desired: 'running' },
    ...{ error: '', labels: {} },
    ...over,
  };
}
