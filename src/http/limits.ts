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

/** Remembers which keys came by lately, at most `keep` of them: a flood of new keys forgets the oldest. */
export class RecentlySeen {
  readonly #keep: number;
  readonly #forMs: number;
  readonly #now: () => number;
  /** When each key was first seen, oldest first. */
  readonly #times = new Map<string, number>();

  /** @param forMs how long a key counts as seen, in milliseconds. */
  constructor(keep: number, forMs: number, now: () => number = Date.now) {
    this.#keep = keep;
    this.#forMs = forMs;
    this.#now = now;
  }

  /** Whether the key was not seen within the time; from now on it has been. */
  firstTime(key: string): boolean {
    const now = this.#now();
    const seenAt = this.#times.get(key);
    if (seenAt !== undefined && now - seenAt < this.#forMs) return false;
    this.#times.delete(key);
    this.#times.set(key, now);
    for (const oldest of this.#times.keys()) {
      if (this.#times.size <= this.#keep) break;
      this.#times.delete(oldest);
    }
    return true;
  }
}
