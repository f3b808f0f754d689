import { RetryableError } from '../errors.ts';

/** How long a start keeps its slot while memory is short; then others get their turn. */
const MAX_WAIT_MS = 10_000;
const CHECK_INTERVAL_MS = 250;

/**
 * Resolves when there is memory for one more start.
 * @param onWait called once when it has to wait
 * @throws RetryableError('NotEnoughMemory') after ten seconds without; the signal's reason when it aborts
 */
export async function waitForMemory(
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
