import { setTimeout as sleep } from 'node:timers/promises';

const INTERVAL = 100;

/**
 * Looks again, ten times a second, until nothing is thrown.
 * @returns what the look returned @throws its last error, after `seconds`
 */
export async function eventually<T>(
  look: () => Promise<T> | T,
  seconds = 60,
  interval = INTERVAL,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await sleep(interval);
  }
}
