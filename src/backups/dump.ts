import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import type { PgLogin, PgTools } from '../postgres/pg-tools.ts';
import { lastLine } from './pg-failures.ts';

/**
 * Writes the dump of a backup.
 * @param snapshot the moment, which an open transaction has exported
 * @throws RetryableError('DatabaseBusy') where a table stays locked, ('BackupFailed') with what pg_dump says
 */
export async function dumpOf(
  tools: Pick<PgTools, 'dump'>,
  login: PgLogin,
  snapshot: string,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await tools.dump(login, file, signal, { snapshot, isUncompressed: true });
  } catch (cause) {
    signal.throwIfAborted();
    if (!(cause instanceof CommandError)) throw cause;
    const detail = lastLine(cause.stderr);
    const reason = /lock timeout/.test(cause.stderr) ? 'DatabaseBusy' : 'BackupFailed';
    throw new RetryableError(reason, `pg_dump: ${detail}`, { cause, detail });
  }
}

/**
 * Fills an empty database from the dump of a backup.
 * @throws TerminalError('ProofDatabase') with what pg_restore says
 */
export async function restoreDump(
  tools: Pick<PgTools, 'restore'>,
  login: PgLogin,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await tools.restore(login, file, signal);
  } catch (cause) {
    signal.throwIfAborted();
    if (!(cause instanceof CommandError)) throw cause;
    const detail = lastLine(cause.stderr);
    throw new TerminalError('ProofDatabase', `pg_restore: ${detail}`, { cause, detail });
  }
}
