import PQueue from 'p-queue';

/** Work of nobody's in particular. */
export const NO_CUSTOMER = 0;

export interface SlotPoolOptions {
  /** How many may be busy together. */
  readonly slots: number;
  /**
   * How long one may keep its place, in milliseconds. Then the next begins, whatever this one waits for: a tenant may hold up
   * their own start, not anybody else's.
   */
  readonly turnMs: number;
}

/** Lets so many do something that keeps the machine busy, in the order asked; who has much under way comes after who has less. */
export class SlotPool {
  readonly #queue: PQueue;
  readonly #turnMs: number;
  /** How much of each customer's is waiting or under way. */
  readonly #underWay = new Map<number, number>();

  constructor({ slots: places, turnMs }: SlotPoolOptions) {
    this.#queue = new PQueue({ concurrency: places });
    this.#turnMs = turnMs;
  }

  /** @param customer whose work it is, as a number. @returns what `work` returns, however long after its turn */
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

/** What keeps the machine busy, each kind by itself. */
export interface Slots {
  /** Clones and starts. */
  readonly starts: SlotPool;
  readonly stops: SlotPool;
  /** Repositories that are fetched and compiled. */
  readonly fetches: SlotPool;
  readonly archives: SlotPool;
}

/** @param starts how many clones and starts at a time */
export function makeSlots(starts: number): Slots {
  return {
    starts: new SlotPool({ slots: starts, turnMs: 5_000 }),
    stops: new SlotPool({ slots: 4, turnMs: 3_000 }),
    fetches: new SlotPool({ slots: 4, turnMs: 15_000 }),
    archives: new SlotPool({ slots: 2, turnMs: 5 * 60_000 }),
  };
}
