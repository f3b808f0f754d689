import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import type { Repository } from '../instance/types.ts';
import type { Command } from './commands.ts';

export type GitProtocol = 'https' | 'http';
type Source = Pick<Repository, 'url' | 'branch'>;

/** Letters, digits and a few marks; neither an option nor a second ref, nor anything git gives a meaning of its own. */
const BRANCH = /^(?!.*(\.\.|\/\/|\/\.|\.lock$|\.lock\/|[./]$))[A-Za-z0-9][\w./+-]{0,199}$/;
const URL = /^([a-z]+):\/\/[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?\/[A-Za-z0-9/._~%+@-]{1,2000}$/;
const CREDENTIALS = /\/\/[^/]*@/;

/** @throws TerminalError RepositoryInvalid unless it is a plain URL, without a password, of a protocol that is allowed. */
export function checkUrl(url: string, allowed: readonly GitProtocol[]): void {
  const expected = allowed.map((it) => `${it}://`).join(' or ');
  // Checked first, and cut out: what follows repeats the address.
  const why = CREDENTIALS.test(url)
    ? 'must not contain a user name or a password'
    : `is not one beginning with ${expected}`;
  const [, protocol] = URL.exec(url) ?? [];
  if (allowed.some((it) => it === protocol)) return;
  throw new TerminalError('RepositoryInvalid', `The address of the repository ${why}.`, {
    detail: printable(url.replace(CREDENTIALS, '//')),
  });
}

/** @throws TerminalError BranchMissing when there can be no branch of that name. */
export function checkBranch(repository: Source): void {
  if (!BRANCH.test(repository.branch)) throw branchMissing(repository);
}

export function branchRef(branch: string): string {
  return `refs/heads/${branch}`;
}

/** Prints `<commit>\t<ref>` lines; exit code 2 when there is no such branch. */
export function gitRemoteCommit({ url, branch }: Source): Command {
  return git('ls-remote', '--exit-code', '--heads', '--', url, branchRef(branch));
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

/** Prints the size of each file of a commit, one a line, `-` for a submodule. */
export function gitTreeSizes(gitDir: string, commit: string): Command {
  return git(`--git-dir=${gitDir}`, 'ls-tree', '-r', '--format=%(objectsize)', commit);
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
 * @param home an empty directory.
 */
export function gitEnvironment(
  home: string,
  allowed: readonly GitProtocol[],
): Record<string, string> {
  return {
    HOME: home,
    LC_ALL: 'C', // the messages are read by gitFailure()
    GIT_ALLOW_PROTOCOL: allowed.join(':'),
    GIT_ASKPASS: '/bin/false',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_TERMINAL_PROMPT: '0',
  };
}

/** What git's failure means to people. Anything but a failed command is returned as it is. */
export function gitFailure(error: unknown, { url, branch }: Source): unknown {
  if (!(error instanceof CommandError)) return error;
  const options = { cause: error, detail: url };
  const said = error.stderr;
  if (error.command.includes('ls-remote') && error.exitCode === 2)
    return branchMissing({ url, branch }, error);
  if (/not our ref|unadvertised object/i.test(said))
    return new TerminalError(
      'RepositoryInvalid',
      `The repository ${url} no longer has the recorded commit.`,
      options,
    );
  if (/fsck error|invalid path|unable to checkout|bad tree/i.test(said))
    return new TerminalError(
      'RepositoryInvalid',
      `The repository ${url} is damaged or malicious.`,
      options,
    );
  if (
    /authentication failed|could not read (username|password)|error: 40[13]|not found/i.test(said)
  )
    return new TerminalError(
      'RepositoryForbidden',
      `The repository ${url} is private or does not exist.`,
      options,
    );
  return new RetryableError(
    'RepositoryUnreachable',
    `The repository ${url} could not be reached.`,
    options,
  );
}

export function branchMissing({ url, branch }: Source, cause?: unknown): TerminalError {
  const name = printable(branch);
  return new TerminalError('BranchMissing', `The repository ${url} has no branch "${name}".`, {
    detail: `${url}#${name}`,
    cause,
  });
}

/** For a sentence: no control characters, not endless. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?').slice(0, 200);
}

/** Each of these settings closes a way by which a repository or the machine's configuration has run code. */
function git(...args: readonly string[]): Command {
  const settings = [
    'core.hooksPath=/dev/null',
    'core.fsmonitor=false',
    'credential.helper=',
    'gc.auto=0',
    'http.lowSpeedLimit=1000',
    'http.lowSpeedTime=30',
    'maintenance.auto=false',
    'submodule.recurse=false',
    'transfer.fsckObjects=true',
  ];
  // Ended before its time, git leaves its HTTP helper running: timeout passes the signal on to both.
  return ['timeout', '0', 'git', ...settings.flatMap((setting) => ['-c', setting]), ...args];
}
