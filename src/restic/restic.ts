import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { getgid, getuid } from 'node:process';
import { z } from 'zod';
import { containersRemove } from '../docker/commands.ts';
import { type DockerCli, ignoreFailure } from '../docker/docker-cli.ts';
import {
  BACKGROUND_LABEL,
  type Capability,
  hardenedRun,
  LOWEST_PRIORITY,
} from '../docker/helpers.ts';
import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import type { Command } from '../host/exec.ts';
import { isThere } from '../host/files.ts';
import { removeTree } from '../host/trees.ts';
import { asReason, EXIT } from './failures.ts';
import { requireServer } from './server.ts';

/** How long one run may take, in milliseconds: a customer's files may be many, and a line to another host slow. */
const TIMEOUT_MS = 3 * 60 * 60_000;
const LOOK_TIMEOUT_MS = 5 * 60_000;

/** How many other repositories are looked for where one is missing: each takes a server a second. */
const MOST_ASKED = 10;

/** Its index of a repository is in memory: some 100 MB for a terabyte. */
const MEMORY = '2g';

/** Where the containers have their mounts. */
const INSIDE = { repository: '/repository', key: '/run/key', ssh: '/run/ssh' } as const;

/**
 * The server is the one whose key is known, or none; one that falls silent is given up after a minute. What ssh says goes straight to the
 * container's errors: restic, its process 1, passes it on beside its own end, and is often gone before.
 */
const SSH_ARGUMENTS = [
  ...['-i', `${INSIDE.ssh}/id`, '-E', '/proc/1/fd/2'],
  ...['BatchMode=yes', 'StrictHostKeyChecking=yes', `UserKnownHostsFile=${INSIDE.ssh}/known_hosts`],
  ...['ConnectTimeout=20', 'ServerAliveInterval=15', 'ServerAliveCountMax=4'],
]
  .map((one) => (one.includes('=') ? `-o ${one}` : one))
  .join(' ');

/** Where repositories are. */
export interface ResticPlace {
  /** A folder of this host, or a server: `sftp:user@host:/folder`, `sftp://user@host:port//folder`, `rest:https://host/`. Each repository is a folder in it. */
  readonly base: string;
  /** A file with the variables by which the server is entered, such as `RESTIC_REST_PASSWORD`, a line each. '' where none are needed. */
  readonly environmentFile: string;
  /** For `sftp:`, a folder with `id` (the private key) and `known_hosts`. '' where there is none. */
  readonly sshFolder: string;
}

/** One tenant's repository. */
export interface Repository {
  /** Of its folder. */
  readonly name: string;
  /** The file with its password. */
  readonly keyFile: string;
}

/** A folder or file of this host, and where the backup has it. */
export interface Source {
  readonly from: string;
  /** Below `/backup`. */
  readonly to: string;
  /** It is nobody's to make: where it is missing, nothing is backed up. */
  readonly mustExist?: boolean;
  /** How many folders deep it is backed up; what lies deeper is left out, and not looked at. By default all of it is. */
  readonly deepest?: number;
}

export interface ResticSnapshot {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly time: Date;
  readonly tags: readonly string[];
  /** Of what was backed up, in bytes; 0 where an earlier restic did not write it. */
  readonly bytes: number;
}

const snapshotsSchema = z.array(
  z
    .object({
      id: z.string().regex(/^[0-9a-f]{64}$/),
      time: z.coerce.date(),
      tags: z.array(z.string()).nullish(),
      summary: z.object({ total_bytes_processed: z.number() }).partial().nullish(),
    })
    .transform(
      ({ id, summary, tags, time }): ResticSnapshot => ({
        ...{ id, time, tags: tags ?? [] },
        bytes: summary?.total_bytes_processed ?? 0,
      }),
    ),
);

