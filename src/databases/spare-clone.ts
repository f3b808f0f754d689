import { DatabaseError, escapeIdentifier } from 'pg';
import type { Cluster } from './cluster.ts';

/** There is none, somebody is connected to it just now, or the role is there already (what was begun before is gone on with). */
const NOT_TO_BE_HAD = new Set(['3D000', '42704', '55006', '42710']);

/**
 * A clone of each template database, with a role that owns all that is in it, waiting for the next customer. Cloning seventy
 * modules takes 0.2 s when the template lies in memory and 2 s when it has to be read from disk, as it has to when the last sale
 * was an hour ago; giving all of it to another role takes 0.1 s. A new name for both is at once.
 */
export class SpareClones {
  readonly #cluster: Cluster;
  /** Templates whose spare was given away since restock(). */
  readonly #taken = new Set<string>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Makes a spare of a template that has none. May be repeated; only what has the final name is complete. */
  async stock(template: string): Promise<void> {
    const spare = spareOf(template);
    if (await this.#cluster.has(spare)) return;
    const unfinished = `${spare}_new`;
    await this.#drop(unfinished);
    await this.#cluster.connected('postgres', (client) =>
      client.query(`CREATE ROLE ${escapeIdentifier(unfinished)} NOLOGIN`),
    );
    await cloneDatabase(this.#cluster, template, unfinished, unfinished);
    await renameBoth(this.#cluster, unfinished, { database: spare, role: spare });
  }

  /** Makes new spares in place of those that were given away. What fails is made good by the next stock(). */
  async restock(): Promise<void> {
    for (const template of [...this.#taken]) {
      this.#taken.delete(template);
      await this.stock(template);
    }
  }

  /**
   * Gives a template's spare away: the database and the role that owns it get these names.
   * @returns whether there was one. Of two who ask for the last, one gets it.
   */
  async take(template: string, to: { database: string; role: string }): Promise<boolean> {
    try {
      await renameBoth(this.#cluster, spareOf(template), to);
      this.#taken.add(template);
      return true;
    } catch (error) {
      if (error instanceof DatabaseError && NOT_TO_BE_HAD.has(error.code ?? '')) return false;
      throw error;
    }
  }

  /** Drops a template's spare, whole or half-made. */
  async remove(template: string): Promise<void> {
    await this.#drop(spareOf(template));
    await this.#drop(`${spareOf(template)}_new`);
  }

  async #drop(name: string): Promise<void> {
    await this.#cluster.drop(name);
    await this.#cluster.dropRole(name);
  }
}

/** Clones a template database for a role, which owns it and everything in it. */
export async function cloneDatabase(
  cluster: Cluster,
  template: string,
  clone: string,
  owner: string,
): Promise<void> {
  const [from, role] = [template, owner].map(escapeIdentifier);
  await cluster.create(clone, owner, `TEMPLATE ${from}`);
  await cluster.connected(clone, (client) =>
    // It also moves every database a role owns, so the role of a template owns none (createEmpty()).
    client.query(`REASSIGN OWNED BY ${from} TO ${role}`),
  );
}

/** A database and its role of the same name; both or neither. */
async function renameBoth(
  cluster: Cluster,
  from: string,
  to: { readonly database: string; readonly role: string },
): Promise<void> {
  const [spare, database, role] = [from, to.database, to.role].map(escapeIdentifier);
  await cluster.connected('postgres', async (client) => {
    await client.query('BEGIN');
    await client.query(`ALTER DATABASE ${spare} RENAME TO ${database}`);
    await client.query(`ALTER ROLE ${spare} RENAME TO ${role}`);
    await client.query('COMMIT');
  });
}

/** The name that says: a spare, or the beginning of one. */
export function isSpare(database: string): boolean {
  return /_spare(_new)?$/.test(database);
}

function spareOf(template: string): string {
  return `${template}_spare`;
}
