import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConfigError, foreignData, RetryableError, TerminalError } from '../errors.ts';
import { copyTree, type Owner as FileOwner } from '../host/copy-tree.ts';
import { databaseName, instanceOfDatabase } from '../instance/name.ts';
import type {
  DesiredInstance,
  EffectiveState,
  ObservedInstance,
  Owner,
  Plan,
} from '../instance/types.ts';
import type { ClonedDatabase, Databases } from '../interfaces.ts';
import { admitted, Cluster, type ClusterAddress } from '../postgres/cluster.ts';
import { InstallLock } from '../postgres/install-lock.ts';
import { openTransactionsOver } from '../postgres/open-transactions.ts';
import {
  LOOK,
  MAKING,
  type SessionPurpose,
  type TenantLogin,
  type TenantSession,
  TOUCH,
} from '../postgres/tenant-session.ts';
import { adminLogin } from './admin-login.ts';
import { renewUrl } from './base-url.ts';
import { ClonePool, cloneDatabase } from './clone-pool.ts';
import { databaseNumbers, databaseOwner, markDatabase } from './database-mark.ts';
import { type Invitation, invitationLink } from './invitation.ts';
import type { PasswordPool } from './password-pool.ts';
import { personalise, renewParameters } from './personalise.ts';
import { makeReadable } from './readable.ts';
import {
  hasServer,
  isWrongPassword,
  type PostgresImage,
  type RunServer,
  type ServerSource,
  ServerTemplates,
  serverHash,
  spareIn,
  writeHba,
} from './server-template.ts';
import { type OdooInit, type TemplateDatabase, TemplateDatabases } from './template-database.ts';
import { type TemplateKey, templateHash } from './template-key.ts';
import type { TemplateMetadata } from './template-metadata.ts';

/** Where one instance's database lives and what it is to be made from. */
export interface DatabaseSpec {
  /** The instance's own Postgres, or null for the host's shared one. */
  readonly own:
    | (ClusterAddress & {
        readonly postgres: PostgresImage;
        /** The instance's directory, and that of its Postgres' data. */
        readonly directory: string;
        readonly pgdata: string;
      })
    | null;
  readonly image: string;
  readonly imageId: string;
  /** The user that Odoo runs as in this image. */
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly filestoreDir: string;
  readonly dbPassword: string;
  readonly adminLogin: string;
  readonly adminPassword: string;
  readonly url: string;
}

export interface OdooDatabasesOptions {
  readonly install: string;
  readonly shared: ClusterAddress;
  /** Holds the filestores of the shared server's template databases. */
  readonly templatesDir: string;
  /** Holds prepared data directories for instances with a Postgres of their own. */
  readonly ownTemplatesDir: string;
  readonly init: OdooInit;
  readonly runServer: RunServer;
  readonly flush: (folder: string) => Promise<void>;
  readonly passwords: PasswordPool;
  readonly specOf: (desired: DesiredInstance) => Promise<DatabaseSpec>;
  /** What a template's instances are made from; `postgres` is null when they share the host's. */
  readonly sourceOf: (templateCode: string) => Promise<{
    readonly image: string;
    readonly imageId: string;
    readonly owner: FileOwner;
    readonly postgres: PostgresImage | null;
  }>;
  /** The id that an image's tag has on this machine now; null when it is not here. */
  readonly currentImageId: (image: string) => Promise<string | null>;
}

/** A clone, and all that is needed to make it the customer's own. */
interface InstanceClone extends ClonedDatabase {
  readonly cluster: Cluster;
  readonly login: TenantLogin;
  readonly place: DatabaseSpec;
  readonly key: TemplateKey;
  /** Where its files are copied from; null: they came with its own Postgres. */
  readonly template: TemplateDatabase | null;
}

/** The customers' databases: cloned from template databases, on the shared Postgres or on an instance's own. */
export class OdooDatabases implements Databases {
  readonly #options: OdooDatabasesOptions;
  readonly #shared: Cluster;
  readonly #spares: ClonePool;
  readonly #templates: TemplateDatabases;
  readonly #servers: ServerTemplates;

