import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { CommandError, isDiskFull, TerminalError } from '../errors.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import type { Disk } from '../host/disk.ts';
import { exec } from '../host/exec.ts';
import { listFiles } from '../host/file-list.ts';
import { removeTree } from '../host/trees.ts';
import { databaseName } from '../instance/name.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { Archives, RestoreSource } from '../interfaces.ts';
import type { PgLogin, PgTools } from '../postgres/pg-tools.ts';

/** How long tar may take, in milliseconds: a customer's files may be many. */
const TAR_TIMEOUT_MS = 60 * 60_000;

/** What of an instance's directory is kept; the rest is its sessions, or is made again. */
const KEPT = ['docker-compose.yml', 'etc', 'filestore', 'secrets'];

/** Holes are read when an archive is compared with the files, some 250 MB a second: more than this would take too long. */
const MAX_HOLE_BYTES = 500 * 1024 ** 3;

const UNFINISHED = '.unfinished';

const manifestSchema = z.object({
  format: z.literal(1),
  install: z.string(),
  instance: z.int().positive(),
  /** Missing in archives of earlier versions. */
  identity: z.uuid().optional(),
  name: z.string(),
  template: z.string(),
  modules: z.array(z.string()),
  /** Of the database and of its folder in the filestore. */
  database: z.string(),
  writtenAt: z.string(),
  /** Files whose paths are longer than Linux takes, so that no program can read them: how many, and some of them. */
  leftOut: z.object({ count: z.int(), paths: z.array(z.string()) }).optional(),
  sha256: z.object({ database: z.string(), files: z.string() }),
});

/** One archive that is what was written. */
export interface Archive extends z.infer<typeof manifestSchema> {
  readonly dump: string;
  readonly files: string;
}

export interface ArchiveStoreOptions {
  readonly install: string;
  readonly dataDir: string;
  readonly dirs: InstanceDirs;
  readonly disk: Pick<Disk, 'checkRoom'>;
  readonly tools: Pick<PgTools, 'check' | 'dump' | 'restore'>;
  /** The way into an instance's database, as its tenant. */
  readonly loginOf: (desired: DesiredInstance) => Promise<PgLogin>;
}

/**
 * Archives are folders `<dataDir>/archives/<instance>-<time>/` that only the sidecar can read: a dump of the database,
 * a tar of the files, and a manifest with the checksums of both. A folder has its name once it is verified. The time is
 * when the removal of the instance's data was announced, so that writing twice makes one archive.
 */
export class ArchiveStore implements Archives {
  readonly #options: ArchiveStoreOptions;
  readonly #root: string;

  constructor(options: ArchiveStoreOptions) {
    this.#options = options;
    this.#root = join(options.dataDir, 'archives');
  }

  async write(
    desired: DesiredInstance,
    signal: AbortSignal,
  ): Promise<{ name: string; leftOut: number }> {
    const name = nameOf(desired);
    const written = await this.read(name).catch(() => null);
    // A sidecar killed before it could report the archive has left a whole one.
    if (written) return { name, leftOut: written.leftOut?.count ?? 0 };
    const folder = join(this.#root, name);
    const unfinished = `${folder}${UNFINISHED}`;
    for (const remains of [folder, unfinished]) await rm(remains, { recursive: true, force: true });
    await mkdir(unfinished, { recursive: true, mode: 0o700 });
    let leftOut: number;
    try {
      leftOut = await this.#fill(desired, unfinished, signal);
      await this.#check(desired, unfinished, signal);
      for (const path of [...Object.values(pathsIn(unfinished)), unfinished]) await flush(path);
      await rename(unfinished, folder);
    } catch (error) {
      // A partial one would take the space that the next attempt needs.
      await rm(unfinished, { recursive: true, force: true });
      throw error;
    }
    await flush(this.#root);
    return { name, leftOut };
  }

  /** @returns how many files are left out */
  async #fill(desired: DesiredInstance, folder: string, signal: AbortSignal): Promise<number> {
    const { dirs, disk, install, loginOf, tools } = this.#options;
    const { dump, files, manifest } = pathsIn(folder);
    const database = databaseName(install, desired.id);
    const { directory } = dirs.paths(desired.id);
    const list = join(folder, 'files.list');
    const { leftOut, holeBytes, tarBytes } = await listFiles(directory, KEPT, list);
    if (holeBytes > MAX_HOLE_BYTES)
      throw new TerminalError('ArchiveTooSparse', 'The files have holes of more than 500 GB.');
    await disk.checkRoom(tarBytes);
    // With this mode before anything is in them: both hold all of the customer's data.
    for (const file of [dump, files]) await writeFile(file, '', { mode: 0o600 });
    await tools.dump(await loginOf(desired), dump, signal);
    await tarCreate(files, directory, list, signal);
    await rm(list);
    const description: z.infer<typeof manifestSchema> = {
      format: 1,
      install,
      instance: desired.id,
      identity: desired.identity,
      name: desired.name,
      template: desired.templateCode,
      modules: [...desired.modules],
      database,
      writtenAt: new Date().toISOString(),
      leftOut: { count: leftOut.count, paths: [...leftOut.paths] },
      sha256: { database: await sha256(dump), files: await sha256(files) },
    };
    const text = `${JSON.stringify(description, null, 2)}\n`;
    await writeFile(manifest, text, { mode: 0o600 });
    return leftOut.count;
  }

  /** Reads all that was written again: no data is removed for an archive that was not verified. */
  async #check(desired: DesiredInstance, folder: string, signal: AbortSignal): Promise<void> {
    const { dirs, tools } = this.#options;
    const { dump, files } = await this.#read(folder);
    const contents = await tools.check(dump, signal);
    if (!/TABLE DATA \S+ res_users /.test(contents)) throw unusable(folder, 'ArchiveEmpty');
    await tar('--compare', files, dirs.paths(desired.id).directory, signal);
  }

