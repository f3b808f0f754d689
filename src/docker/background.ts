import type { DockerApi } from './docker-api.ts';
import type { DockerCli } from './docker-cli.ts';
import { BACKGROUND_LABEL } from './helpers.ts';
import { LABELS } from './labels.ts';

/** How long it stands still at most, and how long it then runs at least, in milliseconds: what it holds locked in a database, a customer may wait for. */
const MAX_MS = 30_000;

/** How long after a start it goes on, in milliseconds: the customer's login follows. */
const AFTER_MS = 2_000;

/** How often it is paused, in milliseconds: a container that was being made had nothing to pause, and one that waits for a disk cannot be. */
const AGAIN_MS = 250;

export interface BackgroundOptions {
  readonly install: string;
  readonly api: Pick<DockerApi, 'containers' | 'pause' | 'unpause'>;
  readonly onError: (error: unknown) => void;
}

/**
 * The work of the lowest priority: backups, their proofs, rehearsals of updates. While customers' instances start it stands still: with a low
 * share of the processors alone, it still made starts wait for the disk, for Docker and for the kernel (docs/benchmarks.md).
 */
export class Background {
  readonly #options: BackgroundOptions;
  /** How many starts are under way. */
  #starts = 0;
  /** What waits until it goes on; null: it does not stand still. */
  #stand: { readonly over: Promise<void>; readonly end: () => void } | null = null;
  #restsUntil = 0;
  #again: NodeJS.Timeout | undefined;
  #limit: NodeJS.Timeout | undefined;
  #after: NodeJS.Timeout | undefined;
  /** One after the other: what is paused last was paused by the last of them. */
  #calls: Promise<void> = Promise.resolve();

  constructor(options: BackgroundOptions) {
    this.#options = options;
  }

  /** @returns the program of Docker, which begins nothing of the lowest priority while that stands still */
  behind(docker: DockerCli): DockerCli {
    return async (command, options) => {
      if (command.includes(BACKGROUND_LABEL)) {
        await this.#stand?.over;
        options?.signal?.throwIfAborted();
      }
      return docker(command, options);
    };
  }

  /** Does what a customer waits for: all of the lowest priority stands still meanwhile. @returns what `work` returns */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#starts += 1;
    clearTimeout(this.#after);
    if (this.#starts === 1) this.#standStill();
    try {
      return await work();
    } finally {
      this.#starts -= 1;
      if (this.#starts === 0) this.#after = later(() => this.#goOn(), AFTER_MS);
    }
  }

  /** Lets run what a sidecar that was killed had paused. */
  async resume(): Promise<void> {
    this.#call(() => this.#each('paused', 'unpause'));
    await this.#calls;
  }

  #standStill(): void {
    if (this.#stand || Date.now() < this.#restsUntil) return;
    let end = () => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#stand = { over, end };
    this.#pause();
    this.#limit = later(() => {
      this.#restsUntil = Date.now() + MAX_MS;
      this.#goOn();
    }, MAX_MS);
  }

  #pause(): void {
    this.#call(() => this.#each('running', 'pause'));
    this.#again = later(() => this.#pause(), AGAIN_MS);
  }

  #goOn(): void {
    clearTimeout(this.#again);
    clearTimeout(this.#limit);
    const stand = this.#stand;
    this.#stand = null;
    if (!stand) return;
    void this.resume();
    stand.end();
  }

  async #each(state: 'running' | 'paused', act: 'pause' | 'unpause'): Promise<void> {
    const { api, install } = this.#options;
    const found = await api.containers([
      `${LABELS.install}=${install}`,
      BACKGROUND_LABEL.replace('--label=', ''),
    ]);
    const ids = found.filter((it) => it.state === state).map(({ id }) => id);
    await Promise.all(ids.map((id) => api[act](id)));
  }

  #call(work: () => Promise<void>): void {
    this.#calls = this.#calls.then(work).catch(this.#options.onError);
  }
}

/** A timer that keeps no process alive. */
function later(act: () => void, ms: number): NodeJS.Timeout {
  return setTimeout(act, ms).unref();
}
