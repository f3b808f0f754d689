import { RetryableError } from '../errors.ts';

/** How long a start keeps its place in the queue while memory is short; then others get their turn. */
const PATIENCE = 10_000;
const LOOK_INTERVAL = 250;

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
  for (let waited = 0; waited < PATIENCE; waited += LOOK_INTERVAL) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL));
    signal.throwIfAborted();
    if (hasMemory()) return;
  }
  throw new RetryableError(
    'NotEnoughMemory',
    'The server has too little free memory to start the instance.',
  );
}
