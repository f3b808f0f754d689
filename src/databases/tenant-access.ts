import { z } from 'zod';
import { databaseName } from '../instance/name.ts';
import { Turns } from '../instance/turns.ts';
import type { DesiredInstance, PostgresServer } from '../instance/types.ts';
import type { OdooSession } from '../interfaces.ts';
import { Cluster } from '../postgres/cluster.ts';
import {
  HOLDING,
  LOOK,
  type SessionPurpose,
  type TenantLogin,
  type TenantSession,
  TOUCH,
} from '../postgres/tenant-session.ts';
import { adminLogin } from './admin-login.ts';
import { renewUrl } from './base-url.ts';
import { countRows } from './count-rows.ts';
import { countUsers } from './count-users.ts';
import { markDatabase } from './database-mark.ts';
import type { DatabaseEntry, DatabaseSpec, Specs } from './database-spec.ts';
import { type Invitation, invitationLink } from './invitation.ts';
import { nextWork } from './next-work.ts';
import { odooSession } from './odoo-session.ts';
import { makeReadable } from './readable.ts';
import { limitUsers } from './user-limit.ts';

/** A database as of one moment. */
export interface HeldDatabase {
  /** The way in, as the tenant. */
  readonly login: TenantLogin & PostgresServer;
  /** For pg_dump. */
  readonly snapshot: string;
  /** How many rows some tables have: see countRows(). */
  readonly rows: Readonly<Record<string, number>>;
  /** What the database takes on the disk. */
  readonly bytes: number;
  /** The image of its Odoo and the major version of that, null where it is not known; and where people reach it. */
  readonly image: string;
  readonly odoo: number | null;
  readonly url: string;
}

/** What a database uses. Null: it could not be found out in the time for it. */
export interface DatabaseUse {
  /** On the disk. */
  readonly bytes: number | null;
  readonly users: number | null;
}

/** How long Postgres may count what a database takes, in milliseconds. */
const COUNT_BYTES_MS = 5_000;

export interface TenantAccessOptions {
  readonly install: string;
  /** The host's shared Postgres. */
  readonly shared: Cluster;
  readonly specs: Specs;
}

/** The way into the databases of instances that have run: always as the tenant (ADR 9). */
export class TenantAccess {
  readonly #options: TenantAccessOptions;
  /** Reading an instance's password and giving it to the role: an older one, read before a newer one was given, would be let in again. */
  readonly #passwords = new Turns<number>();

  constructor(options: TenantAccessOptions) {
    this.#options = options;
  }

  /** The name of the instance's database, and of the role that owns all in it. */
  nameOf({ id }: Pick<DesiredInstance, 'id'>): string {
    return databaseName(this.#options.install, id);
  }

  /** The server on which the instance's database lives. */
  clusterOf({ own }: Pick<DatabaseEntry, 'own'>): Cluster {
    return own ? new Cluster(own) : this.#options.shared;
  }

  /** See Databases.setUrl(). */
  async setUrl(desired: DesiredInstance): Promise<void> {
    const { instanceUrl: from } = desired;
    const spec = await this.#options.specs.of(desired);
    await this.#takeOver(this.clusterOf(spec), desired);
    if (!from || from === spec.url) return;
    await this.enter(desired, TOUCH, (session) => renewUrl(session, { from, to: spec.url }));
  }

  /** See Databases.limitUsers(). */
  limitUsers(desired: DesiredInstance): Promise<void> {
    const name = this.nameOf(desired);
    return this.enter(desired, TOUCH, (session) => limitUsers(session, name, desired.userLimit));
  }

  /** See Databases.invitation(). */
  async invitation(desired: DesiredInstance): Promise<Invitation> {
    const { url } = await this.#options.specs.of(desired);
    return this.enter(desired, TOUCH, (session) =>
      invitationLink(session, url, Math.floor(Date.now() / 1000)),
    );
  }

  /** See Databases.odooSession(). */
  odooSession(
    desired: DesiredInstance,
    who: { readonly login: string; readonly endsAt: number | null },
  ): Promise<OdooSession | null> {
    const asked = { ...who, database: this.nameOf(desired), now: Math.floor(Date.now() / 1000) };
    return this.enter(desired, LOOK, (session) => odooSession(session, asked));
  }

  /** The login of the instance's administrator, as it is now. */
  adminLogin(desired: DesiredInstance): Promise<string> {
    return this.enter(desired, LOOK, adminLogin);
  }

  /** See Databases.nextWork(). */
  nextWork(desired: DesiredInstance): Promise<Date | 'always' | null> {
    return this.enter(desired, LOOK, nextWork);
  }

  /** What the database of a running instance uses. Whatever its tenant does to it, this takes seconds and never throws. */
  async use(id: number, hasOwnDatabase: boolean): Promise<DatabaseUse> {
    const unknown = () => null;
    const entry = await this.#options.specs.entryOf(id, hasOwnDatabase).catch(unknown);
    if (entry === null) return { bytes: null, users: null };
    const cluster = this.clusterOf(entry);
    const name = this.nameOf({ id });
    const login = { database: name, role: name, password: entry.dbPassword };
    const [bytes, users] = await Promise.all([
      cluster.bytesOf(name, COUNT_BYTES_MS).catch(unknown),
      cluster.enter(login, LOOK, countUsers).catch(unknown),
    ]);
    return { bytes, users };
  }

  /**
   * Lets nobody into the shared server's database of an instance who does not have this password, from now on.
   * @param password reads or renews it, while nobody else gives the role another one
   */
  shutOut(instance: Pick<DesiredInstance, 'id'>, password: () => Promise<string>): Promise<void> {
    return this.#passwords.take(instance.id, async () =>
      this.#options.shared.shutOut(this.nameOf(instance), await password()),
    );
  }

