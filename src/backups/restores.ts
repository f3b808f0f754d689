import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Replacements } from '../databases/replacement.ts';
import { TerminalError } from '../errors.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import { isThere, readIfThere, replaceFile, unless, unlessAbsent } from '../host/files.ts';
import { removeTree } from '../host/trees.ts';
import { databaseName } from '../instance/name.ts';
import type { ProgressReason } from '../instance/reasons.ts';
import type { DesiredInstance, Job, PostgresServer } from '../instance/types.ts';
import type { RestoreSource, Restores as RestoresInterface } from '../interfaces.ts';
import type { PgTools } from '../postgres/pg-tools.ts';
import type { TenantLogin } from '../postgres/tenant-session.ts';
import { filestoreOf, partsOf, readManifest } from './backup-manifest.ts';
import { restoreDump } from './dump.ts';
import { requireNotNewer } from './odoo-version.ts';
import { BackupSource } from './restore-source.ts';

export interface RestoresOptions {
  readonly install: string;
  readonly dirs: InstanceDirs;
  readonly tools: Pick<PgTools, 'restore'>;
  readonly replacements: Replacements;
  /** The major version of the Odoo that an instance runs, or would; null where it is not known. */
  readonly odooOf: (desired: DesiredInstance) => Promise<number | null>;
  /** Restores a backup into a folder that is there as long as `work` runs: see BackupStore.inRestored(). */
  readonly inRestored: <T>(
    of: Pick<DesiredInstance, 'id' | 'identity'>,
    snapshot: string,
    signal: AbortSignal,
    work: (folder: string, signal: AbortSignal) => Promise<T>,
  ) => Promise<T>;
}

/**
 * Puts a backup in the place of an instance's data, in two parts. The first, minutes long, makes database and files beside those in use;
 * the instance runs on. The second renames both while the instance is stopped. What they replace is kept, under `before/` in the
 * instance's directory and as a database of that ending, until it is dropped.
 *
 * `restore/job` has the identity of the job whose data are prepared, and `before/job` that of the last one that was carried out: whichever
 * moment a kill comes at, the next run sees what is left to do.
 */
export class Restores implements RestoresInterface {
  readonly #options: RestoresOptions;

  constructor(options: RestoresOptions) {
    this.#options = options;
  }

