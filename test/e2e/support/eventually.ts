import { setTimeout as sleep } from 'node:timers/promises';

/** It ends what would never come true; how soon something is true is for the benchmarks, so it has room for a busy machine. */
const PATIENCE_SECONDS = 180;

/** How long it sleeps between two looks, in milliseconds: a tenth of the time that has passed, so that what takes long is not asked for hundreds of times. */
const [FIRST, LONGEST] = [100, 1_000];

/**
 * Repeats `check` until it does not throw.
 * @param interval a fixed one, in milliseconds, where a moment must not be missed
 * @returns what `check` returned @throws its last error, after `seconds`
 */
export async function eventually<T>(
  check: () => Promise<T> | T,
  seconds = PATIENCE_SECONDS,
  interval?: number,
): Promise<T> {
  const start = performance.now();
  for (;;) {
    const passed = performance.now() - start;
    try {
      return await check();
    } catch (error) {
      if (passed > seconds * 1000) throw error;
    }
    await sleep(interval ?? Math.min(LONGEST, Math.max(FIRST, passed / 10)));
  }
}
