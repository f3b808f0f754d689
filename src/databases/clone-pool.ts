import { lstat, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseError, escapeIdentifier } from 'pg';
import { randomSecret } from '../host/password-hash.ts';
import { copyTree } from '../host/trees.ts';
import { admitted, type Cluster, inTransaction, loginRights } from '../postgres/cluster.ts';
import { MAKING, type TenantLogin } from '../postgres/tenant-session.ts';
import type { TemplateDatabase } from './template-database.ts';

/** There is none, somebody is connected to it just now, or the role is there already (what was begun before is gone on with). */
const NOT_TO_BE_HAD = new Set(['3D000', '42704', '55006', '42710']);

/**
 * A clone of each template database, with a role that owns all that is in it and a copy of its files, waiting for the next
 * customer. Cloning seventy modules takes 0.2 s when the template lies in memory and 2 s when it has to be read from disk, as it
 * has to when the last sale was an hour ago; giving all of it to another role takes 0.1 s, copying the files 0.1 s, and all of
 * it keeps the processors from starting her Odoo. New names are given at once.
 */
export class ClonePool {
  readonly #cluster: Cluster;
  /** Templates whose spare was given away since restock(). */
  readonly #taken = new Map<string, TemplateDatabase>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Makes a spare of a template that has none. May be repeated; only what has the final name is complete. */
  async stock(template: TemplateDatabase): Promise<void> {
    await stockFiles(template);
    const spare = spareOf(template.database);
    if (await this.#cluster.has(spare)) return;
    const unfinished = `${spare}_new`;
    await this.#drop(unfinished);
    const login = { database: unfinished, role: unfinished, password: randomSecret() };
    await this.#cluster.ensureRole(login.role, login.password);
    await cloneDatabase(this.#cluster, template.database, login);
    const [from, to] = [unfinished, spare].map(escapeIdentifier);
    await this.#cluster.administer((client) =>
      inTransaction(client, [
        `ALTER ROLE ${from} WITH NOLOGIN PASSWORD NULL`,
        `ALTER DATABASE ${from} RENAME TO ${to}`,
        `ALTER ROLE ${from} RENAME TO ${to}`,
      ]),
    );
  }

  /** Makes new spares in place of those that were given away. What fails is made good by the next stock(). */
  async restock(): Promise<void> {
    for (const [name, template] of [...this.#taken]) {
      this.#taken.delete(name);
      await this.stock(template);
    }
  }

  /**
   * Gives a template's spare away: the database and the role that owns all in it get these names, and the way in.
   * @returns whether there was one. Of two who ask for the last, one gets it.
   */
  async take(template: TemplateDatabase, to: TenantLogin): Promise<boolean> {
    const [spare, database, role] = [spareOf(template.database), to.database, to.role].map(
      escapeIdentifier,
    );
    try {
      await this.#cluster.administer((client) =>
        inTransaction(client, [
          `ALTER DATABASE ${spare} RENAME TO ${database}`,
          `ALTER ROLE ${spare} RENAME TO ${role}`,
          `ALTER ROLE ${role} WITH ${loginRights(to.password)}`,
          admitted(to.role, to.database),
        ]),
      );
      this.#taken.set(template.database, template);
      return true;
    } catch (error) {
      if (error instanceof DatabaseError && NOT_TO_BE_HAD.has(error.code ?? '')) return false;
      throw error;
    }
  }

  /** Gives the copy of a template's files away, as the folder `to`, which must not exist yet. @returns whether there was one */
  async takeFiles(template: TemplateDatabase, to: string): Promise<boolean> {
    return rename(join(template.filestoreDir, spareOf(template.database)), to).then(() => {
      this.#taken.set(template.database, template);
      return true;
    }, unlessAbsent);
  }

  /** Drops the database of a template's spare, whole or half-made. */
  async remove(template: string): Promise<void> {
    await this.#drop(spareOf(template));
    await this.#drop(`${spareOf(template)}_new`);
  }

  async #drop(name: string): Promise<void> {
    await this.#cluster.drop(name);
    await this.#cluster.dropRole(name);
  }
}

/** They belong to whom the template's belong to: its Odoo's user is that of the instances. */
async function stockFiles({ database, filestoreDir }: TemplateDatabase): Promise<void> {
  const files = join(filestoreDir, database);
  const spare = join(filestoreDir, spareOf(database));
  const owner = await lstat(files).catch(unlessAbsent);
  if (!owner || (await lstat(spare).catch(unlessAbsent))) return;
  const unfinished = `${spare}_new`;
  await rm(unfinished, { recursive: true, force: true });
  await copyTree(files, unfinished, owner);
  await rename(unfinished, spare);
}

function unlessAbsent(error: NodeJS.ErrnoException): false {
  if (error.code === 'ENOENT') return false;
  throw error;
}

/**
 * Clones a template database for a role, which comes to own everything in it. It does that itself, and has the template's rights for
 * the moment: REASSIGN OWNED by the administrator would be a visit to a database that modules have filled.
 */
export async function cloneDatabase(
  cluster: Cluster,
  template: string,
  to: TenantLogin,
): Promise<void> {
  const [from, role] = [template, to.role].map(escapeIdentifier);
  await cluster.create(to.database, to.role, template);
  await cluster.administer((client) => client.query(`GRANT ${from} TO ${role}`));
  try {
    await cluster.enter(to, MAKING, (session) =>
      // It also moves every database a role owns, so the role of a template owns none (freeze()).
      session.run(`REASSIGN OWNED BY ${from} TO ${role}`),
    );
  } finally {
    await cluster.administer((client) => client.query(`REVOKE ${from} FROM ${role}`));
  }
}

/** The name that says: a spare, or the beginning of one. */
export function isSpare(database: string): boolean {
  return /_spare(_new)?$/.test(database);
}

function spareOf(template: string): string {
  return `${template}_spare`;
}
