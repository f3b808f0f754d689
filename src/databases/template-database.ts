import { createHash, randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Client, escapeIdentifier } from 'pg';
import { RetryableError, TerminalError } from '../errors.ts';
import { templateDatabaseName } from '../instance/name.ts';
import type { Cluster } from './cluster.ts';

/** What makes two template databases different. */
export interface TemplateKey {
  /** The Odoo image's id (`sha256:…`), not its tag: a new image needs a new template. */
  readonly imageId: string;
  readonly modules: readonly string[];
  readonly lang: string;
  readonly countryCode: string;
}

/** Runs Odoo once in a container to fill an empty database; throws CommandError when Odoo fails. */
export type OdooInit = (run: {
  readonly container: string;
  readonly image: string;
  readonly socketDir: string;
  readonly database: string;
  readonly password: string;
  readonly filestoreDir: string;
  readonly modules: readonly string[];
  readonly lang: string;
  readonly signal: AbortSignal;
}) => Promise<void>;

export interface TemplateDatabase {
  readonly database: string;
  /** The folder with its filestore, to be copied with the database. */
  readonly filestoreDir: string;
}

/** Every database has at least these; `auth_signup` carries the one-time link that welcomes a customer. */
const BASE_MODULES = ['auth_signup', 'web'];

/** Module names as Odoo allows them; anything else never reaches an argument. */
const MODULE_NAME = /^[a-z][a-z0-9_]{0,62}$/;

/** Same key, same hash: the name is the index. */
export function templateHash(key: TemplateKey): string {
  const modules = moduleSet(key.modules);
  const country = modules.length > BASE_MODULES.length ? key.countryCode : '';
  const canonical = JSON.stringify([key.imageId, modules, key.lang, country]);
  return createHash('sha256').update(canonical).digest('hex').slice(0, 16);
}

export interface TemplateDatabasesOptions {
  readonly install: string;
  /** The Postgres that holds the templates and their clones. */
  readonly cluster: Cluster;
  /** Holds one folder per template: `<dir>/<hash>/filestore`. */
  readonly dir: string;
  /** Begins the name of the container that builds. */
  readonly containerPrefix: string;
  readonly init: OdooInit;
}

/** Finds the template database of a module set, or builds it: once, however many ask together. */
export class TemplateDatabases {
  readonly #options: TemplateDatabasesOptions;
  readonly #building = new Map<string, Promise<TemplateDatabase>>();

  constructor(options: TemplateDatabasesOptions) {
    this.#options = options;
  }

  async ensure(
    image: string,
    key: TemplateKey,
    onBuild: () => void,
    signal: AbortSignal,
  ): Promise<TemplateDatabase> {
    const hash = templateHash(key);
    const underWay = this.#building.get(hash);
    if (underWay) {
      onBuild();
      return underWay;
    }
    const found = this.#describe(hash);
    if (await this.#options.cluster.has(found.database)) return found;
    onBuild();
    // Asked again: somebody else may have begun while we looked.
    const building = this.#building.get(hash) ?? this.#build(image, key, hash, signal);
    this.#building.set(hash, building);
    try {
      return await building;
    } finally {
      this.#building.delete(hash);
    }
  }

  /** Drops a template database that nobody clones any more, with its role and its files. */
  async remove(template: TemplateDatabase): Promise<void> {
    const name = escapeIdentifier(template.database);
    await this.#options.cluster.connected('postgres', async (client) => {
      await client.query(`ALTER DATABASE ${name} WITH IS_TEMPLATE false`);
      await client.query(`DROP DATABASE ${name}`);
      await client.query(`DROP ROLE ${name}`);
    });
    await rm(dirname(template.filestoreDir), { recursive: true, force: true });
  }

  #describe(hash: string): TemplateDatabase {
    return {
      database: templateDatabaseName(this.#options.install, hash),
      filestoreDir: join(this.#options.dir, hash, 'filestore'),
    };
  }

  /** Builds under another name; the rename at the end is what says "done". A failed build leaves nothing. */
  async #build(
    image: string,
    key: TemplateKey,
    hash: string,
    signal: AbortSignal,
  ): Promise<TemplateDatabase> {
    const { cluster, containerPrefix, dir, init } = this.#options;
    const done = this.#describe(hash);
    const unfinished = `${done.database}_new`;
    const workDir = join(dir, `${hash}_new`);
    const password = randomBytes(24).toString('base64url');
    const modules = moduleSet(key.modules);
    try {
      await this.#clear(unfinished, workDir);
      await cluster.ensureRole(unfinished, password);
      await createEmpty(cluster, unfinished);
      await mkdir(workDir, { recursive: true, mode: 0o711 });
      const filestoreDir = join(workDir, 'filestore');
      await init({
        container: `${containerPrefix}-${hash}`,
        image,
        socketDir: cluster.address.socketDir,
        database: unfinished,
        password,
        filestoreDir,
        modules,
        lang: key.lang,
        signal,
      });
      await checkInstalled(cluster, unfinished, modules);
      await rm(join(dir, hash), { recursive: true, force: true });
      await rename(workDir, join(dir, hash));
      await rename(
        join(done.filestoreDir, unfinished),
        join(done.filestoreDir, done.database),
      ).catch(() => {}); // Odoo makes no folder when it stored no file
      await freeze(cluster, unfinished, done.database);
      return done;
    } catch (error) {
      await this.#clear(unfinished, workDir).catch(() => {});
      throw error;
    }
  }

  async #clear(database: string, workDir: string): Promise<void> {
    const { cluster } = this.#options;
    await cluster.dropUnfinished(database);
    await cluster.connected('postgres', (client) =>
      client.query(`DROP ROLE IF EXISTS ${escapeIdentifier(database)}`),
    );
    await rm(workDir, { recursive: true, force: true });
  }
}