  /** Makes the instance's role, or gives it its password again: the one that is in force now. @returns with which it was */
  ensureRole(desired: DesiredInstance): Promise<DatabaseSpec> {
    return this.#passwords.take(desired.id, async () => {
      const spec = await this.#options.specs.of(desired);
      await this.clusterOf(spec).ensureRole(this.nameOf(desired), spec.dbPassword);
      return spec;
    });
  }

  /** Ends all connections to the database of an instance that does not run: what is left of them may hold locks. */
  async disconnect(desired: DesiredInstance): Promise<void> {
    const spec = await this.#options.specs.of(desired);
    await this.clusterOf(spec).disconnect(this.nameOf(desired));
  }

  /**
   * Runs `work` while the database is held for a backup: the data are those of one moment, and Odoo's garbage collection of files,
   * which takes `SHARE` on the table of attachments (ir_attachment.py, `_gc_file_store_unsafe`), waits: whatever file the data name is
   * there until `work` has ended. Writing goes on meanwhile.
   * @throws TenantDatabaseError also where the tenant has ended it meanwhile: what was copied is no backup then
   */
  async heldForBackup<T>(
    desired: DesiredInstance,
    work: (held: HeldDatabase) => Promise<T>,
  ): Promise<T> {
    const spec = await this.#options.specs.of(desired);
    const cluster = this.clusterOf(spec);
    await this.#takeOver(cluster, desired);
    await this.enter(desired, TOUCH, makeReadable);
    const login = { ...this.#loginOf(desired, spec), ...cluster.server };
    const bytes = await cluster.bytesOf(login.database);
    // Before anything is held: the image may have to be asked.
    const runs = await this.#options.specs.runs(desired);
    return this.enter(desired, HOLDING, async (session) => {
      await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await session.run('LOCK TABLE public.ir_attachment IN ROW EXCLUSIVE MODE');
      const [exported] = await session.rows(
        z.object({ snapshot: z.string().regex(/^[0-9A-F-]{1,40}$/) }),
        'SELECT pg_export_snapshot() AS snapshot',
      );
      const rows = await countRows(session);
      const snapshot = exported?.snapshot ?? '';
      const result = await work({ login, rows, snapshot, bytes, ...runs, url: spec.url });
      await session.run('COMMIT');
      return result;
    });
  }

  /** Of a database that is this instance's. Its mark, which a tenant could write as long as they owned it, is made again. */
  async #takeOver(cluster: Cluster, desired: DesiredInstance): Promise<void> {
    const name = this.nameOf(desired);
    if (await cluster.takeOver(name, name))
      await markDatabase(cluster, name, this.#options.install, desired);
  }

  /** Runs `work` in the database of an instance that has run, as its role. */
  async enter<T>(
    desired: DesiredInstance,
    purpose: SessionPurpose,
    work: (session: TenantSession) => Promise<T>,
  ): Promise<T> {
    const spec = await this.ensureRole(desired);
    return this.clusterOf(spec).enter(this.#loginOf(desired, spec), purpose, work);
  }

  #loginOf(desired: DesiredInstance, { dbPassword: password }: DatabaseSpec): TenantLogin {
    const name = this.nameOf(desired);
    return { database: name, role: name, password };
  }
}
