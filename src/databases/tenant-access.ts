import { databaseName } from '../instance/name.ts';
import type { DesiredInstance } from '../instance/types.ts';
import { Cluster } from '../postgres/cluster.ts';
import {
  LOOK,
  type SessionPurpose,
  type TenantLogin,
  type TenantSession,
  TOUCH,
} from '../postgres/tenant-session.ts';
import { adminLogin } from './admin-login.ts';
import { renewUrl } from './base-url.ts';
import { markDatabase } from './database-mark.ts';
import type { DatabaseSpec, Specs } from './database-spec.ts';
import { type Invitation, invitationLink } from './invitation.ts';
import { nextWork } from './next-work.ts';
import { makeReadable } from './readable.ts';

export interface TenantAccessOptions {
  readonly install: string;
  /** The host's shared Postgres. */
  readonly shared: Cluster;
  readonly specs: Specs;
}

/** The way into the databases of instances that have run: always as the tenant (ADR 9). */
export class TenantAccess {
  readonly #options: TenantAccessOptions;

  constructor(options: TenantAccessOptions) {
    this.#options = options;
  }

  /** The name of the instance's database, and of the role that owns all in it. */
  nameOf({ id }: Pick<DesiredInstance, 'id'>): string {
    return databaseName(this.#options.install, id);
  }

  /** The server on which the instance's database lives. */
  clusterOf({ own }: Pick<DatabaseSpec, 'own'>): Cluster {
    return own ? new Cluster(own) : this.#options.shared;
  }

  /** See Databases.setUrl(). */
  async setUrl(desired: DesiredInstance): Promise<void> {
    const { instanceUrl: from } = desired;
    const spec = await this.#options.specs.of(desired);
    await this.#takeOver(this.clusterOf(spec), desired);
    if (!from || from === spec.url) return;
    await this.#enter(desired, TOUCH, (session) => renewUrl(session, { from, to: spec.url }));
  }

  /** See Databases.invitation(). */
  async invitation(desired: DesiredInstance): Promise<Invitation> {
    const { url } = await this.#options.specs.of(desired);
    return this.#enter(desired, TOUCH, (session) =>
      invitationLink(session, url, Math.floor(Date.now() / 1000)),
    );
  }

  /** The login of the instance's administrator, as it is now. */
  adminLogin(desired: DesiredInstance): Promise<string> {
    return this.#enter(desired, LOOK, adminLogin);
  }

  /** See Databases.nextWork(). */
  nextWork(desired: DesiredInstance): Promise<Date | 'always' | null> {
    return this.#enter(desired, LOOK, nextWork);
  }

  /** The way in for who copies all of an instance's database while the instance does not run. */
  async loginForArchive(
    desired: DesiredInstance,
  ): Promise<TenantLogin & { readonly socketDir: string }> {
    const spec = await this.#options.specs.of(desired);
    const cluster = this.clusterOf(spec);
    await this.#takeOver(cluster, desired);
    // What is left of its connections may hold locks.
    await cluster.disconnect(this.nameOf(desired));
    await this.#enter(desired, TOUCH, makeReadable);
    return { ...this.#loginOf(desired, spec), socketDir: cluster.address.socketDir };
  }

  /** Of a database that is this instance's. Its mark, which a tenant could write as long as they owned it, is made again. */
  async #takeOver(cluster: Cluster, desired: DesiredInstance): Promise<void> {
    const name = this.nameOf(desired);
    if (await cluster.takeOver(name, name))
      await markDatabase(cluster, name, this.#options.install, desired);
  }

  /** Runs `work` in the database of an instance that has run, as its role. */
  async #enter<T>(
    desired: DesiredInstance,
    purpose: SessionPurpose,
    work: (session: TenantSession) => Promise<T>,
  ): Promise<T> {
    const spec = await this.#options.specs.of(desired);
    const login = this.#loginOf(desired, spec);
    const cluster = this.clusterOf(spec);
    await cluster.ensureRole(login.role, login.password);
    return cluster.enter(login, purpose, work);
  }

  #loginOf(desired: DesiredInstance, { dbPassword: password }: DatabaseSpec): TenantLogin {
    const name = this.nameOf(desired);
    return { database: name, role: name, password };
  }
}
