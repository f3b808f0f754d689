import { setTimeout as sleep } from 'node:timers/promises';

/** Whether something is so within so many seconds; it is looked at again after each `interval`, in milliseconds. */
export async function until(
  isSo: () => Promise<boolean>,
  seconds: number,
  interval = 100,
): Promise<boolean> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    if (await isSo()) return true;
    await sleep(interval);
  }
  return false;
}
