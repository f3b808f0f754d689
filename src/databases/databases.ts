import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RetryableError, TerminalError } from '../errors.ts';
import { standingOf } from '../instance/decide.ts';
import { databaseName } from '../instance/name.ts';
import type { DesiredInstance, ObservedInstance, Plan } from '../instance/types.ts';
import type { Databases } from '../interfaces.ts';
import { Cluster, type ClusterAddress } from './cluster.ts';
import { copyTree } from './copy-tree.ts';
import { type Invitation, invitationLink } from './invitation.ts';
import { openTransactionsOver } from './open-transactions.ts';
import { personalise, renewParameters } from './personalise.ts';
import type { ReadyPasswords } from './ready-passwords.ts';
import { cloneDatabase, SpareClones } from './spare-clone.ts';
import { EMPTY_DATABASE } from './template-content.ts';
import { type OdooInit, type TemplateDatabase, TemplateDatabases } from './template-database.ts';
import { type TemplateKey, templateHash } from './template-key.ts';

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
  /** One for all: Postgres refuses two who take the same rights away at once. */
  #lobbyClosed: Promise<void> | undefined;

  constructor(options: OdooDatabasesOptions) {
    this.#options = options;
    this.#shared = new Cluster(options.shared, { keepConnections: true });
    this.#spares = new SpareClones(this.#shared);
    this.#templates = this.#templatesOn(this.#shared, options.templatesDir, 'template');
  }

  /** Whether the shared server answers; throws RetryableError when it does not. */
  async ping(): Promise<void> {
    await this.#shared.connected('postgres', (client) => client.query('SELECT 1'));
  }

  async prepare(plan: Plan, signal: AbortSignal): Promise<void> {
    const source = await this.#options.sharedImageOf(plan.templateCode);
    if (source === null) return;
    await this.#closeLobbyOnce();
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
    return this.#templates.trim(
      wanted,
      async ({ image, imageId }) => ((await currentImageId(image)) ?? imageId) !== imageId,
      new Date(),
    );
  }

  /** The final name exists only once the clone is complete: half-made ones have another. */
  async observe(desired: DesiredInstance): Promise<ObservedInstance['database']> {
    // Its directory, template and own Postgres may be gone already.
    if (standingOf(desired) === 'purged')
      return (await this.#shared.has(this.#nameOf(desired))) ? 'ready' : 'absent';
    const place = await this.#options.placeOf(desired);
    const cluster = this.#clusterOf(place);
    try {
      return (await cluster.has(this.#nameOf(desired))) ? 'ready' : 'absent';
    } catch (error) {
      if (place.own && error instanceof RetryableError) return 'offline';
      throw error;
    }
  }

  async setUrl(desired: DesiredInstance): Promise<void> {
    const place = await this.#options.placeOf(desired);
    await this.#clusterOf(place).connected(this.#nameOf(desired), (client) =>
      client.query(
        `UPDATE ir_config_parameter SET value = $1 WHERE key = 'web.base.url' AND value <> $1`,
        [place.url],
      ),
    );
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
    if (!place.own) await this.#closeLobbyOnce();
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
    await cluster.drop(unfinished);
    await this.#spareOrClone(cluster, template, unfinished, database, place.dbPassword);
    soon();
    const [passwordHash] = await Promise.all([
      this.#options.passwords.hashOf(place.adminPassword),
      copyFiles(),
    ]);
    await cluster.connected(unfinished, (client) =>
      personalise(client, {
        ...desired.customer,
        url: place.url,
        login: place.adminLogin,
        passwordHash,
      }),
    );
    await cluster.rename(unfinished, database);
  }

  async invitation(desired: DesiredInstance): Promise<Invitation> {
    const place = await this.#options.placeOf(desired);
    return this.#clusterOf(place).connected(this.#nameOf(desired), (client) =>
      invitationLink(client, place.url, Math.floor(Date.now() / 1000)),
    );
  }

  /**
   * Makes an instance's database again, from what `fill` puts into an empty one.
   * @param options `isCopy`: another instance may have the same data, and must not share its secrets
   * @param fill is given the server and the database's name and owner; all in it must become the owner's
   * @throws TerminalError('DatabaseExists') when the instance has one
   */
  async restore(
    desired: DesiredInstance,
    options: { readonly isCopy: boolean },
    fill: (
      server: ClusterAddress,
      made: { readonly database: string; readonly role: string },
    ) => Promise<void>,
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
    await cluster.drop(database);
    await cluster.ensureRole(role, place.dbPassword);
    await cluster.create(database, role, EMPTY_DATABASE);
    await fill(cluster.address, { database, role });
    if (options.isCopy)
      await cluster.connected(database, (client) => renewParameters(client, place.url));
    await cluster.rename(database, role);
  }

  /** An instance's own Postgres goes with its files. */
  async drop(desired: DesiredInstance): Promise<void> {
    const name = this.#nameOf(desired);
    await this.#shared.drop(name);
    await this.#shared.drop(`${name}_new`);
    await this.#shared.dropRole(name);
  }

  async #spareOrClone(
    cluster: Cluster,
    template: TemplateDatabase,
    unfinished: string,
    tenant: string,
    password: string,
  ): Promise<void> {
    const to = { database: unfinished, role: tenant };
    const isTaken = cluster === this.#shared && (await this.#spares.take(template, to));
    await cluster.ensureRole(tenant, password);
    if (!isTaken) await cloneDatabase(cluster, template.database, unfinished, tenant);
  }

  /** The login of the instance's administrator, as it is now. */
  async adminLogin(desired: DesiredInstance): Promise<string> {
    const cluster = this.#clusterOf(await this.#options.placeOf(desired));
    const found = await cluster.connected(this.#nameOf(desired), (client) =>
      client.query<{ login: string }>(
        `SELECT u.login FROM res_users u JOIN ir_model_data d ON d.res_id = u.id
         WHERE d.module = 'base' AND d.name = 'user_admin'`,
      ),
    );
    return found.rows[0]?.login ?? '';
  }

  async #closeLobbyOnce(): Promise<void> {
    this.#lobbyClosed ??= this.#shared.closeLobby().catch((error) => {
      this.#lobbyClosed = undefined;
      throw error;
    });
    await this.#lobbyClosed;
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
