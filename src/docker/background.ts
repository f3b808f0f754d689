import type { DockerApi } from './docker-api.ts';
import type { DockerCli } from './docker-cli.ts';
import { BACKGROUND_LABEL } from './helpers.ts';
import { LABELS } from './labels.ts';

/** How long it stands still at most, in milliseconds: less than a connection to what is frozen waits for its answer (`cluster.ts`). */
const MAX_MS = 15_000;

/** How long after a start it goes on, in milliseconds: the customer's login follows. */
const AFTER_MS = 2_000;

/** How often it is frozen, in milliseconds: a container that was being made had nothing to freeze, and one that waits for a disk cannot be. */
const AGAIN_MS = 250;

/** How often it is thawed, in milliseconds, and how many times at most, where the daemon does not answer. */
const [THAW_MS, MAX_THAWS] = [1_000, 600];

export interface BackgroundOptions {
  readonly install: string;
  readonly api: Pick<DockerApi, 'containers' | 'pause' | 'unpause'>;
  readonly onError: (error: unknown) => void;
}

/** One time of standing still. */
interface Stand {
  readonly since: number;
  readonly over: Promise<void>;
  readonly end: () => void;
}

/**
 * What works for backups and rehearsals: restic, and the Postgres that proofs are made with. While customers' instances start it stands still:
 * with a low share of the processors alone, it still made starts wait for the disk, for Docker and for the kernel (docs/benchmarks.md).
 */
export class Background {
  readonly #options: BackgroundOptions;
  /** How many starts are under way. */
  #starts = 0;
  #stand: Stand | null = null;
  #restsUntil = 0;
  #after: NodeJS.Timeout | undefined;

  constructor(options: BackgroundOptions) {
    this.#options = options;
  }

  /** @returns the program of Docker, which begins nothing of this kind while that stands still */
  behind(docker: DockerCli): DockerCli {
    return async (command, options) => {
      if (command.includes(BACKGROUND_LABEL)) {
        await this.#stand?.over;
        options?.signal?.throwIfAborted();
      }
      return docker(command, options);
    };
  }

  /** Does what a customer waits for: the other stands still meanwhile. @returns what `work` returns */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#starts += 1;
    clearTimeout(this.#after);
    this.#standStill();
    try {
      return await work();
    } finally {
      this.#starts -= 1;
      if (this.#starts === 0) this.#after = later(() => this.#goOn(), AFTER_MS);
    }
  }

  /** Lets run what stands still, and what a sidecar that was killed has left so. */
  async resume(): Promise<void> {
    clearTimeout(this.#after);
    this.#goOn();
    await this.#each('paused', 'unpause').catch(this.#options.onError);
  }

  #standStill(): void {
    if (this.#stand || Date.now() < this.#restsUntil) return;
    let end = () => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    const stand = { since: Date.now(), over, end };
    this.#stand = stand;
    void this.#hold(stand);
  }

  /** It then runs for at least as long as it stood: nobody can keep it from its end. */
  #goOn(): void {
    if (!this.#stand) return;
    const { end, since } = this.#stand;
    this.#restsUntil = Date.now() + (Date.now() - since);
    this.#stand = null;
    end();
  }

  /** One call after another: what is asked of the daemon last is to thaw it. */
  async #hold(stand: Stand): Promise<void> {
    const limit = later(() => this.#goOn(), MAX_MS);
    while (this.#stand === stand) {
      await this.#each('running', 'pause').catch(this.#options.onError);
      await Promise.race([stand.over, passed(AGAIN_MS)]);
    }
    clearTimeout(limit);
    await this.#thaw();
  }

  async #thaw(): Promise<void> {
    for (let thaws = 0; thaws < MAX_THAWS && !this.#stand; thaws++) {
      const found = await this.#each('paused', 'unpause').catch((error: unknown) => {
        this.#options.onError(error);
        return null;
      });
      if (found === 0) return;
      await passed(THAW_MS);
    }
  }

  /** @returns how many were in that state */
  async #each(state: 'running' | 'paused', act: 'pause' | 'unpause'): Promise<number> {
    const { api, install } = this.#options;
    const all = await api.containers([`${LABELS.install}=${install}`, LABELS.background]);
    const found = all.filter((it) => it.state === state);
    await Promise.all(found.map(({ id }) => api[act](id)));
    return found.length;
  }
}

/** A timer that keeps no process alive. */
function later(act: () => void, ms: number): NodeJS.Timeout {
  return setTimeout(act, ms).unref();
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    later(resolve, ms);
  });
}
