import type { OdooDatabases } from '../databases/databases.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import type { ProgressReason } from '../instance/reasons.ts';
import type { CopyOf, DesiredInstance } from '../instance/types.ts';
import type { Copies } from '../interfaces.ts';
import type { PgTools } from '../postgres/pg-tools.ts';
import { readManifest } from './backup-manifest.ts';
import { requireNotNewer } from './odoo-version.ts';
import { BackupSource } from './restore-source.ts';

export interface StagingCopiesOptions {
  readonly install: string;
  readonly dirs: InstanceDirs;
  readonly tools: Pick<PgTools, 'restore'>;
  readonly databases: Pick<OdooDatabases, 'restoreStaging'>;
  /** See RestoresOptions. */
  readonly odooOf: (desired: DesiredInstance) => Promise<number | null>;
  /** Restores a backup into a folder that is there as long as `work` runs: see BackupStore.inRestored(). */
  readonly inRestored: <T>(
    of: Pick<DesiredInstance, 'id' | 'identity'>,
    snapshot: string,
    signal: AbortSignal,
    work: (folder: string, signal: AbortSignal) => Promise<T>,
    into: Pick<DesiredInstance, 'id'>,
  ) => Promise<T>;
}

/**
 * Staging copies: files and database of another instance's backup under a number of their own. The files are in place before the database
 * has its name, which says that all is there; whatever was there before that is made again.
 */
export class StagingCopies implements Copies {
  readonly #options: StagingCopiesOptions;

  constructor(options: StagingCopiesOptions) {
    this.#options = options;
  }

  async make(
    desired: DesiredInstance,
    of: CopyOf,
    progress: (reason: ProgressReason) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { inRestored } = this.#options;
    progress('FetchingBackup');
    const fill = (folder: string, bounded: AbortSignal) =>
      this.#fill(desired, of, folder, progress, bounded);
    // A copy that is removed while it is made must not meet the next one of the same original.
    await inRestored(of, of.snapshot, signal, fill, desired);
  }

  async #fill(
    desired: DesiredInstance,
    of: CopyOf,
    folder: string,
    progress: (reason: ProgressReason) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { databases, odooOf } = this.#options;
    const manifest = await readManifest(folder, of.identity);
    requireNotNewer(manifest, await odooOf(desired));
    const source = new BackupSource(of.snapshot, folder, manifest, this.#options);
    progress('RestoringDatabase');
    await databases.restoreStaging(
      desired,
      async (server, login) => {
        await source.fill(server, login, signal);
        await source.placeFiles(desired);
        progress('Neutralising');
      },
      signal,
    );
  }
}
