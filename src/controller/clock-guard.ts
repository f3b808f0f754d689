import type { Clock } from '../interfaces.ts';

/** Two clocks that differ by more, in milliseconds, name different times. */
const TOLERANCE_MS = 5 * 60_000;

/** A clock that has jumped is believed again after so long, in milliseconds: by then somebody has set it right. */
const SETTLE_AFTER_JUMP_MS = 24 * 60 * 60_000;

/**
 * Knows whether the day is certain. Odoo and the sidecar must agree on the time, and the sidecar's clock must have
 * gone on as evenly as its uptime, which nobody can set: the two may be one machine, and then they jump together.
 */
export class ClockGuard {
  readonly #now: Clock;
  readonly #uptime: () => number;
  /** What the clock said when the uptime was 0. */
  #zero: number;
  #certainFrom = 0;
  readonly #onChange: (isCertain: boolean) => void;
  #wasCertain = true;

  /**
   * @param uptime milliseconds since some moment, never set back or forth
   * @param onChange is told once when the day becomes uncertain, and once when it is certain again
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
