import { readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile, makeDirectory, readIfThere, replaceFile } from '../host/files.ts';
import { randomSecret } from '../host/password-hash.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { Repository } from '../restic/restic.ts';

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

/**
 * The passwords of the tenants' repositories, one each in `<dataDir>/backups/keys/`. A key without `.new` at the end says that its
 * repository has been made: where that is missing, no other is made in its place.
 */
export class BackupKeys {
  readonly #install: string;
  readonly #base: string;
  readonly #folder: string;
  readonly #keys: string;

  /** @param base where the repositories are. @param folder of the keys and the escrow file */
  constructor(install: string, base: string, folder: string) {
    this.#install = install;
    this.#base = base;
    this.#folder = folder;
    this.#keys = join(folder, 'keys');
  }

  /** The repository of an instance: from its number and its identity, so that a number that comes again gets another one. */
  repositoryOf({ id, identity }: Pick<DesiredInstance, 'id' | 'identity'>): Repository {
    const name = `${this.#install}-${id}-${identity.slice(0, 8)}`;
    return { name, keyFile: join(this.#keys, name) };
  }

  /** Whether the instance's repository was made. */
  async has(instance: Pick<DesiredInstance, 'id' | 'identity'>): Promise<boolean> {
    return (await readIfThere(this.repositoryOf(instance).keyFile)) !== null;
  }

  /**
   * Has a repository made under a new key, which is kept for good only once it is there. The key is in the escrow file before that.
   * @param make is given the repository as it is called, with the file of its key as long as that is a draft
   */
  async make(
    instance: Pick<DesiredInstance, 'id' | 'identity'>,
    make: (repository: Repository) => Promise<void>,
  ): Promise<void> {
    const { keyFile, name } = this.repositoryOf(instance);
    const draft = `${keyFile}${DRAFT}`;
    for (const folder of [this.#folder, this.#keys]) await makeDirectory(folder, 0o700);
    await createFile(draft, `${randomSecret()}\n`);
    await this.writeEscrow();
    await make({ name, keyFile: draft });
    await rename(draft, keyFile);
  }

  /** Writes all keys into `escrow.json`, which the operator keeps elsewhere too. */
  async writeEscrow(): Promise<void> {
    const keys: Record<string, string> = {};
    for (const file of (await readdir(this.#keys)).sort()) {
      const name = file.endsWith(DRAFT) ? file.slice(0, -DRAFT.length) : file;
      keys[name] = (await readFile(join(this.#keys, file), 'utf8')).trim();
    }
    const escrow: Escrow = { install: this.#install, base: this.#base, keys };
    await replaceFile(join(this.#folder, 'escrow.json'), `${JSON.stringify(escrow, null, 2)}\n`);
  }
}
