import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CommandError, TerminalError } from '../errors.ts';
import { readIfThere, replaceFile } from '../host/files.ts';
import { removeTree } from '../host/trees.ts';
import type { PgLogin, PgTools } from '../postgres/pg-tools.ts';
import { MANAGER } from './backup-keys.ts';
import { filestoreOf, partsOf, readManifest } from './backup-manifest.ts';
import type { BackupStore } from './backup-store.ts';
import { restoreDump } from './dump.ts';
import { CONFIGURATION, type ManagerPlace } from './manager-backups.ts';
import { errorLine } from './pg-failures.ts';

export interface ManagerRestoreOptions {
  /** The manager's database, by this host's configuration. */
  readonly database: string;
  readonly store: Pick<BackupStore, 'inRestored'>;
  readonly tools: Pick<PgTools, 'restore' | 'run'>;
  readonly place: (signal: AbortSignal) => Promise<ManagerPlace>;
  /** Of the manager's Postgres. */
  readonly admin: (
    signal: AbortSignal,
  ) => Promise<{ readonly role: string; readonly password: string }>;
  /** Moves and copies among the manager's files. */
  readonly files: ManagerFiles;
  readonly stop: (place: ManagerPlace, signal: AbortSignal) => Promise<void>;
  readonly start: (place: ManagerPlace, signal: AbortSignal) => Promise<void>;
  /** The sidecar's own, where the configuration from the backup is put. */
  readonly folder: string;
  readonly now: () => Date;
}

/** What is done among the manager's files, by names in the folder that has those of each database. */
export interface ManagerFiles {
  /** Copies a folder of this host; what is there of that name goes. All becomes the manager's own. */
  bring(place: ManagerPlace, from: string, name: string, signal: AbortSignal): Promise<void>;
  has(place: ManagerPlace, name: string, signal: AbortSignal): Promise<boolean>;
  /** There must be none of the new name. */
  rename(place: ManagerPlace, from: string, to: string, signal: AbortSignal): Promise<void>;
}

/** What a restore of the manager has left for a person. */
export interface RestoredManager {
  /** The database, and the folder of files, that were replaced; '' where there was none. */
  readonly before: string;
  /** The folder with the other host's configuration. */
  readonly configuration: string;
}

/** Says which restore has begun to rename: databases and files cannot both get their names at one moment. */
const begunSchema = z.object({ snapshot: z.string(), before: z.string() });

/**
 * Puts a backup in the place of the manager's database and files, on its own host or on a new one. All that is slow is made beside them;
 * then Odoo is stopped, both are renamed, and it is started. What was there is kept under another name, for a person to drop. Repeated after
 * a kill it loses nothing: it begins again, or where the databases have their new names already, it gives the files theirs.
 * @throws TerminalError('BackupDamaged'), ('BackupGone'), ('ManagerOutOfReach')
 */
