/** Thrown by every call of a sidecar that has been killed, before it can have an effect. */
class KilledError extends Error {
  override readonly name = 'KilledError';
}

/** Those that answer at once, and those that last as long as the sidecar. */
const NOT_TRAPPED: ReadonlySet<string | symbol> = new Set([
  'url',
  'watch',
  'requests',
  'mayBeSpare',
]);

export type Moment = 'before' | 'after';

/** Stands at the door of every call, `adapter.method`, the how-manieth from 0, and may throw there. */
export type Trap = (call: string, moment: Moment, number: number) => void;

/**
 * One run of the sidecar, from its start to its end or to `kill -9`. What the fakes hold outlives it.
 * Once killed, no call has an effect any more, which is what SIGKILL looks like from outside.
 */
export class Life {
  /** Every call so far, in the order in which they began. */
  readonly calls: string[] = [];
  readonly #traps = new Set<Trap>();
  #isOver = false;

  get isOver(): boolean {
    return this.#isOver;
  }

  kill(): void {
    this.#isOver = true;
  }

  /** Kills the sidecar at its call number `n` (from 0), before or after its effect. */
  killAt(n: number, moment: Moment): void {
    this.trap((_call, at, number) => {
      if (number === n && at === moment) this.kill();
    });
  }

  /** @returns what takes the trap away. */
  trap(trap: Trap): () => void {
    this.#traps.add(trap);
    return () => this.#traps.delete(trap);
  }

  /** Makes the next call of this name fail once. */
  failOnce(call: string, moment: Moment, error: Error): void {
    const remove = this.trap((name, at) => {
      if (name !== call || at !== moment) return;
      remove();
      throw error;
    });
  }

  /** The adapter as this run of the sidecar sees it: each of its asynchronous methods can be trapped and killed. */
  around<T extends object>(name: string, adapter: T): T {
    return new Proxy(adapter, {
      get: (target, property) => {
        const member: unknown = Reflect.get(target, property, target);
        if (typeof member !== 'function') return member;
        if (NOT_TRAPPED.has(property)) return member.bind(target);
        return (...args: unknown[]) =>
          this.#call(`${name}.${String(property)}`, () => member.apply(target, args));
      },
    });
  }

  async #call(call: string, effect: () => unknown): Promise<unknown> {
    this.#checkAlive();
    const number = this.calls.push(call) - 1;
    this.#spring(call, 'before', number);
    const result = await effect();
    this.#spring(call, 'after', number);
    return result;
  }

  #spring(call: string, moment: Moment, number: number): void {
    for (const trap of [...this.#traps]) trap(call, moment, number);
    this.#checkAlive();
  }

  #checkAlive(): void {
    if (this.#isOver) throw new KilledError('the sidecar was killed');
  }
}
