import { join } from 'node:path';
import type { DockerCli } from '../docker/docker-cli.ts';
import { type ConfigError, foreignData, RetryableError, TerminalError } from '../errors.ts';
import { instanceOfDatabase } from '../instance/name.ts';
import type { ProgressReason } from '../instance/reasons.ts';
import type {
  DesiredInstance,
  EffectiveState,
  ObservedInstance,
  Owner,
  Plan,
  Spare,
} from '../instance/types.ts';
import type { Databases, OdooSession, RehearsedVisit } from '../interfaces.ts';
import { Cluster, type ClusterAddress, type ServerFacts } from '../postgres/cluster.ts';
import { InstallLock } from '../postgres/install-lock.ts';
import { openTransactionsOver } from '../postgres/open-transactions.ts';
import { ClonePool } from './clone-pool.ts';
import { databaseNumbers, databaseOwner, markDatabase } from './database-mark.ts';
import type { Specs } from './database-spec.ts';
import type { Invitation } from './invitation.ts';
import type { Neutralise } from './neutralise.ts';
import { type Fill, type InstanceClone, NewDatabases, unfinished } from './new-database.ts';
import type { OdooInit } from './odoo-init.ts';
import type { OutgoingMail } from './outgoing-mail.ts';
import type { PasswordPool } from './password-pool.ts';
import { leftBy, Replacements } from './replacement.ts';
import {
  hasServer,
  isWrongPassword,
  ServerTemplates,
  serverHash,
  writeHba,
} from './server-template.ts';
import { SpareDatabases } from './spare-databases.ts';
import { TemplateDatabases } from './template-database.ts';
import { keyOfInstance, keyOfSpares, keysOfPlan, templateHash } from './template-key.ts';
import type { TemplateMetadata } from './template-metadata.ts';
import { type DatabaseUse, type HeldDatabase, TenantAccess } from './tenant-access.ts';

export interface OdooDatabasesOptions {
  readonly install: string;
  /** The host's shared Postgres. */
  readonly shared: ClusterAddress;
  /** Holds the filestores of the shared server's template databases, and prepared data directories for own ones. */
  readonly dataDir: string;
  readonly docker: DockerCli;
  readonly specs: Specs;
  readonly init: OdooInit;
  readonly passwords: PasswordPool;
  /** See NewDatabasesOptions. */
  readonly relay: OutgoingMail | null;
  readonly neutralise: Neutralise;
}

/** The customers' databases: cloned from template databases, on the shared Postgres or on an instance's own. */
export class OdooDatabases implements Databases {
  readonly #options: OdooDatabasesOptions;
  readonly #shared: Cluster;
  readonly #clones: ClonePool;
  readonly #templates: TemplateDatabases;
  readonly #servers: ServerTemplates;
  readonly #access: TenantAccess;
  readonly #new: NewDatabases;
  readonly #spareInstances: SpareDatabases;
  /** Of databases in use, by those of backups. */
  readonly replacements: Replacements;

