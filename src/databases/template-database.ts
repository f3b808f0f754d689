import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { templateDatabaseName } from '../instance/name.ts';
import type { Cluster } from '../postgres/cluster.ts';
import { ClonePool } from './clone-pool.ts';
import type { OdooInit } from './odoo-init.ts';
import {
  checkInstalled,
  createEmpty,
  dropTemplate,
  freeze,
  writeComment,
} from './template-content.ts';
import { countryOf, moduleSet, type TemplateKey, templateHash } from './template-key.ts';
import {
  evictable,
  type KeptTemplate,
  listTemplates,
  metadataOf,
  type TemplateMetadata,
} from './template-metadata.ts';

export interface TemplateDatabase {
  readonly database: string;
  /** The folder with its filestore, to be copied with the database. */
  readonly filestoreDir: string;
}

export interface TemplateDatabasesOptions {
  readonly install: string;
  /** The Postgres server of the templates and their clones. */
  readonly cluster: Cluster;
  /** Holds one folder per template: `<dir>/<hash>/filestore`. */
  readonly dir: string;
  /** Prefix of the names of build containers. */
  readonly containerPrefix: string;
  readonly init: OdooInit;
}

/** Finds the template database of a key, or builds it: once, however many callers wait for it. */
export class TemplateDatabases {
  readonly #options: TemplateDatabasesOptions;
  readonly #building = new Map<string, Promise<TemplateDatabase>>();
  readonly #removing = new Map<string, Promise<void>>();
  /** How many clones of a template are being made. */
  readonly #inUse = new Map<string, number>();
  /** Metadata of what was cloned since the last trim(): writing the comment at once would make concurrent clones wait for each other. */
  readonly #used = new Map<string, TemplateMetadata>();

  constructor(options: TemplateDatabasesOptions) {
    this.#options = options;
  }

  /** Runs `work`; the template is not evicted meanwhile. */
  async hold<T>(key: TemplateKey, work: () => Promise<T>): Promise<T> {
    const hash = templateHash(key);
    this.#inUse.set(hash, (this.#inUse.get(hash) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const others = (this.#inUse.get(hash) ?? 1) - 1;
      if (others > 0) this.#inUse.set(hash, others);
      else this.#inUse.delete(hash);
    }
  }

  /** Runs `work`, which clones the template: it is not evicted meanwhile, and counts as used. */
  async using<T>(
    image: string,
    key: TemplateKey,
    onBuild: () => void,
    signal: AbortSignal,
    work: (template: TemplateDatabase) => Promise<T>,
  ): Promise<T> {
    return this.hold(key, async () => {
      const result = await work(await this.ensure(image, key, onBuild, signal));
      this.#used.set(templateHash(key), metadataOf(image, key));
      return result;
    });
  }

  /** The template of this key, built if it is missing. @param onBuild called when it has to wait for a build */
  async ensure(
    image: string,
    key: TemplateKey,
    onBuild: () => void,
    signal: AbortSignal,
  ): Promise<TemplateDatabase> {
    const hash = templateHash(key);
    await this.#removing.get(hash);
    const underWay = this.#building.get(hash);
    if (underWay) {
      onBuild();
      return underWay;
    }
    const found = this.#describe(hash);
    if (await this.#options.cluster.has(found.database)) return found;
    onBuild();
    // Checked again: another caller may have begun during the await.
    const building = this.#building.get(hash) ?? this.#build(image, key, hash, signal);
    this.#building.set(hash, building);
    try {
      return await building;
    } finally {
      this.#building.delete(hash);
    }
  }

  /** Drops a template database with its spare clone, its role and its files. */
  async remove(template: TemplateDatabase): Promise<void> {
    await new ClonePool(this.#options.cluster).remove(template.database);
    await dropTemplate(this.#options.cluster, template.database);
    await rm(dirname(template.filestoreDir), { recursive: true, force: true });
  }

  /**
   * Drops what evictable() names, and what killed builds left behind.
   * @param wanted hashes of the templates that plans need
   * @param isStale whether the image that a template was made from has been replaced
   * @returns the names of the dropped databases
   */
  async trim(
    wanted: ReadonlySet<string>,
    isStale: (metadata: TemplateMetadata) => Promise<boolean>,
    now: Date,
  ): Promise<string[]> {
    const { cluster, install } = this.#options;
    for (const [hash, metadata] of [...this.#used]) {
      this.#used.delete(hash);
      await writeComment(cluster, this.#describe(hash).database, JSON.stringify(metadata));
    }
    const kept: KeptTemplate[] = [];
    const dropped: string[] = [];
    for (const { hash, isUnfinished, metadata } of await listTemplates(cluster, install)) {
      if (metadata && !isUnfinished)
        kept.push({ hash, metadata, isStale: await isStale(metadata) });
      if (!isUnfinished || this.#building.has(hash)) continue;
      const { database, workDir } = this.#unfinished(hash);
      await this.#clear(database, workDir);
      dropped.push(database);
    }
    for (const { hash } of evictable(kept, wanted, now)) {
      if (this.#inUse.has(hash) || this.#building.has(hash)) continue;
      const template = this.#describe(hash);
      const removing = this.remove(template).finally(() => this.#removing.delete(hash));
      this.#removing.set(hash, removing);
      await removing;
      dropped.push(template.database);
    }
    return dropped;
  }

  #describe(hash: string): TemplateDatabase {
    return {
      database: templateDatabaseName(this.#options.install, hash),
      filestoreDir: join(this.#options.dir, hash, 'filestore'),
    };
  }

  #unfinished(hash: string) {
    const { database } = this.#describe(hash);
    return { database: `${database}_new`, workDir: join(this.#options.dir, `${hash}_new`) };
  }

  /** Builds under a temporary name; the rename at the end marks it complete. A failed build leaves nothing behind. */
  async #build(
    image: string,
    key: TemplateKey,
    hash: string,
    signal: AbortSignal,
  ): Promise<TemplateDatabase> {
    const { cluster, containerPrefix, dir, init } = this.#options;
    const done = this.#describe(hash);
    const { database: unfinished, workDir } = this.#unfinished(hash);
    const password = randomBytes(24).toString('base64url');
    const modules = moduleSet(key.modules);
    const login = { database: unfinished, role: unfinished, password };
    try {
      await this.#clear(unfinished, workDir);
      await cluster.ensureRole(unfinished, password);
      await createEmpty(cluster, unfinished);
      await mkdir(workDir, { recursive: true, mode: 0o711 });
      const filestoreDir = join(workDir, 'filestore');
      await init({
        container: `${containerPrefix}-${hash}`,
        image,
        ...{ server: cluster.server, database: unfinished, password },
        filestoreDir,
        modules,
        repositories: key.repositories,
        languages: key.languages,
        countryCode: countryOf(key),
        signal,
      });
      await checkInstalled(cluster, login, modules);
      await rm(join(dir, hash), { recursive: true, force: true });
      await rename(workDir, join(dir, hash));
      await rename(
        join(done.filestoreDir, unfinished),
        join(done.filestoreDir, done.database),
      ).catch(() => {}); // Odoo creates no folder when it stores no file
      await freeze(cluster, login, done.database, JSON.stringify(metadataOf(image, key)));
      return done;
    } catch (error) {
      await this.#clear(unfinished, workDir).catch(() => {});
      throw error;
    }
  }

  async #clear(database: string, workDir: string): Promise<void> {
    const { cluster } = this.#options;
    await cluster.drop(database);
    await cluster.dropRole(database);
    await rm(workDir, { recursive: true, force: true });
  }
}
