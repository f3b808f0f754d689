import { lstat, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseError, escapeIdentifier } from 'pg';
import { unlessAbsent } from '../host/files.ts';
import { randomSecret } from '../host/password-hash.ts';
import { copyTree } from '../host/trees.ts';
import { admitted, type Cluster, inTransaction, loginRights } from '../postgres/cluster.ts';
import { MAKING, type TenantLogin } from '../postgres/tenant-session.ts';
import type { TemplateDatabase } from './template-database.ts';

/**
 * SQLSTATEs that mean: clone the template instead. There is no spare clone or role, a connection is still open on it, or the
 * instance's role exists already (an earlier attempt was interrupted).
 */
const SPARE_UNAVAILABLE = new Set(['3D000', '42704', '55006', '42710']);

/**
 * Keeps one spare clone of each template database, with a role that owns its content and a copy of its files (ADR 7). Cloning
 * seventy modules takes 0.2 s when the template is cached in memory and 2 s from disk, reassigning ownership 0.1 s and copying
 * the files 0.1 s, all while the processors should start the customer's Odoo. Renaming a spare clone is immediate.
 */
export class ClonePool {
  readonly #cluster: Cluster;
  /** Templates whose spare clone was taken since restock(). */
  readonly #taken = new Map<string, TemplateDatabase>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Makes the spare clone of a template that has none. Idempotent: only what has the final name is complete. */
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

  /** Replaces the spare clones that were taken. A failure is repaired by the next stock(). */
  async restock(): Promise<void> {
    for (const [name, template] of [...this.#taken]) {
      this.#taken.delete(name);
      await this.stock(template);
    }
  }

  /**
   * Takes a template's spare clone: renames the database and the role that owns its content, and lets the role log in.
   * @returns whether there was one. Of two concurrent callers, one gets it.
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
      if (error instanceof DatabaseError && SPARE_UNAVAILABLE.has(error.code ?? '')) return false;
      throw error;
    }
  }

  /** Takes the spare copy of a template's files by moving it to `to`, which must not exist. @returns whether there was one */
  async takeFiles(template: TemplateDatabase, to: string): Promise<boolean> {
    return rename(join(template.filestoreDir, spareOf(template.database)), to).then(() => {
      this.#taken.set(template.database, template);
      return true;
    }, unlessAbsent);
  }

  /** Drops the spare clone of a template, complete or unfinished. */
  async remove(template: string): Promise<void> {
    await this.#drop(spareOf(template));
    await this.#drop(`${spareOf(template)}_new`);
  }

  async #drop(name: string): Promise<void> {
    await this.#cluster.drop(name);
    await this.#cluster.dropRole(name);
  }
}

/** The files keep the template's owner: its Odoo runs as the same user as the instances'. */
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

/**
 * Clones a template database for a role, which becomes the owner of its content. The role itself runs REASSIGN OWNED, as a
 * temporary member of the template's role: the administrator must not enter a database that modules have filled (ADR 9).
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

/** Whether a database's name is that of a spare clone, or of an unfinished one. */
export function isSpare(database: string): boolean {
  return /_spare(_new)?$/.test(database);
}

function spareOf(template: string): string {
  return `${template}_spare`;
}