  constructor(options: OdooDatabasesOptions) {
    this.#options = options;
    const { dataDir, docker, init, install, neutralise, passwords, relay, specs } = options;
    this.#shared = new Cluster(options.shared, { keepConnections: true });
    this.#clones = new ClonePool(this.#shared);
    this.#templates = new TemplateDatabases({
      install,
      cluster: this.#shared,
      dir: join(dataDir, 'templates'),
      containerPrefix: `ms-${install}-template`,
      init,
    });
    this.#servers = new ServerTemplates({
      ...{ install, docker, init },
      dir: join(dataDir, 'templates-own'),
    });
    this.#access = new TenantAccess({ install, shared: this.#shared, specs });
    this.replacements = new Replacements({ install, specs, access: this.#access });
    this.#new = new NewDatabases({
      ...{ install, specs, passwords, relay, neutralise },
      ...{ access: this.#access, templates: this.#templates, clones: this.#clones },
    });
    this.#spareInstances = new SpareDatabases({ access: this.#access, passwords, relay, specs });
  }

  // -- the server -----------------------------------------------------------------------------------

  /** Whether the shared server answers; throws RetryableError when it does not. */
  async ping(): Promise<void> {
    await this.#shared.administer((client) => client.query('SELECT 1'));
  }

  /** What the clock of the shared server says, in seconds since the epoch. */
  async clock(): Promise<number> {
    const ask = 'SELECT extract(epoch FROM clock_timestamp())::float8 AS now';
    const { rows } = await this.#shared.administer((client) => client.query<{ now: number }>(ask));
    return rows[0]?.now ?? 0;
  }

  /** See Cluster.facts(). */
  serverFacts(): Promise<ServerFacts> {
    return this.#shared.facts();
  }

  /** See Cluster.plainHosts(). */
  plainHosts(): Promise<string[]> {
    return this.#shared.plainHosts();
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

  async awaitServer(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const { own } = await this.#options.specs.of(desired);
    if (own) await this.#servers.adopt(own.socketDir, own.password, signal);
    else await this.#shared.awaitAnswer(signal);
  }

  // -- what is kept ready ---------------------------------------------------------------------------

  async prepare(plan: Plan, signal: AbortSignal): Promise<void> {
    const { passwords, specs } = this.#options;
    const { image, imageId, owner, postgres } = await specs.source(plan.templateCode);
    if (!postgres) await this.#shared.prepare();
    for (const key of keysOfPlan(plan, imageId)) {
      if (postgres) {
        await this.#servers.stock({ image, owner, postgres, key }, signal);
        continue;
      }
      const template = await this.#templates.ensure(image, key, () => {}, signal);
      await this.#clones.stock(template);
    }
    await passwords.begin();
  }

  async restock(): Promise<void> {
    await this.#clones.restock();
    await this.#servers.restock(new AbortController().signal);
    await this.#options.passwords.restock();
  }

  async trim(plans: readonly Plan[]): Promise<string[]> {
    const { specs } = this.#options;
    const wanted = new Set<string>();
    for (const plan of plans) {
      try {
        const { image, imageId, owner, postgres } = await specs.source(plan.templateCode);
        for (const key of keysOfPlan(plan, imageId))
          wanted.add(postgres ? serverHash({ image, owner, postgres, key }) : templateHash(key));
        const forSpares = keyOfSpares(plan, imageId);
        if (forSpares) wanted.add(templateHash(forSpares));
      } catch (error) {
        if (!(error instanceof TerminalError)) throw error;
        // Nothing can be built for it, so it wants nothing; why is said when it is prepared.
      }
    }
    await this.#shared.dropRemovedRoles();
    const isStale = async ({ image, imageId }: TemplateMetadata) =>
      ((await specs.currentImageId(image)) ?? imageId) !== imageId;
    const now = new Date();
    return [
      ...(await this.#templates.trim(wanted, isStale, now)),
      ...(await this.#servers.trim(wanted, isStale, now)),
    ];
  }

  // -- an instance's database -----------------------------------------------------------------------

  /** The final name exists only once the clone is complete: half-made ones have another. */
  async observe(
    desired: DesiredInstance,
    state: EffectiveState,
  ): Promise<ObservedInstance['database']> {
    // Its directory, template and own Postgres may be gone already.
    if (state === 'purged') return this.#stateOn(this.#shared, desired);
    const spec = await this.#options.specs.of(desired);
    try {
      return await this.#stateOn(this.#access.clusterOf(spec), desired);
    } catch (error) {
      // A fresh copy that was started, and not adopted yet, has its template's password.
      if (spec.own && (error instanceof RetryableError || isWrongPassword(error))) return 'offline';
      throw error;
    }
  }

  async list(): Promise<ReadonlySet<number>> {
    const names = await this.#shared.names();
    return new Set(names.flatMap((name) => instanceOfDatabase(this.#options.install, name) ?? []));
  }

  async numbers(): Promise<number[]> {
    return databaseNumbers(this.#shared, this.#options.install);
  }

  async adopt(desired: DesiredInstance): Promise<void> {
    const name = this.#access.nameOf(desired);
    if ((await this.#ownerOn(this.#shared, desired)) === 'unmarked')
      await markDatabase(this.#shared, name, this.#options.install, desired);
  }

  async prepareFor(
    desired: DesiredInstance,
    progress: (reason: ProgressReason) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { specs } = this.#options;
    const { filestoreDir, own } = await specs.of(desired);
    const onBuild = () => progress('PreparingTemplate');
    if (own === null) {
      await this.#shared.prepare();
      const { image, imageId } = await specs.imageOf(desired);
      await this.#templates.ensure(image, keyOfInstance(desired, imageId), onBuild, signal);
      return;
    }
    if (!desired.wasReady) {
      const { directory, pgdata, postgres } = own;
      const { image, imageId, owner } = await specs.imageOf(desired);
      const key = keyOfInstance(desired, imageId);
      const filestore = join(filestoreDir, this.#access.nameOf(desired));
      const to = { directory, pgdata, filestore };
      await this.#servers.place({ image, owner, postgres, key }, to, onBuild, signal);
    }
    if (await hasServer(own.pgdata)) await writeHba(own.pgdata, own.postgres.user);
  }

  clone(
    desired: DesiredInstance,
    progress: (reason: ProgressReason) => void,
    signal: AbortSignal,
  ): Promise<InstanceClone> {
    return this.#new.clone(desired, () => progress('PreparingTemplate'), signal);
  }

  personalise(desired: DesiredInstance, clone: InstanceClone): Promise<void> {
    return this.#new.personalise(desired, clone);
  }

  restore(
    desired: DesiredInstance,
    options: { readonly isCopy: boolean; readonly url: string },
    fill: Fill,
  ): Promise<void> {
    return this.#new.restore(desired, options, fill);
  }

  /**
   * Makes a staging copy's database from what `fill` puts into an empty one. It has its name only once it is neutralised.
   * @throws TerminalError('DatabaseExists') when the instance has one, ('NeutraliseFailed')
   */
  restoreStaging(desired: DesiredInstance, fill: Fill, signal: AbortSignal): Promise<void> {
    return this.#new.restoreStaging(desired, fill, signal);
  }

  async awaitRequests(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const cluster = this.#access.clusterOf(await this.#options.specs.of(desired));
    await openTransactionsOver(cluster, this.#access.nameOf(desired), signal);
  }

  /** An instance's own Postgres goes with its files. */
  async drop(desired: DesiredInstance): Promise<void> {
    const name = this.#access.nameOf(desired);
    const owner = await this.#ownerOn(this.#shared, desired);
    if (owner !== 'own' && owner !== 'nobody') throw foreignData('database');
    const all = [name, unfinished(name), ...leftBy(name)];
    for (const database of all) await this.#shared.drop(database);
    for (const role of all) await this.#shared.dropRole(role);
  }

  // -- of a spare instance --------------------------------------------------------------------------

  beginRehearsal(spare: Spare, lang: string): Promise<Omit<RehearsedVisit, 'lang'>> {
    return this.#spareInstances.beginRehearsal(spare, lang);
  }

  endRehearsal(spare: Spare): Promise<void> {
    return this.#spareInstances.endRehearsal(spare);
  }

  handOver(desired: DesiredInstance): Promise<void> {
    return this.#spareInstances.handOver(desired);
  }

  isHandedOver(desired: DesiredInstance): Promise<boolean> {
    return this.#spareInstances.isHandedOver(desired);
  }

  /** See TenantAccess.shutOut(). */
  shutOut(instance: Pick<DesiredInstance, 'id'>, password: () => Promise<string>): Promise<void> {
    return this.#access.shutOut(instance, password);
  }

  // -- inside it, as the tenant ---------------------------------------------------------------------

  setUrl(desired: DesiredInstance): Promise<void> {
    return this.#access.setUrl(desired);
  }

  limitUsers(desired: DesiredInstance): Promise<void> {
    return this.#access.limitUsers(desired);
  }

  invitation(desired: DesiredInstance): Promise<Invitation> {
    return this.#access.invitation(desired);
  }

  odooSession(
    desired: DesiredInstance,
    who: { readonly login: string; readonly endsAt: number | null },
  ): Promise<OdooSession | null> {
    return this.#access.odooSession(desired, who);
  }

  nextWork(desired: DesiredInstance): Promise<Date | 'always' | null> {
    return this.#access.nextWork(desired);
  }

  /** See TenantAccess. */
  use(id: number, hasOwnDatabase: boolean): Promise<DatabaseUse> {
    return this.#access.use(id, hasOwnDatabase);
  }

  /** See TenantAccess. */
  adminLogin(desired: DesiredInstance): Promise<string> {
    return this.#access.adminLogin(desired);
  }

  /** See TenantAccess. */
  disconnect(desired: DesiredInstance): Promise<void> {
    return this.#access.disconnect(desired);
  }

  /** See TenantAccess. */
  heldForBackup<T>(desired: DesiredInstance, work: (held: HeldDatabase) => Promise<T>): Promise<T> {
    return this.#access.heldForBackup(desired, work);
  }

  /** An own Postgres is in the instance's directory, whose mark covers it: a database in it needs none. */
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
    return databaseOwner(cluster, this.#access.nameOf(desired), this.#options.install, desired);
  }
}