  async prepare(
    desired: DesiredInstance,
    job: Job,
    progress: (reason: ProgressReason) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { identity } = job;
    if ((await this.prepared(desired)) === identity) return;
    if ((await this.#carriedOut(desired)) === identity) return;
    if (job.kind !== 'restore') return this.#prepareUndo(desired, job);
    const { inRestored, replacements, tools } = this.#options;
    const { restoring } = this.#paths(desired);
    await progress('FetchingBackup');
    await inRestored(desired, job.snapshot, signal, async (folder, bounded) => {
      const manifest = await readManifest(folder, desired.identity);
      requireNotNewer(manifest, await this.#options.odooOf(desired));
      const { dump } = partsOf(folder);
      const filestore = await filestoreOf(folder, manifest);
      await progress('RestoringDatabase');
      const fill = (server: PostgresServer, login: TenantLogin) =>
        restoreDump(tools, { ...server, ...login }, dump, bounded);
      await replacements.prepare(desired, manifest.url, fill);
      await removeTree(restoring, bounded);
      await mkdir(restoring, { mode: 0o700 });
      await rename(filestore, join(restoring, 'filestore'));
    });
    await this.#write(join(restoring, 'job'), job);
  }

  /** The identity of the job whose data wait to be put in the place of the instance's; '': none do. */
  async prepared(desired: Pick<DesiredInstance, 'id'>): Promise<string> {
    const prepared = await readIdentity(join(this.#paths(desired).restoring, 'job'));
    return prepared === (await this.#carriedOut(desired)) ? '' : prepared;
  }

  async isCarriedOut(desired: DesiredInstance, { identity }: Job): Promise<boolean> {
    return (await this.#carriedOut(desired)) === identity;
  }

  async carryOut(desired: DesiredInstance, job: Job): Promise<void> {
    const { restoring, replaced, present } = this.#paths(desired);
    await this.#options.replacements.replace(desired);
    const files = join(restoring, 'filestore');
    if (await isThere(files)) {
      if (await isThere(present)) {
        await removeTree(replaced);
        await mkdir(replaced, { mode: 0o700 });
        await rename(present, join(replaced, 'filestore'));
      }
      // Of an update before: where there were no files to keep, its folder is still there.
      await rm(pinsFile(replaced), { force: true });
      await rename(files, present);
    }
    // Of an update: the versions that go with what was replaced.
    await rename(pinsFile(restoring), pinsFile(replaced)).catch(unlessAbsent);
    // Last: from here on nothing is prepared, whatever of it has been removed when a kill comes.
    await this.#write(join(replaced, 'job'), job);
    await removeTree(restoring);
  }

  async replacedAt(desired: Pick<DesiredInstance, 'id'>): Promise<Date | null> {
    const carriedOut = await stat(join(this.#paths(desired).replaced, 'job')).catch(unlessAbsent);
    return carriedOut ? carriedOut.mtime : null;
  }

  /** Removes what was replaced, once that was longer ago than anybody may want it back. @param before in milliseconds since the epoch */
  async dropReplaced(desired: DesiredInstance, before: number): Promise<void> {
    const replacedAt = await this.replacedAt(desired);
    if (replacedAt === null || replacedAt.getTime() > before) return;
    await this.#options.replacements.drop(desired);
    await removeTree(this.#paths(desired).replaced);
  }

  fetched<T>(
    desired: DesiredInstance,
    snapshot: string,
    signal: AbortSignal,
    work: (source: RestoreSource, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#options.inRestored(desired, snapshot, signal, async (folder, bounded) => {
      const manifest = await readManifest(folder, desired.identity);
      // It takes the template of the data too.
      const { template: templateCode } = manifest;
      requireNotNewer(manifest, await this.#options.odooOf({ ...desired, templateCode }));
      return work(new BackupSource(snapshot, folder, manifest, this.#options), bounded);
    });
  }

  /** What was replaced becomes what is prepared. @throws TerminalError('NothingToUndo') */
  async #prepareUndo(desired: DesiredInstance, job: Job): Promise<void> {
    const { restoring, replaced } = this.#paths(desired);
    if (!(await this.#options.replacements.prepareReplaced(desired))) throw nothingToUndo();
    await mkdir(restoring, { mode: 0o700 }).catch(unless('EEXIST'));
    const files = join(replaced, 'filestore');
    const prepared = join(restoring, 'filestore');
    if (await isThere(files)) {
      // What a restore that failed has left.
      await removeTree(prepared);
      await rename(files, prepared);
    }
    if (!(await isThere(prepared))) throw nothingToUndo();
    await this.#write(join(restoring, 'job'), job);
  }

  async #carriedOut(desired: Pick<DesiredInstance, 'id'>): Promise<string> {
    return readIdentity(join(this.#paths(desired).replaced, 'job'));
  }

  async #write(file: string, { identity }: Job): Promise<void> {
    await mkdir(join(file, '..'), { mode: 0o700 }).catch(unless('EEXIST'));
    await replaceFile(file, `${identity}\n`);
  }

  #paths(desired: Pick<DesiredInstance, 'id'>) {
    return swapPaths(desired, this.#options);
  }
}

/** Where an instance's data are, those that are to replace them, and those that they replaced. */
export function swapPaths(
  { id }: Pick<DesiredInstance, 'id'>,
  { dirs, install }: Pick<RestoresOptions, 'dirs' | 'install'>,
) {
  const { directory, filestore } = dirs.paths(id);
  return {
    restoring: join(directory, 'restore'),
    replaced: join(directory, 'before'),
    present: join(filestore, databaseName(install, id)),
  };
}

/** Which versions go with the data in a folder of an instance's directory. */
export const pinsFile = (folder: string) => join(folder, 'pins.json');

async function readIdentity(file: string): Promise<string> {
  return ((await readIfThere(file)) ?? '').trim();
}

function nothingToUndo(): TerminalError {
  return new TerminalError('NothingToUndo', 'What was there before is not kept any more.');
}
