import { setTimeout as sleep } from 'node:timers/promises';
import type { SoldInstance } from './bench-stack.ts';

/** How often the instance is asked, in milliseconds, and how long it may take to answer. */
const POLL_MS = 50;
const ANSWER_MS = 1000;

/** How long something takes, and how long the instance did not answer meanwhile, in seconds. */
export async function interruption(
  { port }: SoldInstance,
  work: () => Promise<unknown>,
): Promise<{ seconds: number; away: number }> {
  const start = performance.now();
  let [isOver, away] = [false, 0];
  const watching = (async () => {
    let last = performance.now();
    while (!isOver) {
      const answers = await fetch(`http://127.0.0.1:${port}/web/health`, {
        signal: AbortSignal.timeout(ANSWER_MS),
      }).then(
        ({ ok }) => ok,
        () => false,
      );
      const now = performance.now();
      if (!answers) away += now - last;
      last = now;
      await sleep(POLL_MS);
    }
  })();
  try {
    await work();
  } finally {
    isOver = true;
  }
  const seconds = (performance.now() - start) / 1000;
  await watching;
  return { seconds, away: away / 1000 };
}
