import PQueue from 'p-queue';

export interface WorkSignals {
  /** The queue is closing. */
  readonly stop: AbortSignal;
  /** The same key was added with addNow() meanwhile: it runs again as soon as this run ends. */
  readonly superseded: AbortSignal;
  /** Says that the work is about to read everything afresh: additions of the key until now are covered by this run. */
  readonly markObserved: () => void;
  /**
   * Releases the worker slot during a long wait, so that other keys are worked on. The wait has a limit of its own.
   */
  readonly withoutSlot: <T>(wait: () => Promise<T>) => Promise<T>;
  /** How many times in a row this key has failed. */
  readonly failures: number;
}

export interface WorkQueueOptions<K> {
  readonly concurrency: number;
  readonly work: (key: K, signals: WorkSignals) => Promise<void>;
  /** Milliseconds until a key is retried that has failed so many times in a row. */
  readonly backoffMs: (failures: number) => number;
  readonly onFailure: (key: K, error: unknown, retryInMs: number) => void;
}

/** One of a queue's worker slots, which can be released during a wait. */
class WorkerSlot {
  readonly #queue: PQueue;
  #release = () => {};

  constructor(queue: PQueue) {
    this.#queue = queue;
  }

  /** @param onAcquired called when there is a slot. @param priority higher ones come first */
  acquire(onAcquired: () => void, priority = 0): void {
    const hold = () =>
      new Promise<void>((release) => {
        this.#release = release;
        onAcquired();
      });
    void this.#queue.add(hold, { priority });
  }

  release(): void {
    this.#release();
  }

  async withoutSlot<T>(wait: () => Promise<T>): Promise<T> {
    this.release();
    try {
      return await wait();
    } finally {
      // Before keys that have not begun: this one has little left to do.
      await new Promise<void>((acquired) => this.acquire(acquired, 1));
    }
  }
}

/** Ends one run early. Each run has its own: dozens of listeners on one signal would look like a leak to Node. */
interface Run {
  readonly stop: AbortController;
  readonly superseded: AbortController;
}

/**
 * A deduplicating work queue, as Kubernetes controllers have it: a waiting key is not added twice, a key that is worked on runs
 * again afterwards and never concurrently, and a key that failed is retried after a backoff.
 */
export class WorkQueue<K> {
  readonly #options: WorkQueueOptions<K>;
  readonly #queue: PQueue;
  /** Since when each key waits, in milliseconds since the epoch. */
  readonly #waiting = new Map<K, number>();
  readonly #working = new Map<K, Run>();
  readonly #failures = new Map<K, number>();
  readonly #backingOff = new Map<K, NodeJS.Timeout>();
  /** All runs that wait for a slot, have one or have released it during a wait. */
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

  /** How many keys have failed and not ended well since. */
  get failing(): number {
    return this.#failures.size;
  }

  /** Whether the key will be worked on again after the present run, or has not begun. */
  isWaiting(key: K): boolean {
    return this.#waiting.has(key);
  }

  /** The age of the oldest waiting key, in seconds; 0 when none waits. One that is worked on, and is to run again, does not wait yet. */
  get ageSeconds(): number {
    for (const [key, since] of this.#waiting)
      if (!this.#working.has(key)) return Math.max(0, Date.now() - since) / 1000;
    return 0;
  }

  /** Adds a key that may need work. A key that is backing off keeps its backoff. */
  add(key: K): void {
    if (!this.#backingOff.has(key)) this.#enqueue(key);
  }

  /** Adds a key to be worked on at once: its backoff ends, its failures are forgotten, and a wait under way is cut short. */
  addNow(key: K): void {
    clearTimeout(this.#backingOff.get(key));
    this.#backingOff.delete(key);
    this.#failures.delete(key);
    // Read before #enqueue(): p-queue may begin the new run at once, and that one must not be cut short.
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
    const slot = new WorkerSlot(this.#queue);
    const run = new Promise<void>((ended) => {
      slot.acquire(() => {
        if (this.#isClosed) ended();
        else void this.#run(key, slot).then(ended);
      });
    }).then(() => {
      slot.release();
      this.#runs.delete(run);
    });
    this.#runs.add(run);
  }

  async #run(key: K, slot: WorkerSlot): Promise<void> {
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
        withoutSlot: (wait) => slot.withoutSlot(wait),
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
    // Events of its own containers have added it meanwhile: without this it would run again at once, for ever.
    this.#waiting.delete(key);
    const timer = setTimeout(() => {
      this.#backingOff.delete(key);
      this.#enqueue(key);
    }, retryInMs);
    this.#backingOff.set(key, timer);
  }
}
