import { access, mkdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import { createFile } from '../host/files.ts';
import { withFolder } from '../host/trees.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { Backup, ForeignPlace, RestoreSource } from '../interfaces.ts';
import type { Repository } from '../restic/restic.ts';
import { keyInEscrow } from './backup-keys.ts';
import { readManifest } from './backup-manifest.ts';
import type { BackupStore } from './backup-store.ts';
import { requireSameOdoo } from './odoo-version.ts';
import { BackupSource } from './restore-source.ts';
import type { RestoresOptions } from './restores.ts';

export interface ForeignBackupsOptions
  extends Pick<RestoresOptions, 'dirs' | 'install' | 'odooOf' | 'tools'> {
  /** Where the key is as long as it is needed. */
  readonly folder: string;
  /** Reads one repository of a folder of this host. */
  readonly storeOf: (
    base: string,
    repository: Repository,
  ) => Pick<BackupStore, 'list' | 'inRestored'>;
}

/** The backups of an instance of another install, for an instance of this one to begin with. */
export class ForeignBackups {
  readonly #options: ForeignBackupsOptions;

  constructor(options: ForeignBackupsOptions) {
    this.#options = options;
  }

  /**
   * Restores one of them into a folder that is there as long as `work` runs. One process of this host at a time.
   * @param choose is given what is there, oldest first
   * @throws ConfigError where no repository is there, the escrow file has no key of it, or the data are of an older Odoo;
   *   TerminalError('BackupOdooNewer'), ('BackupDamaged')
   */
  async fetched<T>(
    desired: DesiredInstance,
    place: ForeignPlace,
    choose: (backups: readonly Backup[]) => Backup,
    signal: AbortSignal,
    work: (source: RestoreSource, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { dirs, folder, install, odooOf, storeOf, tools } = this.#options;
    const repository = resolve(place.repository);
    await access(join(repository, 'config')).catch(() => {
      throw new ConfigError(`--from: expected the folder of a repository, found ${repository}`);
    });
    const name = basename(repository);
    const key = await keyInEscrow(place.escrow, name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return withFolder(join(folder, `${desired.id}-key`), signal, async (keys) => {
      const keyFile = join(keys, name);
      await createFile(keyFile, `${key}\n`);
      const store = storeOf(dirname(repository), { name, keyFile });
      const { snapshot } = choose(await store.list(desired, signal));
      return store.inRestored(desired, snapshot, signal, async (restored, bounded) => {
        const manifest = await readManifest(restored, null);
        requireSameOdoo(manifest, await odooOf(desired));
        // Templates are an install's own: the data get the one that the instance was made with.
        const of = { ...manifest, template: desired.templateCode };
        const source = new BackupSource(snapshot, restored, of, { install, dirs, tools });
        return work(source, bounded);
      });
    });
  }
}
