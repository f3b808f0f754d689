import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TerminalError } from '../errors.ts';
import { type Command, exec } from '../host/exec.ts';
import { detailOf, type Remark } from '../instance/reasons.ts';
import type { Repository, RepositoryCommit } from '../instance/types.ts';
import { type Checkout, type CheckoutLayout, layoutOf, moduleNameIn } from './checkout-layout.ts';
import { checkTree, isDirectory, sizeOf } from './checkout-tree.ts';
import {
  checkRevision,
  checkUrl,
  commitIn,
  type GitProtocol,
  gitCheckout,
  gitEnvironment,
  gitFailure,
  gitFetch,
  gitInit,
  gitRemoteRefs,
  gitTree,
  isCommit,
  pinnedTo,
  readTree,
} from './git.ts';
import { credentialFor, type GitCredential, writeCredential } from './git-credentials.ts';
import { type PinnedHost, pinHost } from './git-host.ts';

/** How often a download is looked at for having grown too large, in milliseconds. */
const WATCH_INTERVAL_MS = 250;

export interface RepositoriesOptions {
  readonly dataDir: string;
  /** Default: `['https']`. */
  readonly allowedProtocols?: readonly GitProtocol[];
  /** Hosts that may be asked though they are on a private network. */
  readonly privateHosts?: readonly string[];
  /** Access to private repositories. */
  readonly credentials?: readonly GitCredential[];
  /** Of a checkout, and of what is downloaded for it. */
  readonly maxMegabytes?: number;
  readonly timeoutMs?: number;
}

/** What one download needs to know. */
interface Download {
  readonly repository: Repository;
  readonly host: PinnedHost;
  /** A folder of its own, removed afterwards. */
  readonly draft: string;
  /** A file with git's settings that hold a secret; '' for none. */
  readonly configuration: string;
  readonly signal: AbortSignal;
}

/**
 * Checkouts of addon repositories, `<dataDir>/checkouts/<commit>/`: one for each commit, shared by all instances that
 * use it, read-only, without `.git`.
 */
export class Repositories {
  readonly #root: string;
  readonly #protocols: readonly GitProtocol[];
  readonly #privateHosts: readonly string[];
  readonly #credentials: readonly GitCredential[];
  /** By commit: a checkout never changes. */
  readonly #layouts = new Map<string, Promise<CheckoutLayout>>();
  readonly #maxBytes: number;
  readonly #timeoutMs: number;

  constructor(options: RepositoriesOptions) {
    this.#root = join(options.dataDir, 'checkouts');
    this.#protocols = options.allowedProtocols ?? ['https'];
    this.#privateHosts = options.privateHosts ?? [];
    this.#credentials = options.credentials ?? [];
    this.#maxBytes = (options.maxMegabytes ?? 500) * 1024 * 1024;
    this.#timeoutMs = options.timeoutMs ?? 300_000;
  }