const backedUpSchema = z.object({
  message_type: z.literal('summary'),
  snapshot_id: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * restic, each command in a container of its own: without a network where the repository is a folder, and with no right but the one
 * that the command needs. The only place that knows its arguments, exit codes and output.
 */
export class Restic {
  readonly #install: string;
  readonly #image: string;
  readonly #docker: DockerCli;
  readonly #place: ResticPlace;

  constructor(install: string, image: string, docker: DockerCli, place: ResticPlace) {
    this.#install = install;
    this.#image = image;
    this.#docker = docker;
    this.#place = place;
  }

  /** Makes a repository; one that is there and opens with this key is left as it is. */
  async init(repository: Repository, signal: AbortSignal): Promise<void> {
    const { base } = this.#place;
    if (isFolder(base)) await mkdir(join(base, repository.name), { recursive: true, mode: 0o700 });
    try {
      await this.#run(repository, ['init'], { signal, writes: true });
    } catch (error) {
      // Interrupted after it was made; with another key this fails.
      await this.snapshots(repository, signal).catch(() => {
        throw error;
      });
    }
  }

  /**
   * @param tags one of them must be new: by that an incomplete snapshot is found
   * @returns the new snapshot's id
   * @throws RetryableError('BackupFailed') too where a file could not be read; then no snapshot is left
   */
  async backup(
    repository: Repository,
    sources: readonly Source[],
    tags: readonly string[],
    signal: AbortSignal,
  ): Promise<string> {
    const args = [
      ...['backup', '--json', '--quiet', `--host=${repository.name}`, '--no-scan'],
      ...tags.map((tag) => `--tag=${tag}`),
      ...sources.flatMap(excludeOf),
      ...['--', '/backup'],
    ];
    const options = sources.map(mountOf);
    try {
      const run = { signal, options, capabilities: ['DAC_READ_SEARCH'], writes: true } as const;
      return idIn(await this.#run(repository, args, run));
    } catch (error) {
      if (exitCodeOf(error) === EXIT.incomplete) await this.#forgetTagged(repository, tags, signal);
      throw error;
    }
  }

  /** All snapshots, oldest first. */
  async snapshots(repository: Repository, signal: AbortSignal): Promise<ResticSnapshot[]> {
    const args = ['snapshots', '--json', '--no-lock'];
    const output = await this.#run(repository, args, { signal, timeoutMs: LOOK_TIMEOUT_MS });
    const found = snapshotsSchema.parse(JSON.parse(output || '[]'));
    return found.sort((one, other) => one.time.getTime() - other.time.getTime());
  }

  /** Writes a snapshot's files into an empty folder, as they were: each piece is compared with its hash. */
  async restore(
    repository: Repository,
    snapshot: string,
    folder: string,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#run(repository, ['restore', '--no-lock', '--target=/', '--', snapshot], {
      signal,
      options: [`--volume=${folder}:/backup`],
      // Files get back their owners and modes.
      capabilities: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER'],
    });
  }

  /**
   * Removes snapshots, and what no other has.
   * @returns those that are left: a server that only takes more (`--append-only`) removes none, and restic ends with 0 all the same
   */
  async forget(
    repository: Repository,
    snapshots: readonly string[],
    signal: AbortSignal,
  ): Promise<string[]> {
    return snapshots.length === 0 ? [] : this.#forgetAndPrune(repository, snapshots, signal);
  }

  /** As forget(); without any snapshot too, it removes what none has: one that was killed may have left that. */
  async #forgetAndPrune(
    repository: Repository,
    snapshots: readonly string[],
    signal: AbortSignal,
  ): Promise<string[]> {
    const run = { signal, writes: true } as const;
    if (snapshots.length > 0) await this.#run(repository, ['forget', '--', ...snapshots], run);
    const there = new Set((await this.snapshots(repository, signal)).map(({ id }) => id));
    const left = snapshots.filter((id) => there.has(id));
    // `forget --prune` takes for gone what the server has kept (restic 0.18), and would remove the data of it.
    if (left.length === 0) await this.#run(repository, ['prune'], run);
    return left;
  }

  /**
   * Removes all that a repository holds. On this host its folder goes too; a server keeps an empty repository.
   * @param others that have been made: where the repository is missing, one of them must be there
   * @throws TerminalError('BackupServerKeeps') where the server removes nothing; RetryableError('BackupServerAway') where none is there
   */
  async erase(
    repository: Repository,
    others: readonly Repository[],
    signal: AbortSignal,
  ): Promise<void> {
    const { base } = this.#place;
    if (isFolder(base)) {
      // One that is not there is a disk that is not mounted.
      await access(base).catch((cause) => {
        const detail = `no folder ${base}`;
        throw new RetryableError('BackupServerAway', detail, { cause, detail });
      });
      if (!(await this.#isThere(repository, signal))) await this.#requireAny(others, signal);
      await this.#docker(containersRemove([this.#container(repository)])).catch(ignoreFailure);
      return removeTree(join(base, repository.name), signal);
    }
    try {
      const all = await this.snapshots(repository, signal);
      const ids = all.map(({ id }) => id);
      if ((await this.#forgetAndPrune(repository, ids, signal)).length === 0) return;
    } catch (error) {
      if (exitCodeOf(error) !== EXIT.noRepository) throw error;
      // Somebody has removed it there, or all of the server's are away.
      return this.#requireAny(others, signal);
    }
    const message = `the server of the backups removes nothing: remove ${repository.name} there`;
    throw new TerminalError('BackupServerKeeps', message, { detail: repository.name });
  }

  /** Where none of those that were made is there, they are not removed but away, as on a disk that is not mounted. */
  async #requireAny(made: readonly Repository[], signal: AbortSignal): Promise<void> {
    const asked = made.slice(0, MOST_ASKED);
    for (const one of asked) if (await this.#isThere(one, signal)) return;
    if (asked.length === 0) return;
    const detail = `no repository in ${this.#place.base}`;
    throw new RetryableError('BackupServerAway', detail, { detail });
  }

  async #isThere(repository: Repository, signal: AbortSignal): Promise<boolean> {
    const { base } = this.#place;
    if (isFolder(base)) return isThere(join(base, repository.name));
    try {
      await this.snapshots(repository, signal);
      return true;
    } catch (error) {
      const exitCode = exitCodeOf(error);
      if (exitCode !== EXIT.noRepository && exitCode !== EXIT.wrongPassword) throw error;
      return exitCode === EXIT.wrongPassword;
    }
  }

  async #forgetTagged(
    repository: Repository,
    tags: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const found = await this.snapshots(repository, signal);
    const left = found.filter((one) => tags.every((tag) => one.tags.includes(tag)));
    await this.forget(
      repository,
      left.map(({ id }) => id),
      signal,
    );
  }

  /** What `restic version` says, without any repository. */
  async version(signal: AbortSignal): Promise<string> {
    const command = hardenedRun({
      ...{ install: this.#install, kind: 'backup', image: this.#image, network: 'none' },
      ...{ pids: 128, memory: MEMORY, entrypoint: 'restic', args: ['version'] },
    });
    return this.#docker(command, { timeoutMs: LOOK_TIMEOUT_MS, signal });
  }

  /** Of a repository that a killed command has left locked, the lock is removed: nobody else of this install writes in it (see #command). */
  async #run(repository: Repository, args: readonly string[], run: ResticRun): Promise<string> {
    try {
      return await this.#once(repository, args, run);
    } catch (error) {
      if (exitCodeOf(error) !== EXIT.locked) throw error;
      await this.#once(repository, ['unlock', '--remove-all'], run);
      return this.#once(repository, args, run);
    }
  }

  async #once(repository: Repository, args: readonly string[], run: ResticRun): Promise<string> {
    const { signal, timeoutMs = TIMEOUT_MS } = run;
    await this.#requirePlace(repository);
    // One whose sidecar was killed goes on writing.
    if (run.writes)
      await this.#docker(containersRemove([this.#container(repository)])).catch(ignoreFailure);
    try {
      return await this.#docker(this.#command(repository, args, run), { timeoutMs, signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof CommandError ? asReason(error, isFolder(this.#place.base)) : error;
    }
  }

  /** Docker would make the folder: on a disk that is not mounted, an empty one. */
  async #requirePlace({ name }: Repository): Promise<void> {
    const { base } = this.#place;
    if (!isFolder(base)) return requireServer(base);
    const folder = join(base, name);
    await access(folder).catch((cause) => {
      const message = `no repository at ${folder}`;
      throw new RetryableError('BackupServerAway', message, { cause, detail: message });
    });
  }

  #container({ name }: Repository): string {
    return `ms-${this.#install}-restic-${name}`;
  }

  /** A container that writes has the repository's name, so there is never another one that does; any number may read. */
  #command(repository: Repository, args: readonly string[], run: ResticRun): Command {
    const { base, environmentFile, sshFolder } = this.#place;
    const isHere = isFolder(base);
    const url = isHere ? INSIDE.repository : `${base.replace(/\/$/, '')}/${repository.name}`;
    return hardenedRun({
      ...{ install: this.#install, kind: 'backup', image: this.#image },
      ...{ network: isHere ? 'none' : 'host', pids: 128, memory: MEMORY },
      ...(run.capabilities ? { capabilities: run.capabilities } : {}),
      options: [
        ...[...(run.writes ? [`--name=${this.#container(repository)}`] : [])],
        ...[LOWEST_PRIORITY, BACKGROUND_LABEL],
        ...[`--user=${getuid?.() ?? 0}:${getgid?.() ?? 0}`, '--tmpfs=/tmp'],
        `--volume=${repository.keyFile}:${INSIDE.key}:ro`,
        ...[`--env=RESTIC_PASSWORD_FILE=${INSIDE.key}`, `--env=RESTIC_REPOSITORY=${url}`],
        ...(environmentFile ? [`--env-file=${environmentFile}`] : []),
        ...(isHere ? [`--volume=${join(base, repository.name)}:${INSIDE.repository}`] : []),
        ...(sshFolder ? [`--volume=${sshFolder}:${INSIDE.ssh}:ro`] : []),
        ...(run.options ?? []),
      ],
      entrypoint: 'restic',
      args: ['--no-cache', ...(sshFolder ? ['-o', `sftp.args=${SSH_ARGUMENTS}`] : []), ...args],
    });
  }
}

