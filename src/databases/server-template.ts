import { createHash } from 'node:crypto';
import { chmod, chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerCli } from '../docker/docker-cli.ts';
import { isThere, type UnixUser, unlessAbsent } from '../host/files.ts';
import { randomSecret } from '../host/password-hash.ts';
import { copyTree } from '../host/trees.ts';
import { templateDatabaseName } from '../instance/name.ts';
import { Cluster } from '../postgres/cluster.ts';
import { flushFileSystem, runServer } from '../postgres/scratch-postgres.ts';
import { ClonePool } from './clone-pool.ts';
import type { DatabaseSource, PostgresImage } from './database-spec.ts';
import type { OdooInit } from './odoo-init.ts';
import { dropTemplate } from './template-content.ts';
import { TemplateDatabases } from './template-database.ts';
import { type TemplateKey, templateHash } from './template-key.ts';
import { evictable, metadataOf, readMetadata, type TemplateMetadata } from './template-metadata.ts';

/** The superuser of an instance's own Postgres, which the image's first start creates. */
const OWN_SUPERUSER = 'postgres';

/** The same rules as the shared server's (deploy/tenants.pg_hba.conf). Never `peer` or `trust`, see ADR 5. */
const PG_HBA = `local  all       ${OWN_SUPERUSER}  scram-sha-256
local  samerole  all  scram-sha-256
local  postgres  all  scram-sha-256
local  all       all  reject
`;

export interface ServerTemplatesOptions {
  readonly install: string;
  /** `<dir>/<hash>/{pgdata,filestore}`, accessible to root alone. */
  readonly dir: string;
  readonly docker: DockerCli;
  readonly init: OdooInit;
}

/** What a server template is made from. */
export interface ServerSource extends Pick<DatabaseSource, 'image' | 'owner'> {
  readonly postgres: PostgresImage;
  readonly key: TemplateKey;
}

/** Target paths of an instance's data directory and filestore; `directory` is the instance's, on the same file system. */
export interface ServerTarget {
  readonly directory: string;
  readonly pgdata: string;
  /** The filestore of the instance's one database. */
  readonly filestore: string;
}

/**
 * Prepared data directories for instances with a Postgres of their own: each is that of a cleanly stopped server with one database
 * that has no tenant yet. An instance begins with a copy of one (ADR 10). A folder gets its final name once it is complete; a spare
 * copy is kept beside it for the next customer, as ADR 7 has it for clones.
 */
export class ServerTemplates {
  readonly #options: ServerTemplatesOptions;
  readonly #building = new Map<string, Promise<string>>();
  /** How many copies of a template are being made. */
  readonly #inUse = new Map<string, number>();
  /** Templates whose spare copy was taken since restock(). */
  readonly #taken = new Map<string, ServerSource>();

  constructor(options: ServerTemplatesOptions) {
    this.#options = options;
  }

  /** Builds the template and its spare copy where they are missing. */
  async stock(source: ServerSource, signal: AbortSignal): Promise<void> {
    const template = await this.#ensure(source, () => {}, signal);
    const spare = join(template, 'spare');
    if (await isThere(spare)) return;
    await this.#copy(template, `${spare}_new`, source);
    await rename(`${spare}_new`, spare);
  }

