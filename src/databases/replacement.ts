import { randomBytes } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import type { DesiredInstance, PostgresServer } from '../instance/types.ts';
import { admitted, type Cluster, inTransaction } from '../postgres/cluster.ts';
import { MAKING, type TenantLogin, TOUCH } from '../postgres/tenant-session.ts';
import { renewUrl } from './base-url.ts';
import { markDatabase } from './database-mark.ts';
import type { Specs } from './database-spec.ts';
import type { Fill } from './new-database.ts';
import type { TenantAccess } from './tenant-access.ts';

/** How long copying a database may take, in milliseconds: 100 GB of it at 30 MB a second. */
const COPY_TIMEOUT_MS = 60 * 60_000;

export interface ReplacementsOptions {
  readonly install: string;
  readonly specs: Specs;
  readonly access: TenantAccess;
}

/**
 * Another database in the place of an instance's, and the one that it replaced, which is kept for a while. What is not complete has
 * another name than what is: `_restoring`, then `_restored`, and `_before` for what was replaced, which its tenant cannot enter.
 * Every method may be repeated after a kill.
 */
export class Replacements {
  readonly #options: ReplacementsOptions;

  constructor(options: ReplacementsOptions) {
    this.#options = options;
  }

  /**
   * Makes the database that is to replace the instance's, while that is in use.
   * @param url where the instance was when the data were its own
   * @param fill is given the server and the way in, as the tenant
   */
  async prepare(desired: DesiredInstance, url: string, fill: Fill): Promise<void> {
    const { cluster, role, spec } = await this.#of(desired);
    const database = restoring(role);
    // Not the tenant's: who is in the running instance has that one, and could write into what is restored.
    const maker = { database, role: database, password: randomBytes(18).toString('base64url') };
    await cluster.prepare();
    await this.dropPrepared(desired);
    await cluster.ensureRole(maker.role, maker.password);
    await cluster.create(database, maker.role);
    await cluster.mayMakeSchemas(database, maker.role, true);
    const make = async () => {
      await fill(cluster.server, maker);
      if (url !== spec.url)
        await cluster.enter(maker, TOUCH, (session) =>
          renewUrl(session, { from: url, to: spec.url }),
        );
      // Filling it may take hours: the password may be another one by now.
      const { dbPassword: password } = await this.#options.access.ensureRole(desired);
      await handOver(cluster, maker.role, { database, role, password });
    };
    await make().catch(async (error) => {
      // Half of a database would take its room until the next attempt.
      await dropEach(cluster, [database]);
      throw error;
    });
    await cluster.complete(database, restored(role));
  }

  /**
   * Copies the instance's database beside it, for work that may spoil the copy. The instance must not run.
   * @returns the way into the copy, as the tenant
   */
  async copy(
    desired: DesiredInstance,
  ): Promise<{ readonly server: PostgresServer; readonly login: TenantLogin }> {
    const { cluster, role } = await this.#of(desired);
    const database = restoring(role);
    await this.dropPrepared(desired);
    const { dbPassword: password } = await this.#options.access.ensureRole(desired);
    await cluster.administer((client) => client.query(admitted(role, database)));
    await cluster.disconnect(role);
    await cluster.create(database, role, role, COPY_TIMEOUT_MS);
    await cluster.mayMakeSchemas(database, role, true);
    return { server: cluster.server, login: { database, role, password } };
  }

  /** Makes the copy what is to replace the instance's database. */
  async completeCopy(desired: DesiredInstance): Promise<void> {
    const { cluster, role } = await this.#of(desired);
    const database = restoring(role);
    await cluster.disconnect(role);
    await cluster.mayMakeSchemas(database, role, false);
    await cluster.complete(database, restored(role));
  }

  /** Drops what was to replace the instance's database, unfinished or not. */
  async dropPrepared(desired: DesiredInstance): Promise<void> {
    const { cluster, role } = await this.#of(desired);
    await dropEach(cluster, [restoring(role), restored(role)]);
  }

  /** What the instance's database takes on the disk, in bytes. */
  async bytes(desired: DesiredInstance): Promise<number> {
    const { cluster, role } = await this.#of(desired);
    return cluster.bytesOf(role);
  }

  /** Makes what was replaced last what is to replace the instance's database. @returns false where there is none */
  async prepareReplaced(desired: DesiredInstance): Promise<boolean> {
    const { cluster, role } = await this.#of(desired);
    if (await cluster.has(replaced(role))) {
      await cluster.drop(restored(role));
      await cluster.rename(replaced(role), restored(role));
    }
    return cluster.has(restored(role));
  }

  /** Gives the prepared database the instance's name, and keeps the one that had it. The instance must not run. */
  async replace(desired: DesiredInstance): Promise<void> {
    const { install } = this.#options;
    const { cluster, role } = await this.#of(desired);
    await cluster.disconnect(role);
    if (await cluster.has(restored(role))) {
      if (await cluster.has(role)) {
        await cluster.drop(replaced(role));
        await cluster.rename(role, replaced(role));
      }
      // What has the instance's name is marked, at every moment.
      await markDatabase(cluster, restored(role), install, desired);
      await cluster.rename(restored(role), role);
    }
  }

  /** Drops what a replacement has left, replaced or unfinished. */
  async drop(desired: DesiredInstance): Promise<void> {
    const { cluster, role } = await this.#of(desired);
    await dropEach(cluster, leftBy(role));
  }

  async #of(desired: DesiredInstance) {
    const { access, specs } = this.#options;
    const spec = await specs.of(desired);
    const cluster: Cluster = access.clusterOf(spec);
    return { cluster, role: access.nameOf(desired), spec };
  }
}

/** Drops databases, and the roles that are called as they are. */
async function dropEach(cluster: Cluster, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await cluster.drop(name);
    await cluster.dropRole(name);
  }
}

/**
 * Gives a database that another role has made to its tenant, as cloneDatabase() does. They can enter it for that moment alone, in one
 * session: where it is not the sidecar's, the sidecar has none, and nothing is restored.
 */
async function handOver(cluster: Cluster, maker: string, to: TenantLogin): Promise<void> {
  const [from, role, name] = [maker, to.role, to.database].map(escapeIdentifier);
  await cluster.administer((client) =>
    inTransaction(client, [
      `REVOKE ALL ON DATABASE ${name} FROM ${from}`,
      `GRANT CONNECT, TEMPORARY, CREATE ON DATABASE ${name} TO ${role}`,
      `ALTER DATABASE ${name} WITH CONNECTION LIMIT 1`,
      `GRANT ${from} TO ${role}`,
    ]),
  );
  await cluster.enter(to, MAKING, async (session) => {
    await session.run(`REASSIGN OWNED BY ${from} TO ${role}`);
    // From here on pg_hba.conf lets them in no more (`samerole`).
    await cluster.administer((client) => client.query(`REVOKE ${from} FROM ${role}`));
  });
  await cluster.administer((client) =>
    inTransaction(client, [
      `REVOKE CREATE ON DATABASE ${name} FROM ${role}`,
      `ALTER DATABASE ${name} WITH CONNECTION LIMIT -1`,
    ]),
  );
}

const restoring = (role: string) => `${role}_restoring`;
const restored = (role: string) => `${role}_restored`;
const replaced = (role: string) => `${role}_before`;

/** The names of all that a replacement can leave beside an instance's database. */
export function leftBy(role: string): string[] {
  return [restoring(role), restored(role), replaced(role)];
}
