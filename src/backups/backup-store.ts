import { randomUUID } from 'node:crypto';
import { lstat, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HeldDatabase } from '../databases/tenant-access.ts';
import { RetryableError, TerminalError } from '../errors.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import type { Disk } from '../host/disk.ts';
import { type MeasuredFiles, measureFiles } from '../host/measure-files.ts';
import { removeTree, withFolder } from '../host/trees.ts';
import { keptBackups } from '../instance/backup-retention.ts';
import { databaseName } from '../instance/name.ts';
import type { FailureReason } from '../instance/reasons.ts';
import type { DesiredInstance, PostgresServer } from '../instance/types.ts';
import type { Backup, Backups } from '../interfaces.ts';
import type { Cluster } from '../postgres/cluster.ts';
import type { PgTools } from '../postgres/pg-tools.ts';
import type { ProofServer } from '../postgres/proof-server.ts';
import type { TenantLogin } from '../postgres/tenant-session.ts';
import type { Restic, ResticSnapshot } from '../restic/restic.ts';
import type { BackupKeys, Owner } from './backup-keys.ts';
import { type BackupManifest, filestoreOf, partsOf, readManifest } from './backup-manifest.ts';
import { sizeLimit, timeLimitMs, withinBounds } from './bounds.ts';
import { dumpOf, restoreDump } from './dump.ts';
import { addNote } from './note.ts';
import { proveDatabase, proveFiles } from './proof.ts';
import { backupsIn, DATA_TAG, dataTags, endTags, proofTags, subjectOf } from './snapshot-tags.ts';
import { markWhole } from './whole-mark.ts';

/** Why a backup is taken. `ending`: it is the last one, of this end; see endingOf(). */
export interface TakeOptions {
  readonly isByHand: boolean;
  readonly ending?: string;
}

/** Starts what is backed up on a copy of its data. @returns false where that cannot be tried */
export type Boot = (
  copy: TenantLogin & {
    readonly server: PostgresServer;
    readonly filestore: string;
    readonly folder: string;
  },
  signal: AbortSignal,
) => Promise<boolean>;

export interface BackupStoreOptions {
  readonly install: string;
  /** Where dumps are written and backups restored; each instance has a folder in it for a while. */
  readonly folder: string;
  readonly dirs: InstanceDirs;
  readonly disk: Pick<Disk, 'checkRoom'>;
  /** Before anything is written in a repository. @throws TerminalError('HostReplaced') where it is another host's by now */
  readonly requireHost: (signal: AbortSignal) => Promise<void>;
  readonly keys: Pick<BackupKeys, 'has' | 'make' | 'repositoryOf'>;
  readonly restic: Restic;
  readonly tools: Pick<PgTools, 'dump' | 'restore'>;
  readonly proofServer: ProofServer;
  /** How much of the disk, 0 … 1, what is restored leaves free beside the room that it needs; by default none. */
  readonly keptShare?: number;
  /** Starts the instance's Odoo on a copy of its data. @returns false where that cannot be tried @throws TerminalError('ProofBoot') */
  readonly bootCopy: (desired: DesiredInstance, ...copy: Parameters<Boot>) => ReturnType<Boot>;
  /** Is called once, when the server of the backups keeps for the first time what was to be removed. */
  readonly onKept?: () => void;
  /** See TenantAccess. */
  readonly heldForBackup: <T>(
    desired: DesiredInstance,
    work: (held: HeldDatabase) => Promise<T>,
  ) => Promise<T>;
}

/**
 * Backups of instances: of each a restic repository of its own, under a key of its own. A backup is one snapshot with the database, the
 * files, the secrets and a manifest, so there are never parts of two. What was proven is a small snapshot beside it: servers that only take
 * more take that too, and another machine finds it.
 */
export class BackupStore implements Backups {
  readonly #options: BackupStoreOptions;
  #hasSaidKept = false;

  constructor(options: BackupStoreOptions) {
    this.#options = options;
  }

