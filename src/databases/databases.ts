import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { foreignData, RetryableError, TerminalError } from '../errors.ts';
import { standingOf } from '../instance/decide.ts';
import { databaseName } from '../instance/name.ts';
import type { DesiredInstance, ObservedInstance, Owner, Plan } from '../instance/types.ts';
import type { Databases } from '../interfaces.ts';
import { adminLogin } from './admin-login.ts';
import { renewUrl } from './base-url.ts';
import { admitted, Cluster, type ClusterAddress } from './cluster.ts';
import { copyTree } from './copy-tree.ts';
import { databaseNumbers, databaseOwner, markDatabase } from './database-mark.ts';
import { invitationLink } from './invitation.ts';
import { openTransactionsOver } from './open-transactions.ts';
import { personalise, renewParameters } from './personalise.ts';
import { makeReadable } from './readable.ts';
import type { ReadyPasswords } from './ready-passwords.ts';
import { cloneDatabase, SpareClones } from './spare-clone.ts';
import { type OdooInit, type TemplateDatabase, TemplateDatabases } from './template-database.ts';
import { type TemplateKey, templateHash } from './template-key.ts';
import {
  LOOK,
  MAKING,
  type SessionPurpose,
  type TenantLogin,
  type TenantSession,
  TOUCH,
} from './tenant-session.ts';

/** Where one instance's database lives and what it is to be made from. */
export interface DatabasePlace {
  /** The instance's own Postgres, or null for the host's shared one. */
  readonly own: (ClusterAddress & { readonly templatesDir: string }) | null;
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
  readonly init: OdooInit;
  readonly passwords: ReadyPasswords;
  readonly placeOf: (desired: DesiredInstance) => Promise<DatabasePlace>;
  /** The image of a template's instances when these share the host's Postgres, else null. */
  readonly sharedImageOf: (
    templateCode: string,
  ) => Promise<{ readonly image: string; readonly imageId: string } | null>;
  /** The id that an image's tag has on this machine now; null when it is not here. */
  readonly currentImageId: (image: string) => Promise<string | null>;
}

/** The customers' databases: cloned from template databases, on the shared Postgres or on an instance's own. */
export class OdooDatabases implements Databases {
  readonly #options: OdooDatabasesOptions;
  readonly #shared: Cluster;
  readonly #spares: SpareClones;
  readonly #templates: TemplateDatabases;

  constructor(options: OdooDatabasesOptions) {
    this.#options = options;
    this.#shared = new Cluster(options.shared, { keepConnections: true });
    this.#spares = new SpareClones(this.#shared);
    this.#templates = this.#templatesOn(this.#shared, options.templatesDir, 'template');
  }

  /** Whether the shared server answers; throws RetryableError when it does not. */
  async ping(): Promise<void> {
    await this.#shared.administer((client) => client.query('SELECT 1'));
  }

  async prepare(plan: Plan, signal: AbortSignal): Promise<void> {
    const source = await this.#options.sharedImageOf(plan.templateCode);
    if (source === null) return;
    await this.#shared.prepare();
    for (const key of keysOf(plan, source.imageId)) {
      const template = await this.#templates.ensure(source.image, key, () => {}, signal);
      await this.#spares.stock(template);
    }
    await this.#options.passwords.restock();
  }

  async restock(): Promise<void> {
    await this.#spares.restock();
    await this.#options.passwords.restock();
  }

