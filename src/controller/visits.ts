import type { Listed, Probe } from '../interfaces.ts';

/** How long a visitor waits for an instance that runs but does not answer, as one that restarts itself, and how often it is tried. */
const WAIT_MS = 4_000;
const INTERVAL_MS = 250;

export interface VisitsOptions {
  readonly probe: Probe;
  /** The containers of an instance that should run; undefined for any other. */
  readonly listed: (id: number) => Listed | undefined;
}

/** Visitors of instances that have just not answered. */
export class Visits {
  readonly #options: VisitsOptions;
  readonly #waiting = new Map<number, Promise<boolean>>();

  constructor(options: VisitsOptions) {
    this.#options = options;
  }

  /** Whether the instance takes requests, now or within some seconds. Any number of visitors are one wait. */
  takes(id: number): Promise<boolean> {
    const waiting = this.#waiting.get(id);
    if (waiting) return waiting;
    const wait = this.#await(id).finally(() => this.#waiting.delete(id));
    this.#waiting.set(id, wait);
    return wait;
  }

  async #await(id: number): Promise<boolean> {
    const until = Date.now() + WAIT_MS;
    for (;;) {
      const listed = this.#options.listed(id);
      if (!listed) return false;
      if ((await this.#options.probe(id, listed)) === 'well') return true;
      if (Date.now() > until) return false;
      await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    }
  }
}