  /** @param commit 40 or 64 hexadecimal digits. @throws TerminalError CommitInvalid on anything else. */
  path(commit: string): string {
    if (!isCommit(commit))
      throw new TerminalError('CommitInvalid', 'The recorded commit is none.', {
        detail: commit.slice(0, 64),
      });
    return join(this.#root, commit);
  }

  /** Whether the commit recorded for the repository is on disk. */
  async has(repository: Repository): Promise<boolean> {
    return repository.commit !== '' && isDirectory(this.path(repository.commit));
  }

  /** The checkout of a repository that has() says is there. */
  async checkout({ commit, url }: RepositoryCommit): Promise<Checkout> {
    const path = this.path(commit);
    const layout = this.#layouts.get(commit) ?? layoutOf(path);
    this.#layouts.set(commit, layout);
    const { folders, isModule } = await layout.catch((error) => {
      this.#layouts.delete(commit);
      throw error;
    });
    return { path, folders, moduleName: isModule ? (moduleNameIn(url) ?? '') : '' };
  }

  /**
   * Makes sure that there is a checkout: of the recorded commit where there is one, else of what the seller named.
   * @param compile adds compiled files to a fresh tree, before anybody else sees it
   * @returns the commit, and what of the repository was left out.
   * @throws TerminalError Repository…, BranchMissing or CommitMissing; RetryableError RepositoryUnreachable.
   */
  async fetch(
    repository: Repository,
    signal: AbortSignal,
    compile: (tree: string) => Promise<void> = async () => {},
  ): Promise<{ readonly commit: string; readonly remarks: readonly Remark[] }> {
    const { branch, url } = repository;
    if (await this.has(repository)) return { commit: repository.commit, remarks: [] };
    checkUrl(url, this.#protocols);
    checkRevision(repository);
    const host = await pinHost(url, this.#privateHosts);
    const draft = await this.#makeDraft();
    try {
      const configuration = await this.#configuration(url, draft);
      const download = { repository, host, draft, configuration, signal };
      const named = repository.commit || (isCommit(branch) ? branch : '');
      const commit = named || (await this.#newest(download));
      if (await isDirectory(this.path(commit))) return { commit, remarks: [] };
      const remarks = await this.#download(download, commit, compile);
      // Another fetch that was quicker has made the same tree.
      await rename(join(draft, 'tree'), this.path(commit)).catch(unlessThere);
      return { commit, remarks };
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

  /** Writes the token for an address, where the operator has given one. @returns the file, '' for none */
  async #configuration(url: string, draft: string): Promise<string> {
    const credential = credentialFor(url, this.#credentials);
    if (credential === null) return '';
    const file = join(draft, 'home', 'gitconfig');
    await writeCredential(file, credential);
    return file;
  }

  async #newest(download: Download): Promise<string> {
    const { repository } = download;
    return commitIn(await this.#git(gitRemoteRefs(repository), download), repository);
  }

  /** Leaves the commit's files in `<draft>/tree`, checked and read-only. @returns what was left out */
  async #download(
    download: Download,
    commit: string,
    compile: (tree: string) => Promise<void>,
  ): Promise<Remark[]> {
    const { draft, repository } = download;
    const gitDir = join(draft, 'git');
    const tree = join(draft, 'tree');
    const git = (command: Command, signal = download.signal) =>
      this.#git(command, { ...download, signal });
    await git(gitInit(gitDir));
    await this.#watched(download, (until) => git(gitFetch(gitDir, repository.url, commit), until));
    const { bytes, submodules } = readTree(await git(gitTree(gitDir, commit)));
    // A file may stand in the tree a million times and be downloaded once.
    if (bytes > this.#maxBytes) throw this.#tooLarge(repository);
    await git(gitCheckout(gitDir, tree, commit));
    await checkLayout(tree, repository, submodules);
    await compile(tree);
    // Last, so that what was compiled is read-only as well.
    await checkTree(tree, repository.url);
    return submodules.length === 0 ? [] : [leftOut(repository, submodules)];
  }

  async #git(command: Command, download: Download): Promise<string> {
    const { configuration, draft, host, repository, signal } = download;
    const env = gitEnvironment(join(draft, 'home'), this.#protocols, configuration);
    try {
      return await exec(pinnedTo(host, command), {
        ...{ env, cwd: draft, timeoutMs: this.#timeoutMs, signal },
      });
    } catch (error) {
      signal.throwIfAborted();
      throw gitFailure(error, repository);
    }
  }

  /** Runs a download that is ended when it has written more than a checkout may have. */
  async #watched(
    { draft, repository, signal }: Download,
    fetch: (until: AbortSignal) => Promise<unknown>,
  ): Promise<void> {
    const tooLarge = new AbortController();
    const finished = new AbortController();
    const watch = async () => {
      while (!finished.signal.aborted) {
        if ((await sizeOf(draft)) > this.#maxBytes) tooLarge.abort(this.#tooLarge(repository));
        await sleep(WATCH_INTERVAL_MS, undefined, { signal: finished.signal }).catch(() => {});
      }
    };
    const watching = watch();
    try {
      await fetch(AbortSignal.any([signal, tooLarge.signal]));
    } finally {
      finished.abort();
      await watching;
    }
  }

  #tooLarge({ url }: Repository): TerminalError {
    const megabytes = String(this.#maxBytes / 1024 / 1024);
    return new TerminalError(
      'RepositoryTooLarge',
      `The repository ${url} is larger than ${megabytes} MB.`,
      { detail: [url, megabytes] },
    );
  }
}

/** @throws TerminalError when an instance could load nothing of it, saying why */
async function checkLayout(
  tree: string,
  { url }: Repository,
  submodules: readonly string[],
): Promise<void> {
  const { folders, isModule } = await layoutOf(tree);
  if (isModule && moduleNameIn(url) === null)
    throw new TerminalError(
      'RepositoryModuleUnnamed',
      `The repository ${url} is one Odoo module, and its address does not end with the module's name.`,
      { detail: url },
    );
  if (isModule || folders.length > 0) return;
  if (submodules.length > 0)
    throw new TerminalError(
      'RepositoryOnlySubmodules',
      `The repository ${url} holds no Odoo module but git submodules: ${listed(submodules)}.`,
      { detail: [url, listed(submodules)] },
    );
  throw new TerminalError('RepositoryWithoutModules', `The repository ${url} has no Odoo module.`, {
    detail: url,
  });
}

function leftOut({ url }: Repository, submodules: readonly string[]): Remark {
  return { reason: 'SubmodulesLeftOut', detail: detailOf(url, listed(submodules)) };
}

/** For a sentence in any language: some names, and how many there are besides. */
function listed(names: readonly string[]): string {
  const more = names.length - 5;
  return `${names.slice(0, 5).join(', ')}${more > 0 ? `, … (+${more})` : ''}`;
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
}