  async verify(desired: DesiredInstance): Promise<void> {
    await this.read(nameOf(desired));
  }

  /** An archive by its name. @throws TerminalError when it is not what was written */
  read(name: string): Promise<Archive> {
    if (!/^\d+-\d{8}T\d{6}Z$/.test(name)) throw unusable(name, 'ArchiveNameInvalid');
    return this.#read(join(this.#root, name));
  }

  /**
   * Puts an archive's files into the directory of an instance. Of another number's secrets only the customer's first
   * password is kept: new ones are made for the others, so that no two instances share one.
   */
  async unpack(archive: Archive, id: number, signal: AbortSignal): Promise<void> {
    const { dirs, install } = this.#options;
    const paths = dirs.paths(id);
    await mkdir(paths.directory, { recursive: true, mode: 0o700 });
    await tar('--extract', archive.files, paths.directory, signal);
    if (id === archive.instance) return;
    const filestore = join(paths.filestore, databaseName(install, id));
    await removeTree(filestore, signal); // of an attempt that was cut off
    await rename(join(paths.filestore, archive.database), filestore);
    for (const name of await readdir(paths.secrets))
      if (name !== 'admin-password') await rm(join(paths.secrets, name));
  }

  /** What an instance of which nothing is here gets from an archive. */
  sourceOf(name: string, archive: Archive): RestoreSource {
    const { instance: id, identity = '', template, dump } = archive;
    return {
      name,
      owner: { id, identity },
      template,
      url: '',
      placeSecrets: (desired, signal) => this.unpack(archive, desired.id, signal),
      placeFiles: async () => {}, // they came with the secrets
      fill: ({ socketDir }, login, signal) =>
        this.#options.tools.restore({ ...login, socketDir }, dump, signal),
    };
  }

  async #read(folder: string): Promise<Archive> {
    const { dump, files, manifest } = pathsIn(folder);
    try {
      const archive = manifestSchema.parse(JSON.parse(await readFile(manifest, 'utf8')));
      const isWhole =
        archive.sha256.database === (await sha256(dump)) &&
        archive.sha256.files === (await sha256(files));
      if (isWhole) return { ...archive, dump, files };
    } catch (cause) {
      throw unusable(folder, 'ArchiveUnreadable', cause);
    }
    throw unusable(folder, 'ArchiveDamaged');
  }
}

/**
 * The instance's number and the moment at which the removal of its data was announced: the same however often it is written.
 * @throws TypeError for an instance whose data are not to be removed
 */
function nameOf({ id, subscription }: DesiredInstance): string {
  const moments = [subscription?.finalNoticeAt, subscription?.removedAt];
  const since = Math.max(...moments.map((moment) => moment?.getTime() ?? 0));
  if (since === 0) throw new TypeError(`the data of instance ${id} are not to be removed`);
  return `${id}-${new Date(since).toISOString().replace(/[-:]|\.\d+/g, '')}`;
}

function pathsIn(folder: string) {
  return {
    dump: join(folder, 'database.dump'),
    files: join(folder, 'files.tar'),
    manifest: join(folder, 'manifest.json'),
  };
}

const UNUSABLE = {
  ArchiveDamaged: 'its checksums differ',
  ArchiveEmpty: 'it has no users',
  ArchiveNameInvalid: 'that is not the name of an archive',
  ArchiveUnreadable: 'it cannot be read',
} as const;

function unusable(archive: string, reason: keyof typeof UNUSABLE, cause?: unknown): TerminalError {
  const message = `The archive ${archive} cannot be used: ${UNUSABLE[reason]}. Nothing was removed.`;
  return new TerminalError(reason, message, { cause, detail: archive });
}

/** Only what the list names: it has each directory's content too. Holes stay holes. */
async function tarCreate(
  file: string,
  directory: string,
  list: string,
  signal: AbortSignal,
): Promise<void> {
  const names = ['--null', '--verbatim-files-from', '--no-unquote', `--files-from=${list}`];
  await tar('--create', file, directory, signal, ['--sparse', '--no-recursion', ...names]);
}

/** Owners by number: a name may be another user elsewhere. @throws TerminalError('ArchiveFailed') */
async function tar(
  action: '--create' | '--compare' | '--extract',
  file: string,
  directory: string,
  signal: AbortSignal,
  options: readonly string[] = [],
): Promise<void> {
  const place = [`--file=${file}`, `--directory=${directory}`];
  try {
    await exec(['tar', action, '--numeric-owner', ...place, ...options], {
      timeoutMs: TAR_TIMEOUT_MS,
      signal,
    });
  } catch (cause) {
    signal.throwIfAborted();
    if (action === '--extract' || !(cause instanceof CommandError) || isDiskFull(cause))
      throw cause;
    const detail = `tar ${action.slice(2)}: ${cause.exitCode ?? 'timeout'}`;
    throw new TerminalError('ArchiveFailed', `The archive could not be written: ${detail}.`, {
      cause,
      detail,
    });
  }
}

/** Flushes a file, or a folder's entries, to the disk: the original is removed next. */
async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
