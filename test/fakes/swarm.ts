import type {
  Secret,
  Service,
  ServiceSpec,
  SwarmApi,
  SwarmNode,
  Task,
} from '../../src/docker/swarm-api.ts';
import { RetryableError } from '../../src/errors.ts';
import { nodeOf, replicasOf } from '../../src/swarm/service-spec.ts';

/**
 * A swarm in memory: a service with one replica has a task on the node that it names, at once. On a node that nobody hears of what runs goes
 * on, whatever its service is.
 */
export class FakeSwarm {
  readonly all = new Map<string, Service>();
  readonly kept = new Map<string, Secret & { readonly content: string }>();
  readonly running: Task[] = [];
  hosts: SwarmNode[] = [];
  /** What a task ends with in place of running. */
  failure = '';
  /** What was asked that changes something, in order. */
  readonly changes: string[] = [];
  #made = 0;

  /** As what drives it takes it. */
  get api(): SwarmApi {
    return this as unknown as SwarmApi;
  }

  async nodes(): Promise<SwarmNode[]> {
    return this.hosts;
  }

  async services(): Promise<Service[]> {
    return [...this.all.values()];
  }

  async service(name: string): Promise<Service | null> {
    return this.all.get(name) ?? null;
  }

  async tasksOf(service: string): Promise<Task[]> {
    return this.running.filter((task) => task.service === service);
  }

  async wantedTasks(): Promise<Task[]> {
    return this.running.filter(({ desired }) => desired === 'running');
  }

  async put(spec: ServiceSpec): Promise<void> {
    const known = this.all.get(spec.Name);
    const service = { id: known?.id ?? `s-${spec.Name}`, version: (known?.version ?? 0) + 1, spec };
    this.all.set(spec.Name, service);
    this.changes.push(`put ${spec.Name} ${nodeOf(spec)} ${replicasOf(spec)}`);
    for (const [index, task] of this.running.entries())
      if (task.service === service.id && this.#hears(task.node))
        this.running[index] = { ...task, state: 'shutdown', desired: 'shutdown' };
    if (replicasOf(spec) === 0) return;
    this.running.push({
      ...{ id: `t${++this.#made}`, service: service.id, node: nodeOf(spec) ?? '' },
      ...{ state: this.failure ? 'rejected' : 'running', desired: 'running' },
      ...{ error: this.failure, labels: spec.Labels ?? {} },
    });
  }

  async remove(id: string): Promise<void> {
    for (const [name, service] of this.all) if (service.id === id) this.all.delete(name);
    this.changes.push(`remove ${id}`);
  }

  async secrets(): Promise<Secret[]> {
    return [...this.kept.values()];
  }

  async makeSecret(name: string, _: unknown, content: string): Promise<string> {
    this.kept.set(name, { id: `id-${name}`, name, content });
    return `id-${name}`;
  }

  async removeSecret(id: string): Promise<void> {
    const isUsed = [...this.all.values()].some(({ spec }) => JSON.stringify(spec).includes(id));
    if (isUsed) throw new RetryableError('DockerRefused', `the secret ${id} is in use`);
    for (const [name, secret] of this.kept) if (secret.id === id) this.kept.delete(name);
  }

  #hears(node: string): boolean {
    return this.hosts.some(({ id, isReady }) => id === node && isReady);
  }
}
