import { setTimeout as sleep } from 'node:timers/promises';

/** Whether the condition is met within so many seconds; it is checked again after each `interval`, in milliseconds. */
export async function until(
  isMet: () => Promise<boolean>,
  seconds: number,
  interval = 100,
): Promise<boolean> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    if (await isMet()) return true;
    await sleep(interval);
  }
  return false;
}