  async take(
    desired: DesiredInstance,
    { ending, isByHand }: TakeOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const { dirs, disk, heldForBackup, install, keys, requireHost, restic } = this.#options;
    await requireHost(signal);
    if (!(await keys.has(desired)))
      await keys.make(desired, (repository) => restic.init(repository, signal));
    const repository = keys.repositoryOf(desired);
    const { filestore, secrets } = dirs.paths(desired.id);
    let made = '';
    await this.#inFolder(desired, 'take', signal, async (folder) => {
      const parts = partsOf(folder);
      const copy = async ({ bytes, image, login, odoo, rows, snapshot, url }: HeldDatabase) => {
        await disk.checkRoom(2 * bytes);
        const files = await measured(filestore);
        const { leftOut } = files;
        await writeFile(parts.dump, '', { mode: 0o600 });
        const manifest = manifestOf(desired, { install, image, odoo, rows, url, leftOut });
        const text = `${JSON.stringify(manifest, null, 2)}\n`;
        await writeFile(parts.manifest, text, { mode: 0o600 });
        const end = ending === undefined ? [] : endTags(ending, leftOut.count);
        const tags = [...dataTags(isByHand), `run:${randomUUID()}`, ...end];
        const sources = [
          { from: parts.dump, to: 'database.dump' },
          { from: parts.manifest, to: 'manifest.json' },
          // Not the folder in it: its tenant can put a link in its place, which a mount would follow.
          { from: filestore, to: 'filestores', ...(leftOut.count > 0 ? { deepest: DEEPEST } : {}) },
          { from: secrets, to: 'secrets' },
        ];
        const size = { most: sizeLimit(bytes), of: async () => (await stat(parts.dump)).size };
        const timeMs = timeLimitMs(bytes + files.bytes);
        await withinBounds({ disk, timeMs, size }, signal, async (bounded) => {
          await dumpOf(this.#options.tools, login, snapshot, parts.dump, bounded);
          made = await restic.backup(repository, sources, tags, bounded);
        });
      };
      try {
        await heldForBackup(desired, copy);
      } catch (error) {
        // The database was let go meanwhile: files that it names may have been removed before they were copied.
        if (made) await restic.forget(repository, [made], signal);
        throw error;
      }
      await markWhole(restic, repository, made, folder, signal);
    });
  }

  /** @throws what restic says where it cannot be run */
  async check(): Promise<void> {
    await this.#options.restic.version(new AbortController().signal);
  }

  /** Ends what may still run of the last proof or export. */
  async close(): Promise<void> {
    await this.#options.proofServer.close();
  }

  /** Removes what a killed process has left of its work: restored data of customers, and dumps. Nothing may be under way. */
  async sweep(): Promise<void> {
    const { folder, proofServer } = this.#options;
    await removeTree(folder);
    await proofServer.sweep();
  }

  async list(desired: Owner, signal: AbortSignal): Promise<Backup[]> {
    const { keys, restic } = this.#options;
    if (!(await keys.has(desired))) return [];
    return backupsIn(await restic.snapshots(keys.repositoryOf(desired), signal));
  }

  /** @param options whether the instance's Odoo is to be started with it too */
  prove(
    desired: DesiredInstance,
    snapshot: string,
    { boots }: { readonly boots: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const boot: Boot = (copy, until) => this.#options.bootCopy(desired, copy, until);
    return this.proveWith(desired, snapshot, boots ? boot : null, signal);
  }

  /** @param boot starts what is backed up on the copy; null: nothing is to be started */
  async proveWith(
    desired: Owner,
    snapshot: string,
    boot: Boot | null,
    signal: AbortSignal,
  ): Promise<void> {
    const { keys, requireHost, restic } = this.#options;
    await requireHost(signal);
    const repository = keys.repositoryOf(desired);
    const result = await this.#resultOf(desired, snapshot, boot, signal);
    const failure = typeof result === 'string' ? null : result;
    await this.#inFolder(desired, 'result', signal, async (folder) => {
      const written = { of: snapshot, at: new Date().toISOString(), ...failure };
      const text = `${JSON.stringify(written, null, 2)}\n`;
      const note = { name: 'proof.json', text, tags: proofTags(snapshot, result) };
      await addNote(restic, repository, folder, note, signal);
    });
    if (failure) throw new TerminalError(failure.reason, failure.message, failure);
  }

  async forgetOld(desired: Owner, now: Date, signal: AbortSignal): Promise<Backup[]> {
    const { keys, requireHost, restic } = this.#options;
    await requireHost(signal);
    const repository = keys.repositoryOf(desired);
    const snapshots = await restic.snapshots(repository, signal);
    const kept = keptBackups(backupsIn(snapshots), now);
    const isOld = (snapshot: ResticSnapshot) => {
      const backup = snapshot.tags.includes(DATA_TAG) ? snapshot.id : subjectOf(snapshot);
      return backup !== '' && !kept.has(backup);
    };
    const ids = snapshots.filter(isOld).map(({ id }) => id);
    const notRemoved = await restic.forget(repository, ids, signal);
    if (notRemoved.length > 0 && !this.#hasSaidKept) {
      this.#hasSaidKept = true;
      this.#options.onKept?.();
    }
    return backupsIn(snapshots.filter((one) => !isOld(one) || notRemoved.includes(one.id)));
  }

  /**
   * Restores a backup into a server and a folder that are thrown away, and compares.
   * @returns how far it is whole, or what is wrong with it
   * @throws what says nothing of the backup: the repository is away, the disk is full
   */
  async #resultOf(
    desired: Owner,
    snapshot: string,
    boot: Boot | null,
    signal: AbortSignal,
  ): Promise<'data' | 'boot' | { reason: FailureReason; detail: string; message: string }> {
    try {
      const hasBooted = await this.#restoreAndCompare(desired, snapshot, boot, signal);
      return hasBooted ? 'boot' : 'data';
    } catch (error) {
      const isReasoned = error instanceof TerminalError || error instanceof RetryableError;
      if (!isReasoned || !SPEAKS_OF_THE_BACKUP.has(error.reason)) throw error;
      const { detail, message, reason } = error;
      return { detail, message, reason };
    }
  }

  /** @returns whether Odoo was started with it too */
  async #restoreAndCompare(
    desired: Owner,
    snapshot: string,
    boot: Boot | null,
    signal: AbortSignal,
  ): Promise<boolean> {
    return this.inRestored(desired, snapshot, signal, async (folder, bounded) => {
      const manifest = await readManifest(folder, desired.identity);
      const filestore = await filestoreOf(folder, manifest);
      return this.inProofServer(desired, folder, bounded, async (cluster, login, both) => {
        await proveDatabase(cluster, login, manifest.rows);
        await proveFiles(cluster, login, filestore, both);
        // Last: what runs then may change the copy.
        const copy = { ...login, server: cluster.server, filestore, folder };
        return boot ? boot(copy, both) : false;
      });
    });
  }

  /**
   * Fills a database of the proof server from a backup that was restored into `folder`; it is there as long as `work` runs.
   * @throws TerminalError('ProofDatabase') where the dump cannot be restored
   */
  async inProofServer<T>(
    desired: Owner,
    folder: string,
    signal: AbortSignal,
    work: (cluster: Cluster, login: TenantLogin, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { disk, proofServer, tools } = this.#options;
    return proofServer.using(async (cluster) => {
      // A role of its own: what a tenant's functions set for it while their dump is restored meets nobody else's.
      const name = `proof_${desired.id}`;
      const login = { database: name, role: name, password: randomUUID() };
      const { dump } = partsOf(folder);
      const most = sizeLimit((await lstat(dump)).size);
      const size = { most, of: () => cluster.bytesOf(name) };
      try {
        await this.#makeEmpty(cluster, login);
        // What runs while it is filled is the tenant's, and may write as long as it likes.
        return await withinBounds({ disk, size }, signal, async (bounded) => {
          await restoreDump(tools, { ...login, ...cluster.server }, dump, bounded);
          return work(cluster, login, bounded);
        });
      } finally {
        await cluster.drop(name);
        await cluster.dropRole(name);
      }
    }, signal);
  }

  /**
   * Restores a backup into a folder that is there as long as `work` runs: see partsOf(). The signal that `work` is given ends it where
   * it takes more time than the backup's size allows.
   * @param into for which instance, whose number the folder has: there is one such restore of each at a time
   * @param workMs what `work` may take beside what the size allows, in milliseconds
   * @throws TerminalError('BackupGone'); RetryableError('NotEnoughDisk') unless there is room for it twice
   */
  async inRestored<T>(
    desired: Owner,
    snapshot: string,
    signal: AbortSignal,
    work: (folder: string, signal: AbortSignal) => Promise<T>,
    into: Pick<DesiredInstance, 'id'> = desired,
    workMs = 0,
  ): Promise<T> {
    const { disk, keptShare, keys, restic } = this.#options;
    const backup = (await this.list(desired, signal)).find((one) => one.snapshot === snapshot);
    if (!backup) throw new TerminalError('BackupGone', 'The backup is not there any more.');
    await disk.checkRoom(2 * backup.bytes, keptShare);
    const timeMs = timeLimitMs(backup.bytes) + workMs;
    return this.#inFolder(into, 'restored', signal, (folder) =>
      withinBounds({ disk, timeMs }, signal, async (bounded) => {
        await restic.restore(keys.repositoryOf(desired), snapshot, folder, bounded);
        return work(folder, bounded);
      }),
    );
  }

  async #makeEmpty(cluster: Cluster, { database, password, role }: TenantLogin): Promise<void> {
    await cluster.drop(database);
    await cluster.dropRole(role);
    await cluster.ensureRole(role, password);
    await cluster.create(database, role);
    await cluster.mayMakeSchemas(database, role, true);
  }

  #inFolder<T>(
    { id }: Pick<Owner, 'id'>,
    purpose: string,
    signal: AbortSignal,
    work: (folder: string) => Promise<T>,
  ): Promise<T> {
    return withFolder(join(this.#options.folder, `${id}-${purpose}`), signal, work);
  }
}

/** More than this of nothing is not read, some 500 MB a second: it would hold everybody else's backups up. */
const MAX_HOLE_BYTES = 50 * 1024 ** 3;

/**
 * How many folders deep files are backed up where a tenant has made paths that no program can open, for which restic would take none of
 * them. 255 bytes a name, none of those that are left is too long; Odoo's own are three deep.
 */
const DEEPEST = 14;

/**
 * What an instance's files are, and what of them is not backed up.
 * @throws TerminalError('BackupFailed') where they are holes for the most part: a tenant can make any size of them in no time
 */
async function measured(filestore: string): Promise<MeasuredFiles> {
  const all = await measureFiles(filestore);
  if (all.holeBytes > MAX_HOLE_BYTES) {
    const detail = 'the files have holes of more than 50 GB';
    throw new TerminalError('BackupFailed', detail, { detail });
  }
  return all.leftOut.count > 0 ? measureFiles(filestore, DEEPEST) : all;
}

/** What is wrong with a backup, as opposed to with what would prove it. */
const SPEAKS_OF_THE_BACKUP: ReadonlySet<FailureReason> = new Set([
  'BackupDamaged',
  'BackupForeign',
  'ProofBoot',
  'ProofDatabase',
  'ProofFileDamaged',
  'ProofFileMissing',
  'ProofRows',
]);

function manifestOf(
  { id: instance, identity, modules, name, templateCode: template }: DesiredInstance,
  {
    image,
    install,
    leftOut,
    odoo,
    rows,
    url,
  }: Pick<BackupManifest, 'image' | 'install' | 'leftOut' | 'odoo' | 'rows' | 'url'>,
): BackupManifest {
  return {
    ...{ format: 1, install, instance, identity, name, template, image, odoo },
    modules: [...modules],
    database: databaseName(install, instance),
    writtenAt: new Date().toISOString(),
    url,
    rows,
    ...(leftOut && leftOut.count > 0 ? { leftOut } : {}),
  };
}
