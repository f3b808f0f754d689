import { CommandError, TerminalError } from '../errors.ts';

/** How much of a line people read, in characters. */
const MAX_LINE = 200;

/** The last line that a program wrote, which names its error. */
export function lastLine(stderr: string): string {
  return (stderr.trim().split('\n').at(-1) ?? '').slice(0, MAX_LINE);
}

/** What is thrown where pg_restore has failed: TerminalError('ProofDatabase'); any other failure is as it was. */
export function unrestorable(cause: unknown): unknown {
  if (!(cause instanceof CommandError)) return cause;
  const detail = lastLine(cause.stderr);
  return new TerminalError('ProofDatabase', `pg_restore: ${detail}`, { cause, detail });
}

/** What psql says first of what went wrong: after it come the statement and a mark below it. */
export function errorLine(stderr: string): string {
  const line = stderr.split('\n').find((one) => /ERROR|FATAL|error:/.test(one));
  return line?.trim() ?? lastLine(stderr);
}
