import PQueue from 'p-queue';

export interface WorkSignals {
  /** The queue is closing. */
  readonly stop: AbortSignal;
  /** The same key was hurried meanwhile: it comes up again as soon as this run ends. */
  readonly again: AbortSignal;
  /** Says that the work reads everything afresh: it sees for itself what the key was added for until now. */
  readonly look: () => void;
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

/**
 * Runs `work` for the keys it is given: a key waiting is not added twice, a key being worked on
 * is worked on again afterwards, never at the same time, and a key that failed comes back later.
 */
export class WorkQueue<K> {
  readonly #options: WorkQueueOptions<K>;
  readonly #queue: PQueue;
  /** Since when, in milliseconds since the epoch. */
  readonly #waiting = new Map<K, number>();
  readonly #working = new Map<K, AbortController>();
  readonly #failures = new Map<K, number>();
  readonly #backingOff = new Map<K, NodeJS.Timeout>();
  readonly #stop = new AbortController();

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
  hurry(key: K): void {
    clearTimeout(this.#backingOff.get(key));
    this.#backingOff.delete(key);
    this.#failures.delete(key);
    // p-queue may begin the new run at once, and that one must not be cut short.
    const underWay = this.#working.get(key);
    this.#enqueue(key);
    underWay?.abort();
  }

  /** Takes no more keys and tells the work under way to stop; resolves once it has ended. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#queue.clear();
    for (const timer of this.#backingOff.values()) clearTimeout(timer);
    await this.#queue.onIdle();
  }

  #enqueue(key: K): void {
    if (this.#stop.signal.aborted || this.#waiting.has(key)) return;
    this.#waiting.set(key, Date.now());
    if (!this.#working.has(key)) void this.#queue.add(() => this.#run(key));
  }

  async #run(key: K): Promise<void> {
    const again = new AbortController();
    this.#waiting.delete(key);
    this.#working.set(key, again);
    try {
      await this.#options.work(key, {
        stop: this.#stop.signal,
        again: again.signal,
        look: () => {
          if (!again.signal.aborted) this.#waiting.delete(key);
        },
        failures: this.#failures.get(key) ?? 0,
      });
      this.#failures.delete(key);
    } catch (error) {
      if (!this.#stop.signal.aborted && !again.signal.aborted) this.#backOff(key, error);
    } finally {
      this.#working.delete(key);
      if (this.#waiting.has(key) && !this.#stop.signal.aborted)
        void this.#queue.add(() => this.#run(key));
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
