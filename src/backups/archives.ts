import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import { exec } from '../host/exec.ts';
import { unless } from '../host/files.ts';
import { removeTree } from '../host/trees.ts';
import { databaseName } from '../instance/name.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { RestoreSource } from '../interfaces.ts';
import type { PgTools } from '../postgres/pg-tools.ts';
import { endingOf } from './ending.ts';

/** How long tar may take, in milliseconds: a customer's files may be many. */
const TAR_TIMEOUT_MS = 60 * 60_000;

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
  readonly tools: Pick<PgTools, 'restore'>;
}

/**
 * The last copies that earlier versions have written, in place of backups: folders `<dataDir>/archives/<instance>-<time>/` with a dump of the
 * database, a tar of the files, and a manifest with the checksums of both. None is written any more; those that there are can be restored.
 */
export class ArchiveStore {
  readonly #options: ArchiveStoreOptions;
  readonly #root: string;

  constructor(options: ArchiveStoreOptions) {
    this.#options = options;
    this.#root = join(options.dataDir, 'archives');
  }

  /** Whether an earlier version has written one of this end of an instance, and it is what was written. */
  async has(desired: Pick<DesiredInstance, 'id' | 'subscription'>): Promise<boolean> {
    return this.read(`${desired.id}-${endingOf(desired)}`).then(
      () => true,
      () => false,
    );
  }

  /** Removes those of an instance. By their manifests: of another one that had its number before they stay. */
  async dropOf({ id, identity }: Pick<DesiredInstance, 'id' | 'identity'>): Promise<void> {
    const names = await readdir(this.#root).catch(unless('ENOENT', []));
    for (const name of names.filter((one) => one.startsWith(`${id}-`))) {
      const folder = join(this.#root, name);
      const text = await readFile(pathsIn(folder).manifest, 'utf8').catch(() => '');
      if (text.includes(identity)) await rm(folder, { recursive: true, force: true });
    }
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
    // Owners by number: a name may be another user elsewhere.
    const place = [`--file=${archive.files}`, `--directory=${paths.directory}`];
    await exec(['tar', '--extract', '--numeric-owner', ...place], {
      timeoutMs: TAR_TIMEOUT_MS,
      signal,
    });
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
      fill: (server, login, signal) =>
        this.#options.tools.restore({ ...server, ...login }, dump, signal),
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

function pathsIn(folder: string) {
  return {
    dump: join(folder, 'database.dump'),
    files: join(folder, 'files.tar'),
    manifest: join(folder, 'manifest.json'),
  };
}

const UNUSABLE = {
  ArchiveDamaged: 'its checksums differ',
  ArchiveNameInvalid: 'that is not the name of an archive',
  ArchiveUnreadable: 'it cannot be read',
} as const;

function unusable(archive: string, reason: keyof typeof UNUSABLE, cause?: unknown): TerminalError {
  const message = `The archive ${archive} cannot be used: ${UNUSABLE[reason]}. Nothing was removed.`;
  return new TerminalError(reason, message, { cause, detail: archive });
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
