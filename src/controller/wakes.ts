import type { Clock } from '../interfaces.ts';

/** How long a failed start is remembered: visitors of that moment are told at once, and begin no other. In milliseconds. */
const REMEMBER_FAILURE_MS = 10_000;

/** `waking`: it goes on, but the visitor should not be held any longer. */
export type WakeOutcome = 'answers' | 'waking' | 'failed';

interface Wake {
  readonly outcome: Promise<WakeOutcome>;
  readonly resolve: (outcome: WakeOutcome) => void;
}

/** Visitors of instances that are asleep: any number of them are one start. */
export class Wakes {
  readonly #now: Clock;
  readonly #wakes = new Map<number, Wake>();
  readonly #failedAt = new Map<number, number>();

  constructor(now: Clock) {
    this.#now = now;
  }

  /**
   * @param holdMs how long the visitor may be held
   * @param begin has the instance reconciled; called for the first of those who wait alone
   */
  async wake(id: number, holdMs: number, begin: () => void): Promise<WakeOutcome> {
    if (this.#hasJustFailed(id)) return 'failed';
    let wake = this.#wakes.get(id);
    if (!wake) {
      wake = newWake();
      this.#wakes.set(id, wake);
      begin();
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<WakeOutcome>((resolve) => {
      timer = setTimeout(() => resolve('waking'), holdMs);
    });
    return Promise.race([wake.outcome, late]).finally(() => clearTimeout(timer));
  }

  /** The instance was found to answer. */
  answers(id: number): void {
    this.#failedAt.delete(id);
    this.#end(id, 'answers');
  }

  /** What was done for the instance has failed. */
  failed(id: number): void {
    if (this.#wakes.has(id)) this.#failedAt.set(id, this.#now().getTime());
    this.#end(id, 'failed');
  }

  /** Nothing is done for the instance at present: who comes now begins anew. */
  ended(id: number): void {
    this.#end(id, 'waking');
  }

  #end(id: number, outcome: WakeOutcome): void {
    this.#wakes.get(id)?.resolve(outcome);
    this.#wakes.delete(id);
  }

  #hasJustFailed(id: number): boolean {
    const failedAt = this.#failedAt.get(id);
    if (failedAt === undefined) return false;
    if (this.#now().getTime() - failedAt < REMEMBER_FAILURE_MS) return true;
    this.#failedAt.delete(id);
    return false;
  }
}

function newWake(): Wake {
  let resolve: Wake['resolve'] = () => {};
  const outcome = new Promise<WakeOutcome>((onOutcome) => {
    resolve = onOutcome;
  });
  return { outcome, resolve };
}
