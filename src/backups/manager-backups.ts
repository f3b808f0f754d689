import { randomUUID } from 'node:crypto';
import { copyFile, cp, mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { COUNTED } from '../databases/count-rows.ts';
import { CommandError, RetryableError } from '../errors.ts';
import type { Disk } from '../host/disk.ts';
import { withFolder } from '../host/trees.ts';
import type { Backup, ManagerBackups as ManagerBackupsInterface } from '../interfaces.ts';
import type { HoldDatabase } from '../postgres/held-database.ts';
import type { PgTools } from '../postgres/pg-tools.ts';
import type { Restic } from '../restic/restic.ts';
import { type BackupKeys, MANAGER } from './backup-keys.ts';
import { type BackupManifest, partsOf } from './backup-manifest.ts';
import type { BackupStore } from './backup-store.ts';
import { dumpOf } from './dump.ts';
import type { HostClaim } from './host-claim.ts';
import { errorLine } from './pg-failures.ts';
import { dataTags, hostTag } from './snapshot-tags.ts';
import { markWhole } from './whole-mark.ts';

export interface ManagerBackupsOptions {
  readonly install: string;
  /** The manager's database. */
  readonly database: string;
  /** Where people reach the manager. */
  readonly url: string;
  /** Where a dump is written. */
  readonly folder: string;
  /** Files of the configuration and what it names, and the sidecar's own: what is not there is left out. */
  readonly files: readonly string[];
  readonly disk: Pick<Disk, 'checkRoom'>;
  readonly claim: Pick<HostClaim, 'claim' | 'claimedBy' | 'require' | 'requireStill'>;
  /** This host's id. */
  readonly host: string;
  readonly keys: BackupKeys;
  readonly restic: Restic;
  readonly store: BackupStore;
  readonly tools: Pick<PgTools, 'dump'>;
  /** Where its data are. @throws TerminalError('ManagerOutOfReach') */
  readonly place: (signal: AbortSignal) => Promise<ManagerPlace>;
  readonly hold: HoldDatabase;
}

/** Where the manager's Odoo keeps its data, as paths of this host. */
export interface ManagerPlace {
  /** Docker's id of its container. */
  readonly container: string;
  readonly isRunning: boolean;
  /** The folder with the files of each database, each in a folder that is called as the database. */
  readonly filestores: string;
  /** Of its Postgres. */
  readonly socketDir: string;
  readonly role: string;
  readonly password: string;
}

/** The files of the host in a backup of the manager, each at its path. */
export const CONFIGURATION = 'configuration';

/**
 * Backups of the manager itself: its database, its files, and of the sidecar what a new host needs, the keys of all repositories included.
 * Listed, proven and forgotten as those of an instance are; only taking one is different, for the manager's Postgres is not the customers'.
 */
export class ManagerBackups implements ManagerBackupsInterface {
  readonly #options: ManagerBackupsOptions;

  constructor(options: ManagerBackupsOptions) {
    this.#options = options;
  }

  /** @throws TerminalError('ManagerOutOfReach') where its database or files cannot be reached */
  async check(signal: AbortSignal): Promise<void> {
    await this.#options.place(signal);
  }

  async take({ isByHand }: { readonly isByHand: boolean }, signal: AbortSignal): Promise<void> {
    const { claim } = this.#options;
    await claim.require(signal);
    // Also where the manager itself cannot be backed up: by this the hosts know of each other.
    if (!(await claim.claimedBy(signal))) await claim.claim(signal);
    const place = await this.#options.place(signal);
    await withFolder(join(this.#options.folder, 'manager'), signal, (folder) =>
      this.#takeIn(folder, place, isByHand, signal),
    );
  }

  list(signal: AbortSignal): Promise<Backup[]> {
    return this.#options.store.list(MANAGER, signal);
  }

  prove(snapshot: string, signal: AbortSignal): Promise<void> {
    return this.#options.store.proveWith(MANAGER, snapshot, null, signal);
  }

  /** Ends what may still run of the last proof. */
  async close(): Promise<void> {
    await this.#options.store.close();
  }

  forgetOld(now: Date, signal: AbortSignal): Promise<Backup[]> {
    return this.#options.store.forgetOld(MANAGER, now, signal);
  }

  async #takeIn(
    folder: string,
    { filestores, password, role, socketDir }: ManagerPlace,
    isByHand: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { claim, database, disk, hold, host, keys, restic, tools } = this.#options;
    const parts = partsOf(folder);
    const configuration = join(folder, CONFIGURATION);
    await this.#copyFiles(configuration);
    const login = { database, role, password, socketDir };
    let made = '';
    try {
      await hold(
        login,
        folder,
        COUNTED,
        async ({ bytes, rows, snapshot }) => {
          await disk.checkRoom(2 * bytes);
          await writeFile(parts.dump, '', { mode: 0o600 });
          await dumpOf(tools, login, snapshot, parts.dump, signal);
          const text = `${JSON.stringify(this.#manifest(rows), null, 2)}\n`;
          await writeFile(parts.manifest, text, { mode: 0o600 });
          const tags = [...dataTags(isByHand), hostTag(host), `run:${randomUUID()}`];
          const files = { from: join(filestores, database), to: `filestores/${database}` };
          const sources = [
            { from: parts.dump, to: 'database.dump' },
            { from: parts.manifest, to: 'manifest.json' },
            { from: configuration, to: CONFIGURATION },
            // Docker would make the folder where there is none: in Odoo's data, and root's.
            { ...files, mustExist: true },
          ];
          made = await restic.backup(keys.repositoryOf(MANAGER), sources, tags, signal);
          // Another host may have taken over meanwhile: this is a backup of what nobody works with any more.
          await claim.requireStill(signal);
        },
        signal,
      );
    } catch (error) {
      // Or the database was let go meanwhile: files that it names may have been removed before they were copied.
      if (made) await restic.forget(keys.repositoryOf(MANAGER), [made], signal);
      if (!(error instanceof CommandError)) throw error;
      const detail = errorLine(error.stderr);
      const message = `the manager's database could not be held: ${detail}`;
      throw new RetryableError('BackupFailed', message, { cause: error, detail });
    }
    await markWhole(restic, keys.repositoryOf(MANAGER), made, folder, signal);
  }

  /** Only root reads what is in the folder: there are secrets among the files. */
  async #copyFiles(folder: string): Promise<void> {
    for (const file of this.#options.files) {
      const found = await stat(file).catch(() => null);
      if (!found) continue;
      const to = join(folder, file);
      await mkdir(dirname(to), { recursive: true, mode: 0o700 });
      await (found.isDirectory() ? cp(file, to, { recursive: true }) : copyFile(file, to));
    }
  }

  #manifest(rows: BackupManifest['rows']): BackupManifest {
    const { database, install, url } = this.#options;
    return {
      ...{ format: 1, install, instance: MANAGER.id, identity: MANAGER.identity },
      ...{ name: 'manager', template: '', modules: [], image: '', database, url, rows },
      writtenAt: new Date().toISOString(),
    };
  }
}
