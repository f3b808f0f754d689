import { constants } from 'node:fs';
import { lstat, open, readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { RetryableError, TerminalError } from '../errors.ts';
import { makeDirectory, unless } from '../host/files.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { ExportProgress, Exports } from '../interfaces.ts';
import type { BackupStore } from './backup-store.ts';
import type { Exporter } from './export.ts';

/** How long one is there, in milliseconds; the addon offers it as long. */
const KEPT_MS = 24 * 60 * 60_000;

/** How many are there at once: each is as large as all of its customer's data. */
const MAX_EXPORTS = 20;

/** Names are numbers and restic's ids, never a customer's text. */
const NAME = /^(?<id>\d+)-(?<snapshot>[0-9a-f]{64})\.zip$/;

/** What the exporter calls such a file until it is whole. */
const DRAFT = /^\.\d+-[0-9a-f]{64}\.zip\.[0-9a-f]+\.part$/;

export interface ExportFilesOptions {
  readonly folder: string;
  readonly exporter: Pick<Exporter, 'write'>;
  readonly store: Pick<BackupStore, 'list'>;
  readonly now: () => Date;
}

/**
 * Exports as files that the sidecar alone reads (0600, in a folder of 0700): `<instance>-<snapshot>.zip`. A file appears under its name
 * once it is whole, and what it is made from is in its name: after a kill, one that is there need not be written again.
 */
export class ExportFiles implements Exports {
  readonly #options: ExportFilesOptions;

  constructor(options: ExportFilesOptions) {
    this.#options = options;
  }

  async write(
    desired: DesiredInstance,
    snapshot: string,
    progress: (reason: ExportProgress) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { exporter, folder, now, store } = this.#options;
    const file = this.#pathOf(desired.id, snapshot);
    await makeDirectory(folder, 0o700);
    await this.dropOld();
    if (await this.has(desired.id, snapshot)) return utimes(file, now(), now());
    const others = await this.#remove((name) => {
      const of = NAME.exec(name)?.groups;
      // Without a whole name it is a draft: this instance's is of a writer that was killed, another's may be under way.
      return of ? of['id'] === String(desired.id) : name.startsWith(`.${desired.id}-`);
    });
    if (others.length >= MAX_EXPORTS)
      throw new RetryableError('ExportsFull', `${others.length} exports are there`);
    const backup = (await store.list(desired, signal)).find((one) => one.snapshot === snapshot);
    if (!backup) throw new TerminalError('BackupGone', 'The backup is not there any more.');
    await exporter.write(desired, backup, { file, isForced: true }, progress, signal);
    // As the clock here has it, which decides when its day is over.
    await utimes(file, now(), now());
  }

  async has(id: number, snapshot: string): Promise<boolean> {
    const found = await lstat(this.#pathOf(id, snapshot)).catch(unless('ENOENT', null));
    return found?.isFile() === true && !this.#isOld(found.mtimeMs);
  }

  async open(
    id: number,
    snapshot: string,
  ): Promise<{ readonly bytes: number; readonly content: Readable } | null> {
    if (!(await this.has(id, snapshot))) return null;
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
    const handle = await open(this.#pathOf(id, snapshot), flags).catch(unless('ENOENT', null));
    if (!handle) return null;
    const { size } = await handle.stat();
    // The file may be removed meanwhile: who has begun to read it gets all of it.
    return { bytes: size, content: handle.createReadStream() };
  }

  /** Removes those of an instance, and what of one is being written. */
  async dropOf(id: number): Promise<void> {
    await this.#remove((name) => name.startsWith(`${id}-`) || name.startsWith(`.${id}-`));
  }

  async dropOld(): Promise<void> {
    const { folder } = this.#options;
    await this.#remove(async (name) => {
      const found = await lstat(join(folder, name)).catch(unless('ENOENT', null));
      return found !== null && this.#isOld(found.mtimeMs);
    });
  }

  /** Removes what a killed sidecar has written and not finished. Nothing may be under way. */
  async sweep(): Promise<void> {
    await this.#remove((name) => DRAFT.test(name));
  }

  #pathOf(id: number, snapshot: string): string {
    const name = `${id}-${snapshot}.zip`;
    if (!NAME.test(name)) throw new TerminalError('BackupGone', 'That is no id of a backup.');
    return join(this.#options.folder, name);
  }

  #isOld(writtenAtMs: number): boolean {
    return this.#options.now().getTime() - writtenAtMs >= KEPT_MS;
  }

  /** @returns the names that are left */
  async #remove(isToGo: (name: string) => boolean | Promise<boolean>): Promise<string[]> {
    const { folder } = this.#options;
    const left: string[] = [];
    for (const name of await readdir(folder).catch(unless('ENOENT', []))) {
      if (await isToGo(name)) await rm(join(folder, name), { force: true });
      else left.push(name);
    }
    return left;
  }
}
