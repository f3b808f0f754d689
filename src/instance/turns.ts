/** Work about one thing at a time: what is asked for first comes first. */
export class Turns<K> {
  readonly #last = new Map<K, Promise<unknown>>();

  /** Whether what is asked for now would wait. */
  isTaken(key: K): boolean {
    return this.#last.has(key);
  }

  /** Runs `work` once all that was asked for before, about the same thing, has ended. */
  async take<T>(key: K, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const done = (before ?? Promise.resolve()).then(work, work);
    this.#last.set(key, done);
    try {
      return await done;
    } finally {
      if (this.#last.get(key) === done) this.#last.delete(key);
    }
  }
}
