import { setTimeout as sleep } from 'node:timers/promises';

/** Whether the URL answers 200 within so many seconds; asked ten times a second. */
export async function answers(url: string, seconds: number): Promise<boolean> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const status = await fetch(url, { signal: AbortSignal.timeout(5000), redirect: 'manual' })
      .then((response) => response.status)
      .catch(() => 0);
    if (status === 200) return true;
    await sleep(100);
  }
  return false;
}