  constructor(options: OdooDatabasesOptions) {
    this.#options = options;
    this.#shared = new Cluster(options.shared, { keepConnections: true });
    this.#spares = new ClonePool(this.#shared);
    const { flush, init, install, runServer } = options;
    this.#templates = new TemplateDatabases({
      install,
      cluster: this.#shared,
      dir: options.templatesDir,
      containerPrefix: `ms-${install}-template`,
      init,
    });
    this.#servers = new ServerTemplates({
      ...{ install, init, runServer, flush },
      dir: options.ownTemplatesDir,
    });
  }

  /** Whether the shared server answers; throws RetryableError when it does not. */
  async ping(): Promise<void> {
    await this.#shared.administer((client) => client.query('SELECT 1'));
  }

  /** Makes this the only sidecar of its install; see InstallLock. */
  async lockInstall(
    stop: AbortSignal,
    onStolen: (error: ConfigError) => void,
  ): Promise<InstallLock> {
    const lock = new InstallLock(this.#options.shared, this.#options.install);
    await lock.take(stop, onStolen);
    return lock;
  }

  async prepare(plan: Plan, signal: AbortSignal): Promise<void> {
    const { image, imageId, owner, postgres } = await this.#options.sourceOf(plan.templateCode);
    if (!postgres) await this.#shared.prepare();
    for (const key of keysOf(plan, imageId)) {
      if (postgres) {
        await this.#servers.stock({ image, owner, postgres, key }, signal);
        continue;
      }
      const template = await this.#templates.ensure(image, key, () => {}, signal);
      await this.#spares.stock(template);
    }
    await this.#options.passwords.restock();
  }

  async restock(): Promise<void> {
    await this.#spares.restock();
    await this.#servers.restock(new AbortController().signal);
    await this.#options.passwords.restock();
  }

  async trim(plans: readonly Plan[]): Promise<string[]> {
    const { currentImageId, sourceOf } = this.#options;
    const wanted = new Set<string>();
    for (const plan of plans) {
      try {
        const { image, imageId, owner, postgres } = await sourceOf(plan.templateCode);
        for (const key of keysOf(plan, imageId))
          wanted.add(postgres ? serverHash({ image, owner, postgres, key }) : templateHash(key));
      } catch (error) {
        if (!(error instanceof TerminalError)) throw error;
        // Nothing can be built for it, so it wants nothing; why is said when it is prepared.
      }
    }
    await this.#shared.dropRemovedRoles();
    const isStale = async ({ image, imageId }: TemplateMetadata) =>
      ((await currentImageId(image)) ?? imageId) !== imageId;
    const now = new Date();
    return [
      ...(await this.#templates.trim(wanted, isStale, now)),
      ...(await this.#servers.trim(wanted, isStale, now)),
    ];
  }

  /** The final name exists only once the clone is complete: half-made ones have another. */
  async observe(
    desired: DesiredInstance,
    state: EffectiveState,
  ): Promise<ObservedInstance['database']> {
    // Its directory, template and own Postgres may be gone already.
    if (state === 'purged') return this.#stateOn(this.#shared, desired);
    const place = await this.#options.specOf(desired);
    try {
      return await this.#stateOn(this.#clusterOf(place), desired);
    } catch (error) {
      // A fresh copy that was started, and not adopted yet, has its template's password.
      if (place.own && (error instanceof RetryableError || isWrongPassword(error)))
        return 'offline';
      throw error;
    }
  }

  async list(): Promise<ReadonlySet<number>> {
    const names = await this.#shared.names();
    return new Set(names.flatMap((name) => instanceOfDatabase(this.#options.install, name) ?? []));
  }

  /** A Postgres of its own lies in the instance's directory: the mark there speaks for what has none. */
  async #stateOn(
    cluster: Cluster,
    desired: DesiredInstance,
  ): Promise<ObservedInstance['database']> {
    const owner = await this.#ownerOn(cluster, desired);
    if (owner === 'nobody') return 'absent';
    if (owner === 'own' || (owner === 'unmarked' && cluster !== this.#shared)) return 'ready';
    return owner;
  }

  #ownerOn(cluster: Cluster, desired: DesiredInstance): Promise<Owner> {
    return databaseOwner(cluster, this.#nameOf(desired), this.#options.install, desired);
  }

  async adopt(desired: DesiredInstance): Promise<void> {
    if ((await this.#ownerOn(this.#shared, desired)) === 'unmarked')
      await markDatabase(this.#shared, this.#nameOf(desired), this.#options.install, desired);
  }

  async numbers(): Promise<number[]> {
    return databaseNumbers(this.#shared, this.#options.install);
  }

  async setUrl(desired: DesiredInstance): Promise<void> {
    const { instanceUrl: from } = desired;
    const place = await this.#options.specOf(desired);
    await this.#takeOver(this.#clusterOf(place), desired);
    if (!from || from === place.url) return;
    await this.#asTenant(desired, TOUCH, (session) => renewUrl(session, { from, to: place.url }));
  }

  async awaitServer(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const { own } = await this.#options.specOf(desired);
    if (own) await this.#servers.adopt(own.socketDir, own.password, signal);
    else await this.#shared.awaitAnswer(signal);
  }

  async prepareFor(
    desired: DesiredInstance,
    progress: (reason: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const place = await this.#options.specOf(desired);
    const onBuild = () => progress('PreparingTemplate');
    const { image, own, owner } = place;
    const key = keyOf(desired, place.imageId);
    if (own === null) {
      await this.#shared.prepare();
      await this.#templates.ensure(image, key, onBuild, signal);
      return;
    }
    if (!desired.wasReady) {
      const source: ServerSource = { image, owner, postgres: own.postgres, key };
      const { directory, pgdata } = own;
      const filestore = join(place.filestoreDir, this.#nameOf(desired));
      await this.#servers.place(source, { directory, pgdata, filestore }, onBuild, signal);
    }
    if (await hasServer(own.pgdata)) await writeHba(own.pgdata, own.postgres.user);
  }

  async awaitRequests(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const place = await this.#options.specOf(desired);
    await openTransactionsOver(this.#clusterOf(place), this.#nameOf(desired), signal);
  }

  async clone(
    desired: DesiredInstance,
    progress: (reason: string) => void,
    signal: AbortSignal,
  ): Promise<InstanceClone> {
    const place = await this.#options.specOf(desired);
    const key = keyOf(desired, place.imageId);
    const role = this.#nameOf(desired);
    const database = `${role}_new`;
    const login = { database, role, password: place.dbPassword };
    const cluster = this.#clusterOf(place);
    const clone = { database, cluster, login, place, key };
    if (place.own) {
      await this.#takeOwn(cluster, login, key);
      return { ...clone, template: null };
    }
    await cluster.prepare();
    const onBuild = () => progress('PreparingTemplate');
    return this.#templates.using(place.image, key, onBuild, signal, async (template) => {
      // Its role is somebody's, and would be made anew below.
      if (await cluster.has(role)) throw new Error(`the database ${role} exists already`);
      await cluster.drop(database);
      await this.#spareOrClone(template, login);
      return { ...clone, template };
    });
  }

  async personalise(
    desired: DesiredInstance,
    { cluster, key, login, place, template }: InstanceClone,
  ): Promise<void> {
    const copyFiles = async () => {
      if (template) await this.#copyFiles(template, desired, place);
    };
    const [passwordHash] = await Promise.all([
      this.#options.passwords.hashOf(place.adminPassword),
      this.#templates.hold(key, copyFiles),
    ]);
    await cluster.enter(login, MAKING, (session) =>
      personalise(session, {
        ...desired.customer,
        url: place.url,
        login: place.adminLogin,
        passwordHash,
      }),
    );
    await this.#complete(cluster, login.database, desired);
  }

  /** Its server began as a copy, with a database and files that wait for their tenant. What was begun before is gone on with. */
  async #takeOwn(cluster: Cluster, login: TenantLogin, key: TemplateKey): Promise<void> {
    if (await cluster.has(login.database)) await cluster.ensureRole(login.role, login.password);
    else if (!(await new ClonePool(cluster).take(spareIn(this.#options.install, key), login)))
      throw new TerminalError(
        'PostgresUnavailable',
        "The instance's own Postgres was not made from this plan's template. It has no data of the customer's: stop its containers and move its folder pgdata away, then press Start.",
      );
  }

  async #copyFiles(
    template: TemplateDatabase,
    desired: DesiredInstance,
    { filestoreDir, owner }: DatabaseSpec,
  ): Promise<void> {
    const filestore = join(filestoreDir, this.#nameOf(desired));
    await rm(filestore, { recursive: true, force: true });
    await mkdir(filestoreDir, { recursive: true });
    if (await this.#spares.takeFiles(template, filestore)) return;
    await copyTree(join(template.filestoreDir, template.database), filestore, owner);
  }

  async invitation(desired: DesiredInstance): Promise<Invitation> {
    const { url } = await this.#options.specOf(desired);
    return this.#asTenant(desired, TOUCH, (session) =>
      invitationLink(session, url, Math.floor(Date.now() / 1000)),
    );
  }

  /**
   * Makes an instance's database again, from what `fill` puts into an empty one.
   * @param options `isCopy`: another instance may have the same data, and must not share its secrets
   * @param fill is given the server and the way in, as the tenant
   * @throws TerminalError('DatabaseExists') when the instance has one
   */
  async restore(
    desired: DesiredInstance,
    options: { readonly isCopy: boolean },
    fill: (server: { readonly socketDir: string }, login: TenantLogin) => Promise<void>,
  ): Promise<void> {
    const place = await this.#options.specOf(desired);
    const cluster = this.#clusterOf(place);
    const role = this.#nameOf(desired);
    const database = `${role}_new`;
    if (await cluster.has(role))
      throw new TerminalError(
        'DatabaseExists',
        'The instance has its database already. Press Start in Odoo to run it.',
      );
    const login = { database, role, password: place.dbPassword };
    await cluster.prepare();
    await cluster.drop(database);
    await this.#newRole(cluster, login);
    await cluster.create(database, role);
    // An archive may have schemas and extensions of the tenant's own.
    await cluster.mayMakeSchemas(database, role, true);
    await fill(cluster.address, login);
    await cluster.mayMakeSchemas(database, role, false);
    if (options.isCopy)
      await cluster.enter(login, TOUCH, (session) => renewParameters(session, place.url));
    await cluster.disconnect(role);
    await this.#complete(cluster, database, desired);
  }

  /** The way in for who copies all of an instance's database while the instance does not run. */
  async loginForArchive(
    desired: DesiredInstance,
  ): Promise<TenantLogin & { readonly socketDir: string }> {
    const cluster = this.#clusterOf(await this.#options.specOf(desired));
    const name = this.#nameOf(desired);
    await this.#takeOver(cluster, desired);
    // What is left of its connections may hold locks.
    await cluster.disconnect(name);
    await this.#asTenant(desired, TOUCH, makeReadable);
    return { ...(await this.#loginOf(desired)), socketDir: cluster.address.socketDir };
  }

  /** An instance's own Postgres goes with its files. */
  async drop(desired: DesiredInstance): Promise<void> {
    const name = this.#nameOf(desired);
    const owner = await this.#ownerOn(this.#shared, desired);
    if (owner !== 'own' && owner !== 'nobody') throw foreignData('database');
    await this.#shared.drop(name);
    await this.#shared.drop(`${name}_new`);
    await this.#shared.dropRole(name);
    await this.#shared.dropRole(`${name}_new`);
  }

  async #spareOrClone(template: TemplateDatabase, login: TenantLogin): Promise<void> {
    if (await this.#spares.take(template, login)) return;
    await this.#newRole(this.#shared, login);
    await cloneDatabase(this.#shared, template.database, login);
  }

  /** A role that may do what it will as the tenant's, and enters the unfinished database. Nothing is left of an attempt that was cut off. */
  async #newRole(cluster: Cluster, { database, password, role }: TenantLogin): Promise<void> {
    for (const remains of [role, database]) await cluster.dropRole(remains);
    await cluster.ensureRole(role, password);
    await cluster.administer((client) => client.query(admitted(role, database)));
  }

  /** Of a database that is this instance's. Its mark, which a tenant could write as long as they owned it, is made again. */
  async #takeOver(cluster: Cluster, desired: DesiredInstance): Promise<void> {
    const name = this.#nameOf(desired);
    if (await cluster.takeOver(name, name))
      await markDatabase(cluster, name, this.#options.install, desired);
  }

  /** What has the final name is complete, and marked. */
  async #complete(cluster: Cluster, unfinished: string, desired: DesiredInstance): Promise<void> {
    await markDatabase(cluster, unfinished, this.#options.install, desired);
    await cluster.complete(unfinished, this.#nameOf(desired));
  }

  /** The login of the instance's administrator, as it is now. */
  async adminLogin(desired: DesiredInstance): Promise<string> {
    return this.#asTenant(desired, LOOK, adminLogin);
  }

  /** Runs `work` in the database of an instance that has run, as its role. */
  async #asTenant<T>(
    desired: DesiredInstance,
    purpose: SessionPurpose,
    work: (session: TenantSession) => Promise<T>,
  ): Promise<T> {
    const login = await this.#loginOf(desired);
    const cluster = this.#clusterOf(await this.#options.specOf(desired));
    await cluster.ensureRole(login.role, login.password);
    return cluster.enter(login, purpose, work);
  }

  async #loginOf(desired: DesiredInstance): Promise<TenantLogin> {
    const place = await this.#options.specOf(desired);
    const name = this.#nameOf(desired);
    return { database: name, role: name, password: place.dbPassword };
  }

  #nameOf(desired: DesiredInstance): string {
    return databaseName(this.#options.install, desired.id);
  }

  #clusterOf(place: DatabaseSpec): Cluster {
    return place.own ? new Cluster(place.own) : this.#shared;
  }
}

/** What a plan's instances are cloned from: one template for each language. */
function keysOf(
  { modules, countryCode, languages, repositories }: Plan,
  imageId: string,
): TemplateKey[] {
  return languages.map((lang) => ({ imageId, modules, repositories, lang, countryCode }));
}

/** What one instance is made from. */
function keyOf({ customer, modules, repositories }: DesiredInstance, imageId: string): TemplateKey {
  const { countryCode, lang } = customer;
  const ofPlan = repositories.filter(({ isOfPlan }) => isOfPlan);
  return { imageId, modules, repositories: ofPlan, lang, countryCode };
}
