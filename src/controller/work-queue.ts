import PQueue from 'p-queue';

export interface WorkSignals {
  /** The queue is closing. */
  readonly stop: AbortSignal;
  /** The same key was added for now meanwhile: it comes up again as soon as this run ends. */
  readonly superseded: AbortSignal;
  /** Says that the work reads everything afresh: it sees for itself what the key was added for until now. */
  readonly markObserved: () => void;
  /**
   * Waits for something without keeping others from being worked on. What it waits for has a limit of its own.
   */
  readonly aside: <T>(wait: () => Promise<T>) => Promise<T>;
  /** How often in a row this key has failed before. */
  readonly failures: number;
}

export interface WorkQueueOptions<K> {
  readonly concurrency: number;
  readonly work: (key: K, signals: WorkSignals) => Promise<void>;
  /** Milliseconds until a key that failed so often in a row comes back. */
  readonly backoffMs: (failures: number) => number;
  readonly onFailure: (key: K, error: unknown, retryInMs: number) => void;
}

/** One of the places of a queue, which is left while somebody waits. */
class WorkerSlot {
  readonly #queue: PQueue;
  #leave = () => {};

  constructor(queue: PQueue) {
    this.#queue = queue;
  }

  /** @param taken is called when there is a place. @param priority before others that wait */
  acquire(taken: () => void, priority = 0): void {
    const stay = () =>
      new Promise<void>((leave) => {
        this.#leave = leave;
        taken();
      });
    void this.#queue.add(stay, { priority });
  }

  release(): void {
    this.#leave();
  }

  async aside<T>(wait: () => Promise<T>): Promise<T> {
    this.release();
    try {
      return await wait();
    } finally {
      // Before those who have not begun: it has little left to do.
      await new Promise<void>((taken) => this.acquire(taken, 1));
    }
  }
}

/** What ends one run early. Of its own: forty that listened on one signal would look like a leak, and be one if they forgot to stop. */
interface Run {
  readonly stop: AbortController;
  readonly superseded: AbortController;
}

/**
 * Runs `work` for the keys it is given: a key waiting is not added twice, a key being worked on
 * is worked on again afterwards, never at the same time, and a key that failed comes back later.
 */
export class WorkQueue<K> {
  readonly #options: WorkQueueOptions<K>;
  readonly #queue: PQueue;
  /** Since when, in milliseconds since the epoch. */
  readonly #waiting = new Map<K, number>();
  readonly #working = new Map<K, Run>();
  readonly #failures = new Map<K, number>();
  readonly #backingOff = new Map<K, NodeJS.Timeout>();
  /** All that wait for a place, have one or have put it aside. */
  readonly #runs = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: WorkQueueOptions<K>) {
    this.#options = options;
    this.#queue = new PQueue({ concurrency: options.concurrency });
  }

  /** Keys waiting or being worked on. */
  get size(): number {
    return new Set([...this.#waiting.keys(), ...this.#working.keys()]).size;
  }

  /** How long the key that has waited longest has not been begun, in seconds; 0 when none waits. */
  get ageSeconds(): number {
    const [oldest] = this.#waiting.values();
    return oldest === undefined ? 0 : Math.max(0, Date.now() - oldest) / 1000;
  }

  /** The world says that the key may need work. A key that is backing off stays so. */
  add(key: K): void {
    if (!this.#backingOff.has(key)) this.#enqueue(key);
  }

  /** A person says so: backing off ends, earlier failures are forgotten, and a wait under way is cut short. */
  addNow(key: K): void {
    clearTimeout(this.#backingOff.get(key));
    this.#backingOff.delete(key);
    this.#failures.delete(key);
    // p-queue may begin the new run at once, and that one must not be cut short.
    const underWay = this.#working.get(key);
    this.#enqueue(key);
    underWay?.superseded.abort();
  }

  /** Takes no more keys and tells the work under way to stop; resolves once it has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { stop } of this.#working.values()) stop.abort();
    for (const timer of this.#backingOff.values()) clearTimeout(timer);
    while (this.#runs.size > 0) await Promise.all(this.#runs);
  }

  #enqueue(key: K): void {
    if (this.#isClosed || this.#waiting.has(key)) return;
    this.#waiting.set(key, Date.now());
    if (!this.#working.has(key)) this.#start(key);
  }

  #start(key: K): void {
    const place = new WorkerSlot(this.#queue);
    const run = new Promise<void>((ended) => {
      place.acquire(() => {
        if (this.#isClosed) ended();
        else void this.#run(key, place).then(ended);
      });
    }).then(() => {
      place.release();
      this.#runs.delete(run);
    });
    this.#runs.add(run);
  }

  async #run(key: K, place: WorkerSlot): Promise<void> {
    const run = { stop: new AbortController(), superseded: new AbortController() };
    const { stop, superseded } = run;
    this.#waiting.delete(key);
    this.#working.set(key, run);
    try {
      await this.#options.work(key, {
        stop: stop.signal,
        superseded: superseded.signal,
        markObserved: () => {
          if (!superseded.signal.aborted) this.#waiting.delete(key);
        },
        aside: (wait) => place.aside(wait),
        failures: this.#failures.get(key) ?? 0,
      });
      this.#failures.delete(key);
    } catch (error) {
      if (!this.#isClosed && !superseded.signal.aborted) this.#backOff(key, error);
    } finally {
      this.#working.delete(key);
      if (this.#waiting.has(key) && !this.#isClosed) this.#start(key);
    }
  }

  #backOff(key: K, error: unknown): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const retryInMs = this.#options.backoffMs(failures);
    this.#options.onFailure(key, error, retryInMs);
    // Its own containers' events have added it meanwhile: without this it would run again at once, for ever.
    this.#waiting.delete(key);
    const timer = setTimeout(() => {
      this.#backingOff.delete(key);
      this.#enqueue(key);
    }, retryInMs);
    this.#backingOff.set(key, timer);
  }
}
