/** Lets each key through so many times within a sliding time, and forgets keys that have been quiet for as long. */
export class RateLimit {
  readonly #most: number;
  readonly #withinMs: number;
  readonly #now: () => number;
  /** When each key was let through, oldest first. */
  readonly #times = new Map<string, readonly number[]>();

  /** @param withinMs in milliseconds. */
  constructor(most: number, withinMs: number, now: () => number = Date.now) {
    this.#most = most;
    this.#withinMs = withinMs;
    this.#now = now;
  }

  /** Whether the key may pass now; if so, it counts. */
  take(key: string): boolean {
    const now = this.#now();
    for (const [other, times] of this.#times)
      if (now - (times.at(-1) ?? 0) >= this.#withinMs) this.#times.delete(other);
    const recent = (this.#times.get(key) ?? []).filter((at) => now - at < this.#withinMs);
    if (recent.length >= this.#most) return false;
    this.#times.set(key, [...recent, now]);
    return true;
  }
}
