import { copyFile, lstat, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { TerminalError } from '../errors.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import { makeDirectory } from '../host/files.ts';
import { removeTree } from '../host/trees.ts';
import { databaseName } from '../instance/name.ts';
import type { DesiredInstance, PostgresServer } from '../instance/types.ts';
import type { RestoreSource } from '../interfaces.ts';
import type { PgTools } from '../postgres/pg-tools.ts';
import { type BackupManifest, filestoreOf, partsOf } from './backup-manifest.ts';
import { restoreDump } from './dump.ts';

/** The one secret that goes with the data to another instance: their administrator has it as its password. */
const FIRST_PASSWORD = 'admin-password';

export interface BackupSourceOptions {
  readonly install: string;
  readonly dirs: InstanceDirs;
  readonly tools: Pick<PgTools, 'restore'>;
}

/** What a backup that was restored into a folder gives an instance of which nothing is here. */
export class BackupSource implements RestoreSource {
  readonly name: string;
  readonly owner: RestoreSource['owner'];
  readonly template: string;
  readonly url: string;
  readonly #folder: string;
  readonly #manifest: BackupManifest;
  readonly #options: BackupSourceOptions;

  constructor(
    snapshot: string,
    folder: string,
    manifest: BackupManifest,
    options: BackupSourceOptions,
  ) {
    const { identity, instance: id, template, url } = manifest;
    this.name = snapshot;
    this.owner = { id, identity };
    this.template = template;
    this.url = url;
    this.#folder = folder;
    this.#manifest = manifest;
    this.#options = options;
  }

  async placeSecrets({ id, identity }: DesiredInstance): Promise<void> {
    const { secrets } = this.#options.dirs.paths(id);
    const kept = partsOf(this.#folder).secrets;
    await requireFolder(kept, 'secrets');
    if (identity === this.owner.identity) {
      await removeTree(secrets);
      await rename(kept, secrets);
      return;
    }
    // The others are its own, those that an attempt which was cut off has made too: its Postgres may have them.
    await makeDirectory(secrets, 0o700);
    const password = join(kept, FIRST_PASSWORD);
    const isFile = await lstat(password).then(
      (stats) => stats.isFile(),
      () => false,
    );
    if (!isFile) throw damaged(FIRST_PASSWORD);
    await copyFile(password, join(secrets, FIRST_PASSWORD));
  }

  async placeFiles({ id }: DesiredInstance): Promise<void> {
    const { dirs, install } = this.#options;
    const { filestore } = dirs.paths(id);
    const files = join(filestore, databaseName(install, id));
    await removeTree(files); // of an attempt that was cut off
    const restored = await filestoreOf(this.#folder, this.#manifest);
    // Rendering its files makes it, for Odoo's user; whoever restores need not have them rendered.
    await mkdir(filestore, { recursive: true });
    await rename(restored, files);
  }

  async fill(
    server: PostgresServer,
    login: { readonly database: string; readonly role: string; readonly password: string },
    signal: AbortSignal,
  ): Promise<void> {
    const { dump } = partsOf(this.#folder);
    await restoreDump(this.#options.tools, { ...server, ...login }, dump, signal);
  }
}

async function requireFolder(path: string, what: string): Promise<void> {
  const isFolder = await lstat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isFolder) throw damaged(what);
}

function damaged(detail: string): TerminalError {
  return new TerminalError('BackupDamaged', `The backup has no ${detail}.`, { detail });
}
