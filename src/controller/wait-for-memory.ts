import { RetryableError } from '../errors.ts';

/** How long a start keeps its place in the queue while memory is short; then others get their turn. */
const MAX_WAIT_MS = 10_000;
const CHECK_INTERVAL_MS = 250;

/**
 * Resolves when there is memory for one more start.
 * @param onWait is called once when there is a wait
 * @throws RetryableError('NotEnoughMemory') when ten seconds bring none; what the signal says when it aborts
 */
export async function enoughMemory(
  hasMemory: () => boolean,
  onWait: () => void,
  signal: AbortSignal,
): Promise<void> {
  if (hasMemory()) return;
  onWait();
  for (let waited = 0; waited < MAX_WAIT_MS; waited += CHECK_INTERVAL_MS) {
    await new Promise((resolve) => setTimeout(resolve, CHECK_INTERVAL_MS));
    signal.throwIfAborted();
    if (hasMemory()) return;
  }
  throw new RetryableError(
    'NotEnoughMemory',
    'The server has too little free memory to start the instance.',
  );
}
