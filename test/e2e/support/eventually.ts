import { setTimeout as sleep } from 'node:timers/promises';

const INTERVAL = 100;
/** It ends what would never come true; how soon something is true is for the benchmarks, so it has room for a busy machine. */
const PATIENCE_SECONDS = 180;

/**
 * Repeats `check`, ten times a second, until it does not throw.
 * @returns what `check` returned @throws its last error, after `seconds`
 */
export async function eventually<T>(
  check: () => Promise<T> | T,
  seconds = PATIENCE_SECONDS,
  interval = INTERVAL,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await sleep(interval);
  }
}