interface ResticRun {
  readonly signal: AbortSignal;
  readonly options?: readonly string[];
  readonly capabilities?: readonly Capability[];
  readonly timeoutMs?: number;
  /** It changes the repository: there is no other one that does. */
  readonly writes?: true;
}

/** With `--volume`, Docker makes a folder that is missing; with `--mount`, it refuses. */
function mountOf({ from, mustExist, to }: Source): string {
  return mustExist
    ? `--mount=type=bind,source=${from},target=/backup/${to},readonly`
    : `--volume=${from}:/backup/${to}:ro`;
}

/** A pattern is compared before anything is opened, and what is below what it fits is left out too. */
function excludeOf({ deepest, to }: Source): string[] {
  if (deepest === undefined) return [];
  return [`--exclude=/backup/${to}${'/*'.repeat(deepest + 1)}`];
}

function isFolder(base: string): boolean {
  return base.startsWith('/');
}

/** The new snapshot's id, in the last line of what `backup --json` writes. */
function idIn(output: string): string {
  const last = output.trim().split('\n').at(-1) ?? '';
  return backedUpSchema.parse(JSON.parse(last)).snapshot_id;
}

function exitCodeOf(error: unknown): number | null {
  const { cause } = error as Error;
  return cause instanceof CommandError ? cause.exitCode : null;
}
