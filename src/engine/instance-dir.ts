import { randomBytes } from 'node:crypto';
import { chmod, chown, link, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { ObservedInstance } from '../instance/types.ts';
import { registerSecret } from '../log.ts';
import { hashRandomSecret, randomSecret } from '../password-hash.ts';
import { LABELS } from './commands.ts';
import { type InstancePaths, instanceDirectory, instancePaths } from './layout.ts';
import { removeTree } from './remove-tree.ts';
import type { ImageUser, Rendered } from './render.ts';

/** What is made up once for an instance and never leaves its 0600 files but for odoo.conf and the databases. */
export interface InstanceSecrets {
  /** Of the customer's administrator in Odoo. */
  readonly adminPassword: string;
  /** Odoo's master password; odoo.conf has its hash. */
  readonly masterPassword: string;
  readonly masterPasswordHash: string;
  /** Of the instance's database role. */
  readonly dbPassword: string;
  /** Of the superuser of the instance's own Postgres, where it has one. */
  readonly postgresPassword: string;
}

/** The directories of the instances, `<dataDir>/instances/<id>/`. */
export class InstanceDirs {
  readonly #dataDir: string;
  readonly #newAdminPassword: () => string;

  /** @param newAdminPassword makes up the password of a new instance's administrator */
  constructor(dataDir: string, newAdminPassword = randomSecret) {
    this.#dataDir = dataDir;
    this.#newAdminPassword = newAdminPassword;
  }

  paths(id: number): InstancePaths {
    return instancePaths(instanceDirectory(this.#dataDir, id));
  }

  /**
   * Makes the directories, each owned by whoever writes in it. May be repeated; changes nothing inside them.
   * @param users `postgres` is null when the instance uses the host's Postgres.
   */
  async prepare(
    id: number,
    users: { readonly odoo: ImageUser; readonly postgres: ImageUser | null },
  ): Promise<void> {
    const paths = this.paths(id);
    await mkdir(join(this.#dataDir, 'instances'), { recursive: true, mode: 0o700 });
    for (const path of [paths.directory, paths.etc, paths.secrets])
      await makeDirectory(path, 0o700);
    for (const path of [paths.filestore, paths.sessions])
      await makeDirectory(path, 0o700, users.odoo);
    if (users.postgres === null) return;
    await makeDirectory(paths.pgdata, 0o700, users.postgres);
    // Open to Odoo's user, who differs; nobody else gets through the instance's directory.
    await makeDirectory(paths.socket, 0o755, users.postgres);
    await secret(paths.postgresPassword);
    await chown(paths.postgresPassword, users.postgres.uid, users.postgres.gid);
  }

  /** The instance's secrets, made on the first call and registered for redaction on each. */
  async secrets(id: number): Promise<InstanceSecrets> {
    const { directory, secrets, postgresPassword } = this.paths(id);
    await mkdir(join(this.#dataDir, 'instances'), { recursive: true, mode: 0o700 });
    for (const path of [directory, secrets]) await makeDirectory(path, 0o700);
    const named = (name: string, make = randomSecret) => secret(join(secrets, name), make);
    const master = async () => {
      const masterPassword = await named('master-password');
      const masterPasswordHash = await secret(join(secrets, 'master-password-hash'), () =>
        hashRandomSecret(masterPassword),
      );
      return { masterPassword, masterPasswordHash };
    };
    // Together: each new one is written to disk before it is used.
    const [masters, adminPassword, dbPassword, ofPostgres] = await Promise.all([
      master(),
      named('admin-password', this.#newAdminPassword),
      named('db-password'),
      secret(postgresPassword),
    ]);
    return { ...masters, adminPassword, dbPassword, postgresPassword: ofPostgres };
  }

  /** Writes both files. The Compose file comes last: its digest says that both are there. */
  async write(id: number, files: Rendered, odoo: ImageUser): Promise<void> {
    const { conf, compose } = this.paths(id);
    await writeAtomically(conf, files.conf, odoo);
    await writeAtomically(compose, files.compose);
  }

  async exists(id: number): Promise<boolean> {
    return lstat(this.paths(id).directory).then(
      () => true,
      () => false,
    );
  }

  /** Removes the instance's directory with all that is in it, for good. @throws RetryableError('RemovalBlocked') */
  async remove(id: number): Promise<void> {
    await removeTree(this.paths(id).directory);
  }

  /** Whether the written files come from the input with this digest. */
  async filesState(id: number, digest: string): Promise<ObservedInstance['files']> {
    const { conf, compose } = this.paths(id);
    const [text] = await Promise.all([read(compose), read(conf)]).then((texts) =>
      texts.includes(null) ? [null] : texts,
    );
    if (text === null || text === undefined) return 'absent';
    return digestIn(text) === digest ? 'current' : 'stale';
  }
}

/** The digest in the labels of a Compose file, '' when it cannot be read there. */
function digestIn(compose: string): string {
  try {
    return parse(compose).services.odoo.labels[LABELS.digest];
  } catch {
    return ''; // edited or damaged by hand: it is made again
  }
}

async function makeDirectory(path: string, mode: number, owner?: ImageUser): Promise<void> {
  await mkdir(path, { mode }).catch(unless('EEXIST'));
  // Following a link would hand somebody a directory elsewhere.
  if (!(await lstat(path)).isDirectory()) throw new Error(`${path} is not a directory`);
  if (owner) await chown(path, owner.uid, owner.gid);
  await chmod(path, mode);
}

/** Reads a secret, or makes it. Two at once get the same one. */
async function secret(
  path: string,
  make: () => string | Promise<string> = randomSecret,
): Promise<string> {
  const known = await read(path);
  if (known !== null) return registerSecret(known);
  const draft = await writeBeside(path, await make());
  // Unlike rename, link never replaces: of two, the first stays.
  await link(draft, path).catch(unless('EEXIST'));
  await rm(draft);
  return registerSecret(await readFile(path, 'utf8'));
}

/** Readers see the old file or the whole new one, after a power cut too. */
async function writeAtomically(path: string, text: string, owner?: ImageUser): Promise<void> {
  await rename(await writeBeside(path, text, owner), path);
}

async function writeBeside(path: string, text: string, owner?: ImageUser): Promise<string> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    if (owner) await file.chown(owner.uid, owner.gid);
    await file.sync();
  } catch (error) {
    // On a full disk each attempt would leave one more behind.
    await rm(draft, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return draft;
}

async function read(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}

function unless(code: string) {
  return (error: NodeJS.ErrnoException) => {
    if (error.code !== code) throw error;
  };
}
