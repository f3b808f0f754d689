import { CommandError, RetryableError } from '../errors.ts';
import { exec } from './exec.ts';

/** A customer's files may be millions. */
const TIMEOUT = 60 * 60_000;

/**
 * Removes a directory of a customer's with all that is in it; none there is as good. Node's own `rm` names each file by its whole
 * path, which Linux refuses beyond 4,096 bytes; coreutils' goes from directory to directory (openat), however deep they lie. It
 * follows no link and enters no other file system that somebody has mounted below.
 * @throws RetryableError('RemovalBlocked') naming the first thing that could not be removed
 */
export async function removeTree(directory: string, signal?: AbortSignal): Promise<void> {
  try {
    await exec(['rm', '--recursive', '--force', '--one-file-system', '--', directory], {
      timeoutMs: TIMEOUT,
      ...(signal && { signal }),
    });
  } catch (cause) {
    signal?.throwIfAborted();
    if (!(cause instanceof CommandError)) throw cause;
    const why = firstComplaint(cause.stderr);
    throw new RetryableError(
      'RemovalBlocked',
      `The files could not be removed: ${why}. Remove the obstacle on the server: it goes on by itself then.`,
      { cause, detail: why },
    );
  }
}

/** The first line that rm wrote: of a name that a customer has made up, so without control characters, and not all of it. */
function firstComplaint(stderr: string): string {
  const [line = ''] = stderr.split('\n');
  return line
    .replace(/^rm: /, '')
    .replaceAll(/\p{Cc}/gu, '?')
    .slice(-300);
}
