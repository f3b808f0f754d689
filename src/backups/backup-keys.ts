import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError, RetryableError } from '../errors.ts';
import { createFile, makeDirectory, readIfThere, replaceFile, unless } from '../host/files.ts';
import { randomSecret } from '../host/password-hash.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { Repository } from '../restic/restic.ts';

/** Whose a repository is. */
export type Owner = Pick<DesiredInstance, 'id' | 'identity'>;

/** The manager itself, beside the instances: no instance has the number 0. Of which database it is, only what is in its backups says. */
export const MANAGER: Owner = { id: 0, identity: '00000000-0000-0000-0000-000000000000' };

/** Ends the name of a key whose repository may not have been made yet. */
const DRAFT = '.new';

/** What the escrow file holds: with it and the repositories, every instance can be restored on another machine. */
interface Escrow {
  readonly install: string;
  /** Where the repositories are. */
  readonly base: string;
  /** By repository: its folder's name in `base`. */
  readonly keys: Readonly<Record<string, string>>;
}

const escrowSchema = z.object({ keys: z.record(z.string(), z.string()) });

/**
 * The passwords of the tenants' repositories, one each in `<dataDir>/backups/keys/`. A key without `.new` at the end says that its
 * repository has been made: where that is missing, no other is made in its place.
 */
export class BackupKeys {
  readonly #install: string;
  readonly #base: string;
  readonly #folder: string;
  readonly #keys: string;
  #last: Promise<unknown> = Promise.resolve();

  /** @param base where the repositories are. @param folder of the keys and the escrow file */
  constructor(install: string, base: string, folder: string) {
    this.#install = install;
    this.#base = base;
    this.#folder = folder;
    this.#keys = join(folder, 'keys');
  }

  /** The repository of an instance: from its number and its identity, so that a number that comes again gets another one. */
  repositoryOf({ id, identity }: Owner): Repository {
    const of = id === MANAGER.id ? 'manager' : `${id}-${identity.slice(0, 8)}`;
    const name = `${this.#install}-${of}`;
    return { name, keyFile: join(this.#keys, name) };
  }

  /** Whether the instance's repository was made. A key that is missing and in the escrow file is taken from there. */
  async has(instance: Owner): Promise<boolean> {
    const { keyFile, name } = this.repositoryOf(instance);
    return this.#inTurn(async () => {
      if ((await readIfThere(keyFile)) !== null) return true;
      const draft = await readIfThere(`${keyFile}${DRAFT}`);
      const kept = (await this.#escrowed())[name];
      if (kept === undefined || kept === draft?.trim()) return false;
      await makeDirectory(this.#folder, 0o700);
      await makeDirectory(this.#keys, 0o700);
      await createFile(keyFile, `${kept}\n`);
      // Made before the escrow file was put here, of a repository that there was.
      await rm(`${keyFile}${DRAFT}`, { force: true });
      return true;
    });
  }

  /**
   * Has a repository made under a new key, which is kept for good only once it is there. The key is in the escrow file before that.
   * @param make is given the repository as it is called, with the file of its key as long as that is a draft
   * @throws RetryableError('BackupServerAway') where others' repositories should be and none is: a disk that is not mounted
   */
  async make(instance: Owner, make: (repository: Repository) => Promise<void>): Promise<void> {
    const { keyFile, name } = this.repositoryOf(instance);
    const draft = `${keyFile}${DRAFT}`;
    for (const folder of [this.#folder, this.#keys]) await makeDirectory(folder, 0o700);
    await this.#requireOthers();
    await createFile(draft, `${randomSecret()}\n`);
    await this.writeEscrow();
    await make({ name, keyFile: draft });
    await this.#inTurn(() => rename(draft, keyFile));
  }

  /** The repositories that have been made, but that of this instance. */
  async others(instance: Owner): Promise<Repository[]> {
    const { name } = this.repositoryOf(instance);
    const others = (await this.#made()).filter((one) => one !== name);
    return others.map((one) => ({ name: one, keyFile: join(this.#keys, one) }));
  }

  /** The names of the repositories that have been made. */
  async #made(): Promise<string[]> {
    const files = await readdir(this.#keys).catch(unless('ENOENT', []));
    return files.filter((name) => !name.endsWith(DRAFT)).sort();
  }

  /** Where the repositories are in a folder of this host, one that was made must be there before another is. */
  async #requireOthers(): Promise<void> {
    if (!this.#base.startsWith('/')) return;
    const made = await this.#made();
    const there = new Set(await readdir(this.#base).catch(unless('ENOENT', [])));
    if (made.length === 0 || made.some((name) => there.has(name))) return;
    const detail = `no repository in ${this.#base}`;
    throw new RetryableError('BackupServerAway', detail, { detail });
  }

  /** Writes all keys into `escrow.json`, which the operator keeps elsewhere too. What is in it stays: it may be all that is left of a key. */
  async writeEscrow(): Promise<void> {
    await this.#inTurn(async () => {
      const keys: Record<string, string> = {};
      for (const file of (await readdir(this.#keys)).sort()) {
        const name = file.endsWith(DRAFT) ? file.slice(0, -DRAFT.length) : file;
        keys[name] = (await readFile(join(this.#keys, file), 'utf8')).trim();
      }
      await this.#replaceEscrow({ ...keys, ...(await this.#escrowed()) });
    });
  }

  async #replaceEscrow(keys: Escrow['keys']): Promise<void> {
    const escrow: Escrow = { install: this.#install, base: this.#base, keys };
    await replaceFile(this.escrowFile, `${JSON.stringify(escrow, null, 2)}\n`);
  }

  /**
   * What two have read at once, the second would write without what the first has changed; a key that is renamed or removed while all
   * are read would not be there any more; and one that is forgotten would be made again of what was read before.
   */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn;
    return turn;
  }

  /** Removes a key for good; first its entry in the escrow file, from which it would come back. May be repeated. */
  async forget(instance: Owner): Promise<void> {
    const { keyFile, name } = this.repositoryOf(instance);
    await this.#inTurn(async () => {
      const { [name]: key, ...keys } = await this.#escrowed();
      if (key !== undefined) await this.#replaceEscrow(keys);
      for (const file of [keyFile, `${keyFile}${DRAFT}`]) await rm(file, { force: true });
    });
  }

  /** Its path. */
  get escrowFile(): string {
    return join(this.#folder, 'escrow.json');
  }

  /** The keys in the escrow file. @throws TypeError where it is there and cannot be read: nothing may take its place */
  async #escrowed(): Promise<Readonly<Record<string, string>>> {
    const text = await readIfThere(this.escrowFile);
    if (text === null) return {};
    const found = escrowSchema.safeParse(parsed(text));
    if (!found.success) throw new TypeError(`${this.escrowFile} is no escrow file: move it away`);
    return found.data.keys;
  }
}

/** A repository's key in the escrow file of any install. @throws ConfigError where it is none, or has no key of it */
export async function keyInEscrow(file: string, repository: string): Promise<string> {
  const found = escrowSchema.safeParse(parsed((await readIfThere(file)) ?? ''));
  if (!found.success) throw new ConfigError(`${file}: expected an escrow file, found none`);
  const key = found.data.keys[repository];
  if (key === undefined)
    throw new ConfigError(`${file}: expected the key of ${repository}, found none of that name`);
  return key;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
