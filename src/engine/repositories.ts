import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TerminalError } from '../errors.ts';
import type { Repository } from '../instance/types.ts';
import { checkTree, isDirectory, sizeOf } from './checkout-tree.ts';
import type { Command } from './commands.ts';
import { exec } from './exec.ts';
import {
  branchMissing,
  branchRef,
  checkBranch,
  checkUrl,
  type GitProtocol,
  gitCheckout,
  gitEnvironment,
  gitFailure,
  gitFetch,
  gitInit,
  gitRemoteCommit,
  gitTreeSizes,
} from './git.ts';

/** How often a download is looked at for having grown too large, in milliseconds. */
const WATCH_INTERVAL = 250;

export interface RepositoriesOptions {
  readonly dataDir: string;
  /** `['https']` unless told otherwise. */
  readonly allowedProtocols?: readonly GitProtocol[];
  /** Of a checkout, and of what is downloaded for it. */
  readonly maxMegabytes?: number;
  readonly timeoutMs?: number;
}

/**
 * Checkouts of addon repositories, `<dataDir>/checkouts/<commit>/`: one for each commit, shared by all instances that
 * use it, read-only, without `.git`.
 */
export class Repositories {
  readonly #root: string;
  readonly #protocols: readonly GitProtocol[];
  readonly #maxBytes: number;
  readonly #timeoutMs: number;

  constructor(options: RepositoriesOptions) {
    this.#root = join(options.dataDir, 'checkouts');
    this.#protocols = options.allowedProtocols ?? ['https'];
    this.#maxBytes = (options.maxMegabytes ?? 500) * 1024 * 1024;
    this.#timeoutMs = options.timeoutMs ?? 300_000;
  }

  /** @param commit 40 or 64 hexadecimal digits. @throws TerminalError RepositoryInvalid on anything else. */
  path(commit: string): string {
    if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(commit))
      throw new TerminalError('RepositoryInvalid', 'The recorded commit is none.', {
        detail: commit.slice(0, 64),
      });
    return join(this.#root, commit);
  }

  /** Whether the commit recorded for the repository is on disk. */
  async has(repository: Repository): Promise<boolean> {
    return repository.commit !== '' && isDirectory(this.path(repository.commit));
  }

  /**
   * Makes sure that there is a checkout: of the recorded commit where there is one, else of the branch's newest.
   * @param compile adds compiled files to a fresh tree, before anybody else sees it
   * @returns the commit.
   * @throws TerminalError RepositoryInvalid, RepositoryForbidden or BranchMissing; RetryableError RepositoryUnreachable.
   */
  async fetch(
    repository: Repository,
    signal: AbortSignal,
    compile: (tree: string) => Promise<void> = async () => {},
  ): Promise<string> {
    if (await this.has(repository)) return repository.commit;
    checkUrl(repository.url, this.#protocols);
    checkBranch(repository);
    const draft = await this.#makeDraft();
    try {
      const commit = repository.commit || (await this.#newest(repository, draft, signal));
      if (await isDirectory(this.path(commit))) return commit;
      await this.#download(repository, commit, draft, signal, compile);
      // Whoever was quicker has made the very same tree.
      await rename(join(draft, 'tree'), this.path(commit)).catch(unlessThere);
      return commit;
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  /** Removes what an interrupted fetch has left behind. For the start, when nothing is being fetched. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.#root).catch(() => []))
      if (name.startsWith('.draft-'))
        await rm(join(this.#root, name), { recursive: true, force: true });
  }

  async #makeDraft(): Promise<string> {
    const draft = join(this.#root, `.draft-${randomBytes(6).toString('hex')}`);
    await mkdir(this.#root, { recursive: true, mode: 0o755 });
    for (const part of ['', 'home', 'tree']) await mkdir(join(draft, part));
    return draft;
  }

  async #newest(repository: Repository, draft: string, signal: AbortSignal): Promise<string> {
    const said = await this.#git(gitRemoteCommit(repository), repository, draft, signal);
    const ref = branchRef(repository.branch);
    // The pattern also matches a ref that merely ends like this one.
    const line = said.split('\n').find((it) => it.endsWith(`\t${ref}`)) ?? '';
    const [commit = ''] = line.split('\t');
    if (commit === '') throw branchMissing(repository);
    return commit;
  }

  /** Leaves the commit's files in `<draft>/tree`, checked and read-only. */
  async #download(
    repository: Repository,
    commit: string,
    draft: string,
    signal: AbortSignal,
    compile: (tree: string) => Promise<void>,
  ): Promise<void> {
    const gitDir = join(draft, 'git');
    const tree = join(draft, 'tree');
    const git = (command: Command, until = signal) => this.#git(command, repository, draft, until);
    await git(gitInit(gitDir));
    await this.#watched(draft, repository, signal, (until) =>
      git(gitFetch(gitDir, repository.url, commit), until),
    );
    const sizes = (await git(gitTreeSizes(gitDir, commit))).split('\n');
    // A file may stand in the tree a million times and be downloaded once.
    if (sizes.reduce((sum, size) => sum + (Number(size) || 0), 0) > this.#maxBytes)
      throw this.#tooLarge(repository);
    await git(gitCheckout(gitDir, tree, commit));
    await compile(tree);
    // Last, so that what was compiled is read-only as well.
    await checkTree(tree, repository.url);
  }

  async #git(
    command: Command,
    repository: Repository,
    draft: string,
    signal: AbortSignal,
  ): Promise<string> {
    const env = gitEnvironment(join(draft, 'home'), this.#protocols);
    try {
      return await exec(command, { env, cwd: draft, timeoutMs: this.#timeoutMs, signal });
    } catch (error) {
      signal.throwIfAborted();
      throw gitFailure(error, repository);
    }
  }

  /** Runs a download that is ended when it has written more than a checkout may have. */
  async #watched(
    directory: string,
    repository: Repository,
    signal: AbortSignal,
    download: (until: AbortSignal) => Promise<unknown>,
  ): Promise<void> {
    const tooLarge = new AbortController();
    const finished = new AbortController();
    const watch = async () => {
      while (!finished.signal.aborted) {
        if ((await sizeOf(directory)) > this.#maxBytes) tooLarge.abort(this.#tooLarge(repository));
        await sleep(WATCH_INTERVAL, undefined, { signal: finished.signal }).catch(() => {});
      }
    };
    const watching = watch();
    try {
      await download(AbortSignal.any([signal, tooLarge.signal]));
    } finally {
      finished.abort();
      await watching;
    }
  }

  #tooLarge({ url }: Repository): TerminalError {
    return new TerminalError(
      'RepositoryInvalid',
      `The repository ${url} is larger than ${this.#maxBytes / 1024 / 1024} MB.`,
      { detail: url },
    );
  }
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
}
