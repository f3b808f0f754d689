import type { Container, DockerApi, Limits } from '../docker/docker-api.ts';
import { RetryableError } from '../errors.ts';

/**
 * The limits of containers that run. More memory, and more or fewer processors, are given at once; less memory waits for the next start, for
 * what is in use now would be taken from it.
 */
export class LiveLimits {
  readonly #api: Pick<DockerApi, 'limit' | 'limits'>;
  /** What Docker has refused: it waits for the next start, which fails and says why. */
  readonly #refused = new Set<string>();

  constructor(api: Pick<DockerApi, 'limit' | 'limits'>) {
    this.#api = api;
  }

  /** Whether a running container is to be given these limits. */
  async areOther({ id }: Container, wanted: Limits): Promise<boolean> {
    if (this.#refused.has(keyOf(id, wanted))) return false;
    const { memoryBytes, nanoCpus } = await this.#api.limits(id);
    return memoryBytes < wanted.memoryBytes || nanoCpus !== wanted.nanoCpus;
  }

  /** Gives a running container these limits, as far as that takes nothing from it. */
  async apply({ id }: Container, wanted: Limits): Promise<void> {
    const { memoryBytes } = await this.#api.limits(id);
    const limits = { ...wanted, memoryBytes: Math.max(memoryBytes, wanted.memoryBytes) };
    try {
      await this.#api.limit(id, limits);
    } catch (error) {
      if (!(error instanceof RetryableError) || error.reason !== 'DockerRefused') throw error;
      this.#refused.add(keyOf(id, wanted));
    }
  }
}

function keyOf(id: string, { memoryBytes, nanoCpus }: Limits): string {
  return `${id} ${memoryBytes} ${nanoCpus}`;
}