  /** Replaces the spare copies that were taken. */
  async restock(signal: AbortSignal): Promise<void> {
    for (const [hash, source] of [...this.#taken]) {
      this.#taken.delete(hash);
      await this.stock(source, signal);
    }
  }

  /**
   * Gives an instance its data directory and filestore, unless it has them. An interrupted attempt is begun again: the data
   * directory comes last, by one rename.
   * @param onBuild called when it has to wait for a template to be built
   */
  async place(
    source: ServerSource,
    to: ServerTarget,
    onBuild: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    if (await hasServer(to.pgdata)) return;
    const hash = serverHash(source);
    this.#inUse.set(hash, (this.#inUse.get(hash) ?? 0) + 1);
    try {
      const template = await this.#ensure(source, onBuild, signal);
      const copy = join(to.directory, 'server_new');
      await removeTree(copy);
      const isSpare = await rename(join(template, 'spare'), copy).then(() => true, unlessAbsent);
      if (!isSpare) await this.#copy(template, copy, source);
      this.#taken.set(hash, source);
      await removeTree(to.filestore);
      await rename(join(copy, 'filestore'), to.filestore);
      // Over the empty directory that Compose mounts; Linux refuses when it is not empty.
      await rename(join(copy, 'pgdata'), to.pgdata);
      await removeTree(copy);
    } finally {
      const others = (this.#inUse.get(hash) ?? 1) - 1;
      if (others > 0) this.#inUse.set(hash, others);
      else this.#inUse.delete(hash);
    }
    await this.#writeMetadata(hash, source);
  }

  /** Replaces the template's superuser password in the server of a fresh copy by the instance's. Idempotent. */
  async adopt(socketDir: string, password: string, signal: AbortSignal): Promise<void> {
    const own = new Cluster({ socketDir, user: OWN_SUPERUSER, password });
    try {
      await own.awaitAnswer(signal);
    } catch (error) {
      if (!isWrongPassword(error)) throw error;
      const template = new Cluster({
        socketDir,
        user: OWN_SUPERUSER,
        password: await this.#password(),
      });
      await template.setPassword(password);
      await own.awaitAnswer(signal);
    }
  }

  /**
   * Removes what evictable() names, and what killed builds left behind.
   * @param wanted hashes (serverHash()) of the templates that plans need
   */
  async trim(
    wanted: ReadonlySet<string>,
    isStale: (metadata: TemplateMetadata) => Promise<boolean>,
    now: Date,
  ): Promise<string[]> {
    const { dir } = this.#options;
    const gone: string[] = [];
    const kept = [];
    const isBusy = (hash: string) => this.#building.has(hash) || this.#inUse.has(hash);
    for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
      if (!entry.isDirectory()) continue;
      const hash = entry.name.replace(/_new$/, '');
      if (entry.name === hash) {
        const metadata = await this.#readMetadata(hash);
        if (metadata) kept.push({ hash, metadata, isStale: await isStale(metadata) });
      } else if (!isBusy(hash)) gone.push(entry.name);
    }
    for (const { hash } of evictable(kept, wanted, now)) if (!isBusy(hash)) gone.push(hash);
    for (const name of gone) {
      // Killed after the rename, it leaves a name that the next trim() takes for an unfinished build.
      if (!name.endsWith('_new')) await rename(join(dir, name), join(dir, `${name}_new`));
      await removeTree(join(dir, name.endsWith('_new') ? name : `${name}_new`));
    }
    return gone;
  }

  /** @returns the folder of the template, built if it is missing: once, however many callers wait for it */
  async #ensure(source: ServerSource, onBuild: () => void, signal: AbortSignal): Promise<string> {
    const hash = serverHash(source);
    const template = join(this.#options.dir, hash);
    const underWay = this.#building.get(hash);
    if (!underWay && (await isThere(template))) return template;
    onBuild();
    // Checked again: another caller may have begun during the await.
    const building = this.#building.get(hash) ?? this.#build(source, hash, signal);
    this.#building.set(hash, building);
    try {
      return await building;
    } finally {
      this.#building.delete(hash);
    }
  }

  /** Builds under a temporary name; the rename at the end marks it complete. */
  async #build(source: ServerSource, hash: string, signal: AbortSignal): Promise<string> {
    const { dir, docker, init, install } = this.#options;
    const { image, key, postgres } = source;
    const done = join(dir, hash);
    const unfinished = `${done}_new`;
    const folders = {
      pgdata: join(unfinished, 'pgdata'),
      socketDir: join(unfinished, 'socket'),
      databases: join(unfinished, 'databases'),
    };
    const passwordFile = join(unfinished, 'postgres-password');
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await removeTree(unfinished);
    try {
      // Traversable for Odoo's and Postgres' users in their containers; on the host only root gets through `dir`.
      await mkdir(unfinished, { mode: 0o711 });
      await mkdir(folders.databases, { mode: 0o711 });
      for (const [folder, mode] of [
        [folders.pgdata, 0o700],
        [folders.socketDir, 0o755],
      ] as const) {
        await mkdir(folder, { mode });
        await chown(folder, postgres.user.uid, postgres.user.gid);
      }
      const password = await this.#password();
      await writeFile(passwordFile, password, { mode: 0o600 });
      await chown(passwordFile, postgres.user.uid, postgres.user.gid);
      const server = await runServer(
        { install, docker },
        {
          container: `ms-${install}-server-${hash}`,
          ...{ postgres, passwordFile, signal },
          ...{ pgdata: folders.pgdata, socketDir: folders.socketDir },
        },
      );
      try {
        const cluster = new Cluster({
          socketDir: folders.socketDir,
          user: OWN_SUPERUSER,
          password,
        });
        await cluster.awaitAnswer(signal);
        await cluster.prepare();
        const templates = new TemplateDatabases({
          ...{ install, cluster, init },
          dir: folders.databases,
          containerPrefix: `ms-${install}-server-template`,
        });
        const template = await templates.ensure(image, key, () => {}, signal);
        await new ClonePool(cluster).stock(template);
        // Only the spare copy stays in the data directory: each copy is for one customer.
        await rename(
          join(template.filestoreDir, template.database),
          join(unfinished, 'filestore'),
        ).catch(async (error) => {
          unlessAbsent(error);
          await mkdir(join(unfinished, 'filestore'));
        });
        await dropTemplate(cluster, template.database);
      } finally {
        await server.stop();
      }
      await writeHba(folders.pgdata, postgres.user);
      for (const rest of [folders.socketDir, folders.databases, passwordFile])
        await removeTree(rest);
      await writeFile(join(unfinished, 'note.json'), JSON.stringify(metadataOf(image, key)));
      await flushFileSystem(unfinished);
      await rename(unfinished, done);
      return done;
    } catch (error) {
      await removeTree(unfinished).catch(() => {});
      throw error;
    }
  }

