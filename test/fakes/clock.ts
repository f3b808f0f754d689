import { mock } from 'node:test';

/** When every test of the controller begins: not at a full minute, so that no schedule is due at once. */
const START = new Date('2026-11-22T12:01:07Z');

/** One step of simulated time, in milliseconds: the reporter's batch delay. */
const STEP = 20;

/**
 * Simulated time: `setTimeout` and `Date` advance only when a test says so, and minutes take milliseconds. Between two steps
 * everything that can run does run, so a test that waits for a condition never depends on speed.
 */
export class HeldTime {
  constructor() {
    mock.timers.enable({ apis: ['setTimeout', 'Date'], now: START });
  }

  release(): void {
    mock.timers.reset();
  }

  now = (): Date => new Date();

  /** Lets `ms` milliseconds pass, in steps of `step`. */
  async pass(ms: number, step = STEP): Promise<void> {
    await settled();
    for (let passed = 0; passed < ms; passed += step) {
      mock.timers.tick(Math.min(step, ms - passed));
      await settled();
    }
  }

  /**
   * Lets time pass until the condition holds. @returns the milliseconds it took.
   * @throws when it does not hold within `limit` milliseconds.
   */
  async until(what: string, condition: () => boolean, limit = 60_000): Promise<number> {
    await settled();
    for (let passed = 0; ; passed += STEP) {
      if (condition()) return passed;
      if (passed >= limit) throw new Error(`${limit / 1000} s passed without: ${what}`);
      await this.pass(STEP);
    }
  }
}

/** Resolves when everything that does not wait for a timer has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