  async trim(plans: readonly Plan[]): Promise<string[]> {
    const { currentImageId, sharedImageOf } = this.#options;
    const wanted = new Set<string>();
    for (const plan of plans) {
      try {
        const source = await sharedImageOf(plan.templateCode);
        if (source) for (const key of keysOf(plan, source.imageId)) wanted.add(templateHash(key));
      } catch (error) {
        if (!(error instanceof TerminalError)) throw error;
        // Nothing can be built for it, so it wants nothing; why is said when it is prepared.
      }
    }
    await this.#shared.dropRemovedRoles();
    return this.#templates.trim(
      wanted,
      async ({ image, imageId }) => ((await currentImageId(image)) ?? imageId) !== imageId,
      new Date(),
    );
  }

  /** The final name exists only once the clone is complete: half-made ones have another. */
  async observe(desired: DesiredInstance): Promise<ObservedInstance['database']> {
    // Its directory, template and own Postgres may be gone already.
    if (standingOf(desired) === 'purged') return this.#stateOn(this.#shared, desired);
    const place = await this.#options.placeOf(desired);
    try {
      return await this.#stateOn(this.#clusterOf(place), desired);
    } catch (error) {
      if (place.own && error instanceof RetryableError) return 'offline';
      throw error;
    }
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
    const place = await this.#options.placeOf(desired);
    await this.#clusterOf(place).takeOver(this.#nameOf(desired), this.#nameOf(desired));
    if (!from || from === place.url) return;
    await this.#asTenant(desired, TOUCH, (session) => renewUrl(session, { from, to: place.url }));
  }

  async awaitServer(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    await this.#clusterOf(await this.#options.placeOf(desired)).awaitAnswer(signal);
  }

  async awaitRequests(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    const place = await this.#options.placeOf(desired);
    await openTransactionsOver(this.#clusterOf(place), this.#nameOf(desired), signal);
  }

  async create(
    desired: DesiredInstance,
    told: { readonly progress: (reason: string) => void; readonly soon: () => void },
    signal: AbortSignal,
  ): Promise<void> {
    const place = await this.#options.placeOf(desired);
    const cluster = this.#clusterOf(place);
    const { imageId } = place;
    const { lang, countryCode } = desired.customer;
    // An instance with its own Postgres builds its own template there, and keeps only the clone.
    const templates = place.own
      ? this.#templatesOn(cluster, place.own.templatesDir, `${desired.id}-template`)
      : this.#templates;
    await cluster.prepare();
    const key = { imageId, modules: desired.modules, lang, countryCode };
    const onBuild = () => told.progress('PreparingTemplate');
    await templates.using(place.image, key, onBuild, signal, async (template) => {
      await this.#clone(cluster, template, desired, place, told.soon);
      if (place.own) await templates.remove(template);
    });
  }

  /** Under another name until it is the customer's: what has the final name is complete. */
  async #clone(
    cluster: Cluster,
    template: TemplateDatabase,
    desired: DesiredInstance,
    place: DatabasePlace,
    soon: () => void,
  ): Promise<void> {
    const database = this.#nameOf(desired);
    const unfinished = `${database}_new`;
    const filestore = join(place.filestoreDir, database);
    const copyFiles = async () => {
      await rm(filestore, { recursive: true, force: true });
      await mkdir(place.filestoreDir, { recursive: true });
      if (cluster === this.#shared && (await this.#spares.takeFiles(template, filestore))) return;
      await copyTree(join(template.filestoreDir, template.database), filestore, place.owner);
    };
    const login = { database: unfinished, role: database, password: place.dbPassword };
    await cluster.drop(unfinished);
    await this.#spareOrClone(cluster, template, login);
    soon();
    const [passwordHash] = await Promise.all([
      this.#options.passwords.hashOf(place.adminPassword),
      copyFiles(),
    ]);
    await cluster.enter(login, MAKING, (session) =>
      personalise(session, {
        ...desired.customer,
        url: place.url,
        login: place.adminLogin,
        passwordHash,
      }),
    );
    await this.#complete(cluster, unfinished, desired);
  }

  async invitation(desired: DesiredInstance): Promise<string> {
    const { url } = await this.#options.placeOf(desired);
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
    const place = await this.#options.placeOf(desired);
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
    const cluster = this.#clusterOf(await this.#options.placeOf(desired));
    const name = this.#nameOf(desired);
    await cluster.takeOver(name, name);
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

  async #spareOrClone(
    cluster: Cluster,
    template: TemplateDatabase,
    login: TenantLogin,
  ): Promise<void> {
    if (cluster === this.#shared && (await this.#spares.take(template, login))) return;
    await this.#newRole(cluster, login);
    await cloneDatabase(cluster, template.database, login);
  }

  /** A role that may do what it will as the tenant's, and enters the unfinished database. Nothing is left of an attempt that was cut off. */
  async #newRole(cluster: Cluster, { database, password, role }: TenantLogin): Promise<void> {
    for (const remains of [role, database]) await cluster.dropRole(remains);
    await cluster.ensureRole(role, password);
    await cluster.administer((client) => client.query(admitted(role, database)));
  }

  /** What has the final name is complete. */
  async #complete(cluster: Cluster, unfinished: string, desired: DesiredInstance): Promise<void> {
    await markDatabase(cluster, unfinished, this.#options.install, desired);
    await cluster.rename(unfinished, this.#nameOf(desired));
    await cluster.dropRole(unfinished);
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
    const cluster = this.#clusterOf(await this.#options.placeOf(desired));
    await cluster.ensureRole(login.role, login.password);
    return cluster.enter(login, purpose, work);
  }

  async #loginOf(desired: DesiredInstance): Promise<TenantLogin> {
    const place = await this.#options.placeOf(desired);
    const name = this.#nameOf(desired);
    return { database: name, role: name, password: place.dbPassword };
  }

  #templatesOn(cluster: Cluster, dir: string, container: string): TemplateDatabases {
    const { install, init } = this.#options;
    return new TemplateDatabases({
      install,
      cluster,
      dir,
      containerPrefix: `ms-${install}-${container}`,
      init,
    });
  }

  #nameOf(desired: DesiredInstance): string {
    return databaseName(this.#options.install, desired.id);
  }

  #clusterOf(place: DatabasePlace): Cluster {
    return place.own ? new Cluster(place.own) : this.#shared;
  }
}

/** What a plan's instances are cloned from: one template for each language. */
function keysOf({ modules, countryCode, languages }: Plan, imageId: string): TemplateKey[] {
  return languages.map((lang) => ({ imageId, modules, lang, countryCode }));
}
