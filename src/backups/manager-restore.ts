import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError, TerminalError } from '../errors.ts';
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
  /** Nothing is done where there is none of that name. */
  rename(place: ManagerPlace, from: string, to: string, signal: AbortSignal): Promise<void>;
}

/** What a restore of the manager has left for a person. */
export interface RestoredManager {
  /** The database, and the folder of files, that were replaced; '' where there was none. */
  readonly before: string;
  /** The folder with the other host's configuration. */
  readonly configuration: string;
}

/**
 * Puts a backup in the place of the manager's database and files, on its own host or on a new one. All that is slow is made beside them;
 * then Odoo is stopped, both are renamed, and it is started. What was there is kept under another name, for a person to drop. Repeated after
 * a kill, it begins again and loses nothing.
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
  const [restored, before] = [
    `${database}_restored`,
    `${database}_before_${now().toISOString().slice(0, 19).replace(/\D/g, '')}`,
  ];
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
    const configuration = join(folder, 'configuration-of-backup');
    await removeTree(configuration);
    await cp(join(from, CONFIGURATION), configuration, { recursive: true });
    progress('putting them in the place of those of now');
    // Whatever happens from here on, the manager is started: also where somebody has ended this.
    try {
      await options.stop(place, signal);
      const isThere = await swap();
      return { before: isThere ? before : '', configuration };
    } finally {
      await options.start(place, new AbortController().signal);
    }
  });

  /** @returns whether there was one before */
  async function swap(): Promise<boolean> {
    const [name, present] = [quoted(database), literal(database)];
    const isThere = (await run(`SELECT 1 FROM pg_database WHERE datname = ${present}`)) !== '';
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${present}`;
    await run(
      end,
      // One string is one transaction: both names change or none does.
      [
        ...(isThere ? [`ALTER DATABASE ${name} RENAME TO ${quoted(before)}`] : []),
        `ALTER DATABASE ${quoted(restored)} RENAME TO ${name}`,
      ].join('; '),
    );
    await files.rename(place, database, before, signal);
    await files.rename(place, restored, database, signal);
    return isThere;
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