  /** Flushed to disk before it is used: Postgres flushes no file that it did not write itself. */
  async #copy(template: string, to: string, { owner, postgres }: ServerSource): Promise<void> {
    await removeTree(to);
    await mkdir(to, { mode: 0o700 });
    await copyTree(join(template, 'pgdata'), join(to, 'pgdata'), postgres.user);
    await copyTree(join(template, 'filestore'), join(to, 'filestore'), owner);
    await flushFileSystem(to);
  }

  async #readMetadata(hash: string): Promise<TemplateMetadata | null> {
    return readMetadata(
      await readFile(join(this.#options.dir, hash, 'note.json'), 'utf8').catch(() => null),
    );
  }

  async #writeMetadata(hash: string, { image, key }: ServerSource): Promise<void> {
    const file = join(this.#options.dir, hash, 'note.json');
    await writeFile(`${file}_new`, JSON.stringify(metadataOf(image, key)));
    await rename(`${file}_new`, file);
  }

  /** The superuser password of all templates, until a copy gets its own. No tenant's container gets it. */
  async #password(): Promise<string> {
    const file = join(this.#options.dir, 'postgres-password');
    const known = await readFile(file, 'utf8').catch(unlessAbsent);
    if (known) return known;
    await mkdir(this.#options.dir, { recursive: true, mode: 0o700 });
    // Of two concurrent writers, the first wins.
    await writeFile(file, randomSecret(), { mode: 0o600, flag: 'wx', flush: true }).catch(
      (error) => {
        if (error.code !== 'EEXIST') throw error;
      },
    );
    return readFile(file, 'utf8');
  }
}

/** Same source, same hash: a template is looked up by its folder's name. */
export function serverHash({ key, postgres }: ServerSource): string {
  const canonical = JSON.stringify([templateHash(key), postgres.imageId]);
  return createHash('sha256').update(canonical).digest('hex').slice(0, 16);
}

/** The template of the one database in a fresh copy, which is a spare clone: for ClonePool.take(). */
export function spareIn(install: string, key: TemplateKey) {
  return { database: templateDatabaseName(install, templateHash(key)), filestoreDir: '' };
}

/** Whether a data directory holds a server. */
export function hasServer(pgdata: string): Promise<boolean> {
  return isThere(join(pgdata, 'PG_VERSION'));
}

/** Writes pg_hba.conf. Databases.prepareFor() rewrites it, since older releases left the file to the image. */
export async function writeHba(pgdata: string, owner: UnixUser): Promise<void> {
  const file = join(pgdata, 'pg_hba.conf');
  await writeFile(`${file}_new`, PG_HBA, { mode: 0o600 });
  await chown(`${file}_new`, owner.uid, owner.gid);
  await chmod(`${file}_new`, 0o600);
  await rename(`${file}_new`, file);
}

/** Whether Postgres refused the password (SQLSTATE 28P01). */
export function isWrongPassword(error: unknown): boolean {
  return (error as { code?: string }).code === '28P01';
}

async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}