function moduleSet(modules: readonly string[]): string[] {
  for (const module of modules)
    if (!MODULE_NAME.test(module))
      throw new TerminalError('ModulesFailed', `"${module}" is not the name of an Odoo module.`, {
        detail: module,
      });
  return [...new Set([...BASE_MODULES, ...modules])].sort();
}

async function createEmpty(cluster: Cluster, database: string): Promise<void> {
  const name = escapeIdentifier(database);
  await cluster.connected('postgres', async (client) => {
    // The administrator owns the database, the role only what is in it: REASSIGN OWNED in a clone would
    // otherwise hand the template itself to a tenant.
    await client.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'`);
    await client.query(`REVOKE CONNECT, TEMPORARY ON DATABASE ${name} FROM PUBLIC`);
    await client.query(`GRANT CONNECT, TEMPORARY ON DATABASE ${name} TO ${name}`);
  });
  await cluster.connected(database, async (client) => {
    // As Odoo itself does when it creates a database (service/db.py): it has no right to here.
    await client.query('CREATE EXTENSION IF NOT EXISTS pg_trgm');
    await client.query('CREATE EXTENSION IF NOT EXISTS unaccent');
    await client.query(`ALTER SCHEMA public OWNER TO ${name}`);
  });
}

/** Odoo's exit code is not to be trusted (odoo.md §8.2): ask the database what is installed. */
async function checkInstalled(
  cluster: Cluster,
  database: string,
  modules: readonly string[],
): Promise<void> {
  const states = await cluster.connected(database, (client) =>
    client
      .query<{ name: string; state: string }>('SELECT name, state FROM ir_module_module')
      .catch(() => {
        throw new RetryableError('ModulesFailed', 'Odoo did not initialise the template database.');
      }),
  );
  const installed = new Set(states.rows.filter((m) => m.state === 'installed').map((m) => m.name));
  const missing = modules.filter((module) => !installed.has(module));
  if (missing.length > 0)
    throw new TerminalError(
      'ModulesFailed',
      `These modules could not be installed: ${missing.join(', ')}. Check the plan's module list.`,
      { detail: missing.join(', ') },
    );
}

async function freeze(cluster: Cluster, unfinished: string, done: string): Promise<void> {
  // A sequence remembers how many of its next numbers the log already holds. That is not true of a clone's log:
  // after a crash of the server it would give the same numbers again. Setting it makes it forget.
  await cluster.connected(unfinished, (client) =>
    client.query(
      `SELECT setval(format('%I.%I', schemaname, sequencename)::regclass,
                     coalesce(last_value, start_value), last_value IS NOT NULL) FROM pg_sequences`,
    ),
  );
  await cluster.connected('postgres', (client) =>
    inTransaction(client, [
      `ALTER ROLE ${escapeIdentifier(unfinished)} NOLOGIN`,
      `ALTER ROLE ${escapeIdentifier(unfinished)} RENAME TO ${escapeIdentifier(done)}`,
      `ALTER DATABASE ${escapeIdentifier(unfinished)} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true`,
      `ALTER DATABASE ${escapeIdentifier(unfinished)} RENAME TO ${escapeIdentifier(done)}`,
    ]),
  );
}

async function inTransaction(client: Client, statements: readonly string[]): Promise<void> {
  await client.query('BEGIN');
  for (const statement of statements) await client.query(statement);
  await client.query('COMMIT');
}
