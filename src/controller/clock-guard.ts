import type { Clock } from '../interfaces.ts';

/** How far two clocks may differ and still count as agreeing. */
const TOLERANCE_MS = 5 * 60_000;

/** How long a clock that has jumped is not trusted: by then it has been corrected. */
const SETTLE_AFTER_JUMP_MS = 24 * 60 * 60_000;

/**
 * Tells whether the day is certain. Odoo's clock and the sidecar's must agree, and the sidecar's must have advanced as its
 * monotonic uptime has: on one machine the two wall clocks jump together.
 */
export class ClockGuard {
  readonly #now: Clock;
  readonly #uptime: () => number;
  /** Wall clock time at uptime 0, in milliseconds since the epoch. */
  #zero: number;
  #certainFrom = 0;
  readonly #onChange: (isCertain: boolean) => void;
  #wasCertain = true;

  /**
   * @param uptime a monotonic clock, in milliseconds
   * @param onChange called when the day becomes uncertain, and when it is certain again
   */
  constructor(now: Clock, uptime: () => number, onChange: (isCertain: boolean) => void) {
    this.#now = now;
    this.#uptime = uptime;
    this.#onChange = onChange;
    this.#zero = now().getTime() - uptime();
  }

  isDayCertain(managerTime: Date): boolean {
    const now = this.#now().getTime();
    const uptime = this.#uptime();
    if (Math.abs(now - uptime - this.#zero) > TOLERANCE_MS) {
      this.#zero = now - uptime;
      this.#certainFrom = uptime + SETTLE_AFTER_JUMP_MS;
    }
    const isCertain =
      uptime >= this.#certainFrom && Math.abs(now - managerTime.getTime()) <= TOLERANCE_MS;
    if (isCertain !== this.#wasCertain) this.#onChange(isCertain);
    this.#wasCertain = isCertain;
    return isCertain;
  }
}