export async function restoreManager(
  options: ManagerRestoreOptions,
  snapshot: string,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<RestoredManager> {
  const { database, files, folder, now, place: findPlace, store, tools } = options;
  const place = await findPlace(signal);
  const server = { ...(await options.admin(signal)), socketDir: place.socketDir };
  const admin: PgLogin = { ...server, database: 'postgres' };
  const run = (...statements: string[]) => said(tools.run(admin, folder, statements, signal));
  /** For what takes a moment and is not to be left half-way. */
  const never = new AbortController().signal;
  const restored = `${database}_restored`;
  const begunFile = join(folder, 'manager-restore.json');
  const configuration = join(folder, 'configuration-of-backup');

  const finished = await finishBegun();
  if (finished) return finished;
  const before = `${database}_before_${now().toISOString().slice(0, 19).replace(/\D/g, '')}`;
  progress('reading the backup');
  return store.inRestored(MANAGER, snapshot, signal, async (from, bounded) => {
    const manifest = await readManifest(from, MANAGER.identity);
    progress('restoring the database');
    await run(
      `DROP DATABASE IF EXISTS ${quoted(restored)} WITH (FORCE)`,
      `CREATE DATABASE ${quoted(restored)} OWNER ${quoted(place.role)} TEMPLATE template0 LC_COLLATE 'C'`,
    );
    const { password, role, socketDir } = place;
    const login = { database: restored, password, role, socketDir };
    await restoreDump(tools, login, partsOf(from).dump, bounded);
    progress('restoring the files');
    await files.bring(place, await filestoreOf(from, manifest), restored, bounded);
    await removeTree(configuration);
    await cp(join(from, CONFIGURATION), configuration, { recursive: true });
    progress('putting them in the place of those of now');
    return whileStopped(async () => {
      await replaceFile(begunFile, `${JSON.stringify({ snapshot, before })}\n`);
      await renameDatabases(before);
      return renameFiles(before);
    });
  });

  /**
   * Finishes a restore that was cut off after the databases got their names: to begin again would keep what it has restored as what was
   * there, and the files of that under another name than its database.
   * @returns null where the backup is still to be restored
   */
  async function finishBegun(): Promise<RestoredManager | null> {
    const text = await readIfThere(begunFile);
    if (text === null) return null;
    const begun = begunSchema.parse(JSON.parse(text));
    if (await hasDatabase(restored)) {
      await rm(begunFile);
      return null;
    }
    progress('finishing a restore that was interrupted');
    const { before } = await whileStopped(() => renameFiles(begun.before));
    // Where Odoo was started meanwhile, there is something since then, which is to be replaced now.
    if (begun.snapshot === snapshot && !place.isRunning) return { before, configuration };
    if (before) progress(`what was there before that one is kept as the database ${before}`);
    return null;
  }

  /** Whatever happens in it, the manager is started afterwards: also where somebody has ended this. */
  async function whileStopped<T>(work: () => Promise<T>): Promise<T> {
    try {
      await options.stop(place, signal);
      return await work();
    } finally {
      await options.start(place, never);
    }
  }

  async function renameDatabases(before: string): Promise<void> {
    const isThere = await hasDatabase(database);
    const name = quoted(database);
    await run(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${literal(database)}`,
      // One string is one transaction: both names change or none does.
      [
        ...(isThere ? [`ALTER DATABASE ${name} RENAME TO ${quoted(before)}`] : []),
        `ALTER DATABASE ${quoted(restored)} RENAME TO ${name}`,
      ].join('; '),
    );
  }

  /** The last that a restore does: from then on it has not begun any more. */
  async function renameFiles(before: string): Promise<RestoredManager> {
    if (await files.has(place, restored, never)) {
      const [isThere, isKept] = [
        await files.has(place, database, never),
        await files.has(place, before, never),
      ];
      if (isThere && isKept) throw severalKept([database, before, restored], place.filestores);
      if (isThere) await files.rename(place, database, before, never);
      await files.rename(place, restored, database, never);
    }
    const isKept = await hasDatabase(before, never);
    await rm(begunFile, { force: true });
    return { before: isKept ? before : '', configuration };
  }

  async function hasDatabase(name: string, until = signal): Promise<boolean> {
    const statement = `SELECT 1 FROM pg_database WHERE datname = ${literal(name)}`;
    return (await said(tools.run(admin, folder, [statement], until))) !== '';
  }
}

/** @throws TerminalError('BackupFailed') with what the server said */
async function said(work: Promise<string>): Promise<string> {
  return work.catch((cause) => {
    if (!(cause instanceof CommandError)) throw cause;
    const detail = errorLine(cause.stderr);
    const message = `the manager's Postgres: ${detail}`;
    throw new TerminalError('BackupFailed', message, { cause, detail });
  });
}

/** Names and texts here come from the operator's configuration, and from no tenant. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Odoo has made files since a restore was cut off: whose they are is for a person to say. */
function severalKept(names: readonly string[], filestores: string): TerminalError {
  const detail = `a restore was cut off while its files got their names, and Odoo has made others since: ${names.join(', ')} are all in ${filestores}. Move the first away, and repeat`;
  return new TerminalError('BackupFailed', detail, { detail });
}
