import { setTimeout as sleep } from 'node:timers/promises';
import { RetryableError } from '../errors.ts';
import type { FailureReason } from '../instance/reasons.ts';
import type { DesiredInstance } from '../instance/types.ts';
import { forLog } from '../log.ts';

/** An instance that starts is asked this often, in milliseconds; one that takes long, less often. */
const POLL_INTERVAL_MS = 25;
const SLOW_POLL_AFTER_MS = 10_000;
const SLOW_POLL_INTERVAL_MS = 1_000;

/** While it starts, the container itself is observed this often, in milliseconds: a crash should not wait for the deadline. */
const CONTAINER_CHECK_INTERVAL_MS = 1_000;

/** How many lines of a container's log are read, and how many characters of them are kept. */
export const LOG_TAIL_LINES = 20;
const LOG_TAIL_LENGTH = 2_000;

/** How a container that is waited for does. `ended`: it does not run, or there is none; `looping`: it ends again and again. */
export type Life = 'up' | 'ended' | 'looping';

/** What is waited for, as its engine sees it. */
export interface Awaited {
  readonly answerTimeoutMs: number;
  life(): Promise<Life>;
  /** The end of its log: a tenant's text, of any length. */
  lastWords(): Promise<string>;
}

/**
 * Waits until an instance that was started answers, or shows that it will not.
 * @returns false when an instance that has run before is no longer up
 * @throws RetryableError('NotAnswering'), ('StartFailed'), ('CrashLoop')
 */
export async function awaitAnswer(
  { answerTimeoutMs, lastWords, life }: Awaited,
  { wasReady }: Pick<DesiredInstance, 'wasReady'>,
  answers: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<boolean> {
  const began = Date.now();
  const deadline = began + answerTimeoutMs;
  const failed = async (reason: FailureReason, message: string) => {
    // For the sidecar's own log alone.
    const words = forLog(await lastWords().catch(String)).slice(-LOG_TAIL_LENGTH);
    return new RetryableError(reason, message, { cause: new Error(words) });
  };
  let nextCheck = began + CONTAINER_CHECK_INTERVAL_MS;
  while (!(await answers())) {
    signal.throwIfAborted();
    if (Date.now() > deadline)
      throw await failed('NotAnswering', 'The instance was started but does not answer.');
    if (Date.now() > nextCheck) {
      const found = await life();
      if (found === 'looping')
        throw await failed(
          'CrashLoop',
          'The instance ends again and again while it starts. The operator finds its last words in the log.',
        );
      if (found === 'ended') {
        // One that ran before was stopped or removed from outside: the next round starts it again.
        if (wasReady) return false;
        throw await failed('EndedWhileStarting', 'The instance ended while it was starting.');
      }
      nextCheck = Date.now() + CONTAINER_CHECK_INTERVAL_MS;
    }
    await sleep(Date.now() - began > SLOW_POLL_AFTER_MS ? SLOW_POLL_INTERVAL_MS : POLL_INTERVAL_MS);
  }
  return true;
}
