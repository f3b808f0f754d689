import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import type { Command } from '../host/exec.ts';
import type { FailureReason } from '../instance/reasons.ts';
import type { Repository } from '../instance/types.ts';
import type { PinnedHost } from './git-host.ts';

export type GitProtocol = 'https' | 'http';
type Source = Pick<Repository, 'url' | 'branch'>;

/** Letters, digits and a few marks; neither an option nor a second ref, nor anything git gives a meaning of its own. */
const REF_NAME = /^(?!.*(\.\.|\/\/|\/\.|\.lock$|\.lock\/|[./]$))[A-Za-z0-9][\w./+-]{0,199}$/;
const COMMIT = /^([0-9a-f]{40}|[0-9a-f]{64})$/;
const REPOSITORY_URL =
  /^([a-z]+):\/\/[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?\/[A-Za-z0-9/._~%+@-]{1,2000}$/;
const CREDENTIALS = /\/\/[^/]*@/;

/** @throws TerminalError RepositoryAddressInvalid or RepositoryWithPassword unless it is a plain URL, without a password, of a protocol that is allowed. */
export function checkUrl(url: string, allowed: readonly GitProtocol[]): void {
  const [, protocol] = REPOSITORY_URL.exec(url) ?? [];
  if (allowed.some((it) => it === protocol)) return;
  // Cut out: what follows repeats the address.
  const shown = forSentence(url.replace(CREDENTIALS, '//'));
  if (CREDENTIALS.test(url))
    throw new TerminalError(
      'RepositoryWithPassword',
      'The address of the repository must not contain a user name or a password.',
      { detail: shown },
    );
  const expected = allowed.map((it) => `${it}://`).join(', ');
  throw new TerminalError(
    'RepositoryAddressInvalid',
    `The address of the repository does not begin with ${expected}, or is none.`,
    { detail: [shown, expected] },
  );
}

/** Whether a text names a commit in full: SHA-1 or SHA-256, in small hexadecimal digits. */
export function isCommit(text: string): boolean {
  return COMMIT.test(text);
}

/**
 * Checks what a seller wrote into *Branch*: nothing for the default branch, else a branch, a tag or a whole commit.
 * @throws TerminalError BranchMissing when nothing can be called so.
 */
export function checkRevision(repository: Source): void {
  const { branch } = repository;
  if (branch !== '' && !REF_NAME.test(branch)) throw branchMissing(repository);
}

/** The refs that a name may stand for, the best first: git itself prefers a branch, and a tag's commit to the tag. */
function refsOf(branch: string): readonly string[] {
  if (branch === '') return ['HEAD'];
  return [`refs/heads/${branch}`, `refs/tags/${branch}^{}`, `refs/tags/${branch}`];
}

/** Prints `<commit>\t<ref>` lines; exit code 2 when there is no such branch or tag. */
export function gitRemoteRefs({ url, branch }: Source): Command {
  return git('ls-remote', '--exit-code', '--', url, ...refsOf(branch));
}

/** Reads what gitRemoteRefs() printed. @throws TerminalError BranchMissing when none of it is the branch or tag */
export function commitIn(output: string, repository: Source): string {
  const commits = new Map(
    output.split('\n').map((line): [string, string] => {
      const [commit = '', ref = ''] = line.split('\t');
      return [ref, commit];
    }),
  );
  // Looked up whole: the pattern also matches a ref that merely ends like this one.
  for (const ref of refsOf(repository.branch)) {
    const commit = commits.get(ref) ?? '';
    if (isCommit(commit)) return commit;
  }
  throw branchMissing(repository);
}

export function gitInit(gitDir: string): Command {
  return git('init', '--quiet', '--bare', '--template=', '--', gitDir);
}

/** Fetches one commit into a bare repository: no history, no tags, no submodules. */
export function gitFetch(gitDir: string, url: string, commit: string): Command {
  return git(
    ...[`--git-dir=${gitDir}`, 'fetch', '--quiet', '--depth=1', '--no-tags'],
    ...['--no-recurse-submodules', '--no-write-fetch-head', '--', url, commit],
  );
}

/** Prints type, size and path of each entry of a commit, each ended by NUL; readTree() reads it. */
export function gitTree(gitDir: string, commit: string): Command {
  const format = '--format=%(objecttype) %(objectsize) %(path)';
  return git(`--git-dir=${gitDir}`, 'ls-tree', '-r', '-z', format, commit);
}

/** Reads what gitTree() printed: bytes of all files together, and the paths of the submodules, whose type is `commit`. */
export function readTree(output: string): {
  readonly bytes: number;
  readonly submodules: string[];
} {
  let bytes = 0;
  const submodules: string[] = [];
  for (const entry of output.split('\0')) {
    const [type, size, ...path] = entry.split(' ');
    bytes += Number(size) || 0;
    if (type === 'commit') submodules.push(forSentence(path.join(' ')));
  }
  return { bytes, submodules };
}

/** Writes a commit's files into a directory, which keeps no trace of git. */
export function gitCheckout(gitDir: string, tree: string, commit: string): Command {
  return git(
    ...[`--git-dir=${gitDir}`, `--work-tree=${tree}`, 'checkout', '--quiet', '--force'],
    ...['--detach', commit],
  );
}

/**
 * The whole environment of a git process: no configuration of the machine, no question to anybody, and only the
 * allowed protocols, for redirects too.
 * @param home a directory of this process alone. @param configuration a file with the settings that hold a secret; '' for none
 */
export function gitEnvironment(
  home: string,
  allowed: readonly GitProtocol[],
  configuration = '',
): Record<string, string> {
  return {
    HOME: home,
    LC_ALL: 'C', // the messages are read by gitFailure()
    GIT_ALLOW_PROTOCOL: allowed.join(':'),
    GIT_ASKPASS: '/bin/false',
    GIT_CONFIG_GLOBAL: configuration || '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_TERMINAL_PROMPT: '0',
  };
}

/** What git writes when it fails, and what that means to people. */
const FAILURES: ReadonlyArray<readonly [stderr: RegExp, reason: FailureReason, why: string]> = [
  [/not our ref|unadvertised object/i, 'CommitMissing', 'does not have the commit'],
  [/error: 30[12378]/, 'RepositoryMoved', 'has moved: enter its new address'],
  [
    /fsck error|invalid path|unable to checkout|bad tree/i,
    'RepositoryDamaged',
    'is damaged or malicious',
  ],
  [
    /authentication failed|could not read (username|password)|error: 40[13]|not found/i,
    'RepositoryForbidden',
    'does not exist, or it is private and the sidecar has no valid token for it (repositories.credentials in its configuration)',
  ],
];

/** The error to show for a failure of git. Anything but a failed command is returned as it is. */
export function gitFailure(error: unknown, { url, branch }: Source): unknown {
  if (!(error instanceof CommandError)) return error;
  if (error.command.includes('ls-remote') && error.exitCode === 2)
    return branchMissing({ url, branch }, error);
  const options = { cause: error, detail: url };
  const [, reason, why] = FAILURES.find(([stderr]) => stderr.test(error.stderr)) ?? [];
  return reason === undefined
    ? new RetryableError(
        'RepositoryUnreachable',
        `The repository ${url} could not be reached.`,
        options,
      )
    : new TerminalError(reason, `The repository ${url} ${why}.`, options);
}

function branchMissing({ url, branch }: Source, cause?: unknown): TerminalError {
  if (branch === '')
    return new TerminalError('RepositoryEmpty', `The repository ${url} is empty.`, {
      detail: url,
      cause,
    });
  const name = forSentence(branch);
  return new TerminalError(
    'BranchMissing',
    `The repository ${url} has neither a branch nor a tag "${name}".`,
    { detail: `${url}#${name}`, cause },
  );
}

/** For a sentence: no control characters, not endless. */
function forSentence(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?').slice(0, 200);
}

/**
 * The settings with which a process reaches one host, at the addresses that were looked up and checked beforehand: asked
 * again, a name may answer with another one.
 */
export function pinnedTo(host: PinnedHost, command: Command): Command {
  const resolve = `http.curloptResolve=${host.name}:${host.port}:${host.addresses.join(',')}`;
  const [timeout, seconds, program, ...rest] = command;
  return [timeout, seconds ?? '', program ?? '', '-c', resolve, ...rest];
}

/** Each of these settings closes a way by which a repository or the machine's configuration has run code. */
function git(...args: readonly string[]): Command {
  const settings = [
    'core.hooksPath=/dev/null',
    'core.fsmonitor=false',
    'credential.helper=',
    'gc.auto=0',
    'http.followRedirects=false',
    'http.lowSpeedLimit=1000',
    'http.lowSpeedTime=30',
    'maintenance.auto=false',
    'submodule.recurse=false',
    'transfer.fsckObjects=true',
  ];
  // Ended before its time, git leaves its HTTP helper running: timeout passes the signal on to both.
  return ['timeout', '0', 'git', ...settings.flatMap((setting) => ['-c', setting]), ...args];
}
