import { randomBytes } from 'node:crypto';
import { link, lstat, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CommandError, ConfigError, isDiskFull, notEnoughDisk, TerminalError } from '../errors.ts';
import { type Disk, measureFreeSpace } from '../host/disk.ts';
import { unless } from '../host/files.ts';
import { writeZip, type ZipEntry } from '../host/zip.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { Backup, ExportProgress } from '../interfaces.ts';
import type { PgTools } from '../postgres/pg-tools.ts';
import { filestoreOf, partsOf, readManifest } from './backup-manifest.ts';
import type { BackupStore } from './backup-store.ts';
import { type OdooManifest, readOdooManifest } from './odoo-manifest.ts';
import { ForOlderPostgres } from './plain-dump.ts';
import { storedFiles } from './proof.ts';

/**
 * What is written beside the zip, in sizes of the backup: its restored files, its database with all indexes (up to twice the dump), the
 * dump as SQL.
 */
const ROOM = 4;

export interface ExporterOptions {
  /** Of a command with a folder and a proof server of its own: the sidecar may be at the same instance's backups meanwhile. */
  readonly store: Pick<BackupStore, 'close' | 'inProofServer' | 'inRestored'>;
  readonly disk: Pick<Disk, 'checkRoom'>;
  readonly tools: Pick<PgTools, 'script'>;
}

/** Where an export is written. */
export interface ExportTarget {
  readonly file: string;
  /** A file that is there is replaced. */
  readonly isForced: boolean;
}

/**
 * Writes a backup as Odoo's own dump (`odoo db load`, the database manager, Odoo.sh): a zip with `dump.sql`, `filestore/` and
 * `manifest.json`. The instance is not touched.
 */
export class Exporter {
  readonly #options: ExporterOptions;

  constructor(options: ExporterOptions) {
    this.#options = options;
  }

  /**
   * @param say is told what begins
   * @throws ConfigError where the file is there, or its folder is not; RetryableError('NotEnoughDisk');
   *   TerminalError('BackupGone'), ('ProofDatabase') where the backup cannot be restored
   */
  async write(
    desired: DesiredInstance,
    { bytes, snapshot }: Pick<Backup, 'bytes' | 'snapshot'>,
    { file, isForced }: ExportTarget,
    say: (step: ExportProgress) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { disk, store } = this.#options;
    const target = resolve(file);
    await checkTarget(target, isForced);
    await checkSpace(target, bytes);
    await disk.checkRoom(ROOM * bytes);
    await say('FetchingBackup');
    try {
      await store.inRestored(desired, snapshot, signal, async (folder, bounded) => {
        const backup = await readManifest(folder, desired.identity);
        const { database, writtenAt } = backup;
        await say('ReadingBackup');
        const manifest = await store.inProofServer(desired, folder, bounded, (cluster, login) =>
          readOdooManifest(cluster, login, database),
        );
        const script = join(folder, 'dump.sql');
        await this.#script(partsOf(folder).dump, script, bounded);
        await say('WritingExport');
        const filestore = await filestoreOf(folder, backup);
        const entries = await entriesOf(filestore, script, manifest);
        await writeTo(target, isForced, entries, new Date(writtenAt), bounded);
      });
    } catch (error) {
      throw isDiskFull(error) ? notEnoughDisk(null, error) : error;
    } finally {
      await store.close();
    }
  }

  async #script(dump: string, script: string, signal: AbortSignal): Promise<void> {
    await this.#options.tools.script(dump, script, signal).catch((cause) => {
      signal.throwIfAborted();
      if (!(cause instanceof CommandError) || isDiskFull(cause)) throw cause;
      throw new TerminalError('BackupDamaged', `pg_restore: ${cause.stderr.slice(-200)}`, {
        cause,
        detail: 'database.dump',
      });
    });
  }
}

/** What the zip holds, the small and the database first. Of the files, those that Odoo has named, which are no links and no devices. */
async function entriesOf(
  filestore: string,
  script: string,
  manifest: OdooManifest,
): Promise<ZipEntry[]> {
  const files = [...(await storedFiles(filestore))].sort();
  return [
    { name: 'manifest.json', content: Buffer.from(`${JSON.stringify(manifest, null, 4)}\n`) },
    { name: 'dump.sql', content: script, through: () => new ForOlderPostgres() },
    ...files.map((name) => ({ name: `filestore/${name}`, content: join(filestore, name) })),
  ];
}

/** @throws ConfigError unless a file may be written there */
async function checkTarget(target: string, isForced: boolean): Promise<void> {
  const folder = await lstat(dirname(target)).catch(unless('ENOENT', null));
  if (!folder) throw new ConfigError(`${dirname(target)}: expected a folder, found none`);
  const there = await lstat(target).catch(unless('ENOENT', null));
  if (!there || (isForced && there.isFile())) return;
  throw new ConfigError(
    there.isFile()
      ? `${target}: expected no file, found one. Say --force to replace it`
      : `${target}: expected a file, or none, found something else`,
  );
}

/** @throws RetryableError('NotEnoughDisk') unless so many bytes fit beside the target */
async function checkSpace(target: string, bytes: number): Promise<void> {
  const room = await measureFreeSpace(dirname(target));
  if (room.bytes >= bytes) return;
  const [free, needed] = [room.bytes, bytes].map((one) => `${Math.ceil(one / 2 ** 20)} MB`);
  throw notEnoughDisk({
    reason: 'NotEnoughDisk',
    detail: [],
    message: `About ${needed} are needed at ${dirname(target)}, and ${free} are free.`,
  });
}

/** Writes the zip under another name, which it bears until it is whole. */
async function writeTo(
  target: string,
  isForced: boolean,
  entries: readonly ZipEntry[],
  date: Date,
  signal: AbortSignal,
): Promise<void> {
  const suffix = randomBytes(6).toString('hex');
  const draft = join(dirname(target), `.${basename(target)}.${suffix}.part`);
  try {
    await writeZip(draft, entries, date, signal);
    if (isForced) await rename(draft, target);
    // Unlike rename, link never replaces what somebody has put there meanwhile.
    else await link(draft, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new ConfigError(`${target}: expected no file, found one. Say --force to replace it`);
  } finally {
    await rm(draft, { force: true });
  }
}
