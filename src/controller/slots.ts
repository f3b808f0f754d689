import PQueue from 'p-queue';

/** For work that is done for no customer in particular. */
export const NO_CUSTOMER = 0;

export interface SlotPoolOptions {
  /** How many may run concurrently. */
  readonly slots: number;
  /**
   * How long one keeps its slot, in milliseconds. Then the next begins, even while this one still waits: a tenant can delay their
   * own start, nobody else's.
   */
  readonly turnMs: number;
}

/** Limits concurrent heavy work, first come first served; customers with more work under way come after those with less. */
export class SlotPool {
  readonly #queue: PQueue;
  readonly #turnMs: number;
  /** How many pieces of work of each customer are waiting or under way. */
  readonly #underWay = new Map<number, number>();

  constructor({ slots, turnMs }: SlotPoolOptions) {
    this.#queue = new PQueue({ concurrency: slots });
    this.#turnMs = turnMs;
  }

  /** Whether somebody's work is waiting or under way. */
  get isBusy(): boolean {
    return this.#underWay.size > 0;
  }

  /** @param customer the id of the customer it is for, or NO_CUSTOMER. @returns what `work` returns, also after its turn */
  async run<T>(customer: number, work: () => Promise<T>): Promise<T> {
    const before = this.#underWay.get(customer) ?? 0;
    this.#underWay.set(customer, before + 1);
    try {
      return await this.#inTurn(work, -before);
    } finally {
      const left = (this.#underWay.get(customer) ?? 1) - 1;
      if (left > 0) this.#underWay.set(customer, left);
      else this.#underWay.delete(customer);
    }
  }

  #inTurn<T>(work: () => Promise<T>, priority: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const turn = async () => {
        let timer: NodeJS.Timeout | undefined;
        const isOver = new Promise<void>((over) => {
          timer = setTimeout(over, this.#turnMs);
        });
        const done = work().then(resolve, reject);
        await Promise.race([done, isOver]);
        clearTimeout(timer);
      };
      void this.#queue.add(turn, { priority });
    });
  }
}

/** One pool for each kind of heavy work. */
export interface Slots {
  /** Clones and starts. */
  readonly starts: SlotPool;
  readonly stops: SlotPool;
  /** Repositories that are fetched and compiled. */
  readonly fetches: SlotPool;
  readonly archives: SlotPool;
}

/** @param starts how many clones and starts may run concurrently */
export function makeSlots(starts: number): Slots {
  return {
    starts: new SlotPool({ slots: starts, turnMs: 5_000 }),
    stops: new SlotPool({ slots: 4, turnMs: 3_000 }),
    fetches: new SlotPool({ slots: 4, turnMs: 15_000 }),
    archives: new SlotPool({ slots: 2, turnMs: 5 * 60_000 }),
  };
}
