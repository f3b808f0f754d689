import { chown, lstat, mkdir, opendir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { LABELS } from '../docker/labels.ts';
import { filesMissing } from '../errors.ts';
import {
  createFile,
  makeDirectory,
  readIfThere,
  replaceFile,
  type UnixUser,
  unless,
} from '../host/files.ts';
import { hashRandomSecret, randomSecret } from '../host/password-hash.ts';
import { removeTree } from '../host/trees.ts';
import type { DesiredInstance, ObservedInstance } from '../instance/types.ts';
import { registerSecret } from '../log.ts';
import { type InstancePaths, instanceDirectory, instancePaths } from './instance-paths.ts';
import { areSameButLimits, type Rendered } from './render.ts';

/** The secrets generated once for an instance. They leave their 0600 files only for odoo.conf and the databases. */
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

const SECRET_FILES = [
  'admin-password',
  'master-password',
  'master-password-hash',
  'db-password',
  'postgres-password',
];

/** The users an instance's containers run as, and whether it has data yet. */
export interface Preparation {
  readonly odoo: UnixUser;
  /** null when the instance uses the host's Postgres. */
  readonly postgres: UnixUser | null;
  /** It has never run: its data may be created. Otherwise a missing folder of data stays missing. */
  readonly isNew: boolean;
}

/** The directories of the instances, `<dataDir>/instances/<id>/`. */
export class InstanceDirs {
  readonly #dataDir: string;
  readonly #newAdminPassword: () => string;

  /** @param newAdminPassword generates the password of a new instance's administrator */
  constructor(dataDir: string, newAdminPassword = randomSecret) {
    this.#dataDir = dataDir;
    this.#newAdminPassword = newAdminPassword;
  }

  paths(id: number): InstancePaths {
    return instancePaths(instanceDirectory(this.#dataDir, id));
  }

  /** Makes the directories, each owned by the user that writes in it. May be repeated; changes nothing inside them. */
  async prepare(id: number, { odoo, postgres, isNew }: Preparation): Promise<void> {
    const paths = this.paths(id);
    if (isNew) {
      await mkdir(join(this.#dataDir, 'instances'), { recursive: true, mode: 0o700 });
      for (const path of [paths.directory, paths.secrets]) await makeDirectory(path, 0o700);
      await makeDirectory(paths.filestore, 0o700, odoo);
      if (postgres) await makeDirectory(paths.pgdata, 0o700, postgres);
      if (postgres) await secret(paths.postgresPassword);
    }
    await makeDirectory(paths.etc, 0o700);
    await makeDirectory(paths.sessions, 0o700, odoo);
    if (postgres === null) return;
    // Readable for Odoo's user, who is another one; nobody else passes the instance's directory.
    await makeDirectory(paths.socket, 0o755, postgres);
    await chown(paths.postgresPassword, postgres.uid, postgres.gid);
  }

  /**
   * Whether the data that cannot be made again is there. Configuration and sessions are not part of it.
   * @param database its database's name, which its folder in the filestore has too
   * @param hasOwnPostgres its database's files are here as well
   */
  async dataState(
    id: number,
    database: string,
    hasOwnPostgres: boolean,
  ): Promise<ObservedInstance['data']> {
    const { filestore, pgdata, secrets } = this.paths(id);
    const files = SECRET_FILES.map((name) => join(secrets, name));
    if (hasOwnPostgres) files.push(join(pgdata, 'PG_VERSION'));
    const found = await Promise.all([
      ...files.map(isThere),
      // Odoo keeps the compiled pages there from the beginning: it is never empty.
      holdsSomething(join(filestore, database)),
    ]);
    if (found.every(Boolean)) return 'whole';
    return found.some(Boolean) ? 'partial' : 'absent';
  }

  /**
   * The secrets of an instance that has run, registered for redaction.
   * @throws TerminalError('FilesMissing'): a new password would lock out the server or user that has the old one
   */
  async secrets(id: number): Promise<InstanceSecrets> {
    const { secrets } = this.paths(id);
    const known = (name: string) => readSecret(join(secrets, name));
    return {
      adminPassword: await known('admin-password'),
      masterPassword: await known('master-password'),
      masterPasswordHash: await known('master-password-hash'),
      dbPassword: await known('db-password'),
      postgresPassword: await known('postgres-password'),
    };
  }

  /** The secrets of an instance that has not run yet: made on the first call, the same on each. */
  async makeSecrets(id: number): Promise<InstanceSecrets> {
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

  /**
   * Gives an instance another database password, which it has from now on where it has a directory still. Its odoo.conf, with the old one, goes
   * first: as long as that is missing, its files are written again. @returns the password
   */
  async renewDbPassword(id: number): Promise<string> {
    const { conf, secrets } = this.paths(id);
    const password = registerSecret(randomSecret());
    await rm(conf, { force: true });
    await replaceFile(join(secrets, 'db-password'), password).catch(unless('ENOENT'));
    return password;
  }

  /** Writes both files. The Compose file comes last: its digest shows that both are there. */
  async write(id: number, files: Rendered, odoo: UnixUser): Promise<void> {
    const { conf, compose } = this.paths(id);
    await replaceFile(conf, files.conf, odoo);
    await replaceFile(compose, files.compose);
  }

  /** Which commits' modules the instance's Apps list shows; '' while none. */
  async appsList(id: number): Promise<string> {
    return (await readIfThere(this.paths(id).appsList)) ?? '';
  }

  async writeAppsList(id: number, commits: string): Promise<void> {
    await replaceFile(this.paths(id).appsList, commits);
  }

  async exists(id: number): Promise<boolean> {
    return lstat(this.paths(id).directory).then(
      () => true,
      () => false,
    );
  }

  /**
   * Removes the instance's directory with all that is in it, for good. The mark goes last: what a kill leaves says still whose it is.
   * @throws RetryableError('RemovalBlocked')
   */
  async remove(id: number): Promise<void> {
    const { directory, mark } = this.paths(id);
    const names = await readdir(directory).catch(unless('ENOENT', []));
    const others = names.map((name) => join(directory, name)).filter((path) => path !== mark);
    for (const path of others) await removeTree(path);
    await removeTree(directory);
  }

  /** Removes all sessions. The folder stays: it is mounted into the container. */
  async forgetSessions(id: number): Promise<void> {
    const { sessions } = this.paths(id);
    const names = await readdir(sessions).catch(unless('ENOENT', []));
    for (const name of names) await removeTree(join(sessions, name));
  }

  /** The id (`sha256:…`) of the image that the written Compose file names; null when there is none. */
  async imageId(id: number): Promise<string | null> {
    const text = await readIfThere(this.paths(id).compose);
    const image = text === null ? undefined : odooIn(text)?.image;
    return image !== undefined && /^sha256:[0-9a-f]{64}$/.test(image) ? image : null;
  }

  /**
   * What an instance's image is named by for good (ADR 16): as Odoo has it, or as long as it has none, what its files name since its database
   * was made. Null: it gets its template's.
   */
  async pinOf({
    id,
    imageDigest,
    wasReady,
  }: Pick<DesiredInstance, 'id' | 'imageDigest' | 'wasReady'>): Promise<string | null> {
    return imageDigest || (wasReady ? this.imageId(id) : null);
  }

  /** What the written Compose file says of the containers that are made from it; null where there is none, or no such file. */
  async madeFrom(id: number): Promise<MadeFrom | null> {
    const { compose } = this.paths(id);
    const text = await readIfThere(compose);
    const digest = text === null ? undefined : odooIn(text)?.labels[LABELS.digest];
    if (text === null || digest === undefined) return null;
    return { services: servicesIn(text), digest, since: (await stat(compose)).mtime };
  }

  /**
   * Whether the written files, and the folders that they need and that may be empty, are those of this digest.
   * @param isUp then other limits do not count: they are for its next start
   */
  async filesState(id: number, digest: string, isUp: boolean): Promise<ObservedInstance['files']> {
    const { conf, compose, sessions } = this.paths(id);
    if (!(await isThere(sessions))) return 'absent';
    const [text] = await Promise.all([readIfThere(compose), readIfThere(conf)]).then((texts) =>
      texts.includes(null) ? [null] : texts,
    );
    if (text === null || text === undefined) return 'absent';
    const written = odooIn(text)?.labels[LABELS.digest] ?? '';
    const isCurrent = isUp ? areSameButLimits(written, digest) : written === digest;
    return isCurrent ? 'current' : 'stale';
  }
}

/** A Compose file, as far as it tells whether containers are still those that it makes. */
export interface MadeFrom {
  /** The names of its services. */
  readonly services: readonly string[];
  /** The label of each of its containers. */
  readonly digest: string;
  /** When it was written. */
  readonly since: Date;
}

const serviceSchema = z.object({
  image: z.string(),
  labels: z.record(z.string(), z.string()),
});

/** Odoo's service in a Compose file; null when it cannot be parsed: an edited or damaged file is written again. */
function odooIn(compose: string): z.infer<typeof serviceSchema> | null {
  try {
    return serviceSchema.parse(parse(compose).services.odoo);
  } catch {
    return null;
  }
}

/** @param compose a file that odooIn() can parse */
function servicesIn(compose: string): string[] {
  return Object.keys(parse(compose).services);
}

/** @throws the system's other errors: they do not prove that it is gone */
async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (!isGone(error)) throw error;
      return false;
    },
  );
}

async function holdsSomething(folder: string): Promise<boolean> {
  try {
    const entries = await opendir(folder);
    const first = await entries.read();
    await entries.close();
    return first !== null;
  } catch (error) {
    if (!isGone(error as NodeJS.ErrnoException)) throw error;
    return false;
  }
}

function isGone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR';
}

async function readSecret(path: string): Promise<string> {
  const known = await readIfThere(path);
  if (known === null) throw filesMissing();
  return registerSecret(known);
}

/** Reads a secret, or generates it. Two callers at once get the same one. */
async function secret(
  path: string,
  make: () => string | Promise<string> = randomSecret,
): Promise<string> {
  const known = await readIfThere(path);
  if (known !== null) return registerSecret(known);
  await createFile(path, await make());
  return registerSecret(await readFile(path, 'utf8'));
}
