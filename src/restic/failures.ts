import { type CommandError, isDiskFull, RetryableError, TerminalError } from '../errors.ts';

type FailureReason = RetryableError['reason'];

/** Exit codes of restic 0.17 and later (restic.readthedocs.io, "Scripting"). */
export const EXIT = { incomplete: 3, noRepository: 10, locked: 11, wrongPassword: 12 } as const;

/** What restic tries again by itself says nothing of how it ended. */
const TRIED_AGAIN = /returned error, retrying after|operation successful after/;

/** How much of a message people read, in characters. */
const MAX_SAID = 200;

/**
 * What restic's messages say, where its exit code does not; the first that fits, in the last line that it does. A connection that ends says much the same as a file
 * that does, so the server's come first, and none of them fits what is said of damage: a proof that fails for want of a server says
 * nothing of the backup.
 */
const SAYS: ReadonlyArray<readonly [FailureReason, RegExp]> = [
  ['BackupServerFull', /no space left|disk quota exceeded|HTTP response \((?:413|507)\)/i],
  ['BackupServerRefused', /HTTP response \(40[13]\)|permission denied \((?:publickey|password)/i],
  ['BackupServerAway', /subprocess ssh:|host key verification failed/i],
  [
    'BackupServerAway',
    /ssh command exited|start the sftp session|connection (?:lost|refused|reset)|dial tcp|no such host|no route to host|network is unreachable|broken pipe|timed? ?out|tls: |x509: |HTTP response \(5\d\d\)/i,
  ],
  [
    'BackupDamaged',
    /ciphertext verification|does not match|invalid data|hash mismatch|damaged|corrupt|not found in repository|no such blob/i,
  ],
];

/** Of a file that it is too short. */
const ENDS_EARLY = /unexpected EOF/i;

/** Of a server that its answer was, or that there was none: what ssh said of it may come too late. */
const NO_ANSWER = /\bEOF\b|file already closed|exit status 255|(?:create|open) repository at/i;

/**
 * The reason for people, and what restic said of it.
 * @param isHere the repository is a folder of this host
 */
export function asReason(cause: CommandError, isHere: boolean): RetryableError | TerminalError {
  const lines = linesOf(cause.stderr);
  const failed = (
    reason: FailureReason,
    Kind: typeof RetryableError | typeof TerminalError,
    detail = lines.at(-1) ?? '',
  ) => new Kind(reason, `restic ended with ${cause.exitCode}: ${detail}`, { cause, detail });
  if (cause.exitCode === EXIT.wrongPassword) return failed('BackupKeyWrong', TerminalError);
  if (cause.exitCode === EXIT.noRepository) return failed('BackupServerAway', RetryableError);
  if (cause.exitCode === EXIT.locked) return failed('BackupLocked', RetryableError);
  if (isHere && isDiskFull(cause)) return failed('BackupServerFull', RetryableError);
  const early: readonly [FailureReason, RegExp] = [
    isHere ? 'BackupDamaged' : 'BackupServerAway',
    isHere ? ENDS_EARLY : NO_ANSWER,
  ];
  for (const [reason, pattern] of [...SAYS, early]) {
    const line = lines.findLast((one) => pattern.test(one));
    if (line !== undefined) return failed(reason, RetryableError, line);
  }
  return failed('BackupFailed', RetryableError);
}

/** What it wrote to its errors, without what it tried again; all of it where there is nothing else, as when it was ended. */
function linesOf(stderr: string): string[] {
  const lines = stderr.trim().split('\n');
  const last = lines.filter((line) => !TRIED_AGAIN.test(line));
  return (last.length > 0 ? last : lines).map(said);
}

/** Lines are texts or, with `--json`, objects with a `message`. */
function said(line: string): string {
  const message = /"message":"((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? line;
  return message.replace(/\\n.*/, '').replaceAll(/\s+/g, ' ').slice(0, MAX_SAID);
}
