import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TerminalError } from '../errors.ts';
import type { UnixUser } from '../host/files.ts';
import { copyTree } from '../host/trees.ts';
import { senderOf } from '../instance/sender.ts';
import type { DesiredInstance, PostgresServer } from '../instance/types.ts';
import type { ClonedDatabase } from '../interfaces.ts';
import { admitted, type Cluster } from '../postgres/cluster.ts';
import { MAKING, type TenantLogin, TOUCH } from '../postgres/tenant-session.ts';
import { renewUrl } from './base-url.ts';
import { ClonePool, cloneDatabase } from './clone-pool.ts';
import { markDatabase } from './database-mark.ts';
import type { DatabaseSpec, OdooImage, Specs } from './database-spec.ts';
import type { TenantIdentity } from './identity.ts';
import type { Neutralise } from './neutralise.ts';
import type { OutgoingMail } from './outgoing-mail.ts';
import type { PasswordPool } from './password-pool.ts';
import { personalise, renewParameters } from './personalise.ts';
import { spareIn } from './server-template.ts';
import { belongToNobody } from './spare-instance.ts';
import type { TemplateDatabase, TemplateDatabases } from './template-database.ts';
import { keyOfInstance, type TemplateKey } from './template-key.ts';
import type { TenantAccess } from './tenant-access.ts';

/** A clone, and all that is needed to make it the customer's own. */
export interface InstanceClone extends ClonedDatabase {
  readonly cluster: Cluster;
  readonly login: TenantLogin;
  readonly spec: DatabaseSpec;
  readonly odoo: OdooImage;
  readonly key: TemplateKey;
  /** Where its files are copied from; null: they came with its own Postgres. */
  readonly template: TemplateDatabase | null;
}

/** A database that fill() has filled. */
type Filled = Pick<InstanceClone, 'cluster' | 'login' | 'spec'>;

/** Fills an empty database. It is given the server and the way in, as the tenant. */
export type Fill = (server: PostgresServer, login: TenantLogin) => Promise<void>;

export interface NewDatabasesOptions {
  readonly install: string;
  readonly specs: Specs;
  readonly access: TenantAccess;
  /** Of the host's shared Postgres. */
  readonly templates: TemplateDatabases;
  readonly clones: ClonePool;
  readonly passwords: PasswordPool;
  /** Through which new instances send; `sender` is a pattern, see senderOf(). Null: they get no mail server. */
  readonly relay: OutgoingMail | null;
  readonly neutralise: Neutralise;
}

/**
 * Makes an instance's database, from a template database or from an archive. Until it is complete it has another name, so a step
 * that is cut off leaves nothing that looks finished.
 */
export class NewDatabases {
  readonly #options: NewDatabasesOptions;

  constructor(options: NewDatabasesOptions) {
    this.#options = options;
  }

  /** See Databases.clone(). */
  async clone(
    desired: DesiredInstance,
    onBuild: () => void,
    signal: AbortSignal,
  ): Promise<InstanceClone> {
    const { access, specs, templates } = this.#options;
    const [spec, odoo] = [await specs.of(desired), await specs.imageOf(desired)];
    const key = keyOfInstance(desired, odoo.imageId);
    const role = access.nameOf(desired);
    const database = unfinished(role);
    const login = { database, role, password: spec.dbPassword };
    const cluster = access.clusterOf(spec);
    const clone = { database, cluster, login, spec, odoo, key };
    if (spec.own) {
      await this.#takeOwn(cluster, login, key);
      return { ...clone, template: null };
    }
    await cluster.prepare();
    return templates.using(odoo.image, key, onBuild, signal, async (template) => {
      // The role belongs to the instance's complete database, and newRole() would drop and recreate it.
      if (await cluster.has(role)) throw new Error(`the database ${role} exists already`);
      await cluster.drop(database);
      await this.#spareOrClone(cluster, template, login);
      return { ...clone, template };
    });
  }

  /** See Databases.personalise(). */
  async personalise(
    desired: DesiredInstance,
    { cluster, key, login, odoo, spec, template }: InstanceClone,
  ): Promise<void> {
    const { passwords, relay, templates } = this.#options;
    const copyFiles = async () => {
      if (template) await this.#copyFiles(template, desired, spec.filestoreDir, odoo.owner);
    };
    const [passwordHash] = await Promise.all([
      passwords.hashOf(spec.adminPassword),
      templates.hold(key, copyFiles),
    ]);
    await cluster.enter(login, MAKING, (session) =>
      desired.spare === 'kept'
        ? belongToNobody(session, spec.url)
        : personalise(session, identityFor(desired, spec, passwordHash, relay)),
    );
    await this.#complete(cluster, desired);
  }

  /** See Databases.restore(). */
  async restore(
    desired: DesiredInstance,
    { isCopy, url }: { readonly isCopy: boolean; readonly url: string },
    fill: Fill,
  ): Promise<void> {
    await this.#restore(desired, fill, async ({ cluster, login, spec }) => {
      if (isCopy)
        await cluster.enter(login, TOUCH, (session) => renewParameters(session, spec.url));
      else if (url && url !== spec.url)
        await cluster.enter(login, TOUCH, (session) =>
          renewUrl(session, { from: url, to: spec.url }),
        );
    });
  }

  /** See OdooDatabases.restoreStaging(). */
  async restoreStaging(desired: DesiredInstance, fill: Fill, signal: AbortSignal): Promise<void> {
    const neutralise = async ({ cluster, login, spec }: Filled) => {
      const { image, owner } = await this.#options.specs.imageOf(desired);
      const { url } = spec;
      return this.#options.neutralise(desired, { cluster, login, image, owner, url }, signal);
    };
    await this.#restore(desired, fill, neutralise).catch(async (error) => {
      await this.#dropUnfinished(desired);
      throw error;
    });
  }

  /** What a copy was not neutralised in has the original's secrets. */
  async #dropUnfinished(desired: DesiredInstance): Promise<void> {
    const { access, specs } = this.#options;
    const cluster = access.clusterOf(await specs.of(desired));
    const name = unfinished(access.nameOf(desired));
    await cluster.drop(name);
    await cluster.dropRole(name);
  }

  /** @param prepare makes what was filled the instance's own, before it has its name */
  async #restore(
    desired: DesiredInstance,
    fill: Fill,
    prepare: (made: Filled) => Promise<void>,
  ): Promise<void> {
    const { access, specs } = this.#options;
    const spec = await specs.of(desired);
    const cluster = access.clusterOf(spec);
    const role = access.nameOf(desired);
    const database = unfinished(role);
    if (await cluster.has(role))
      throw new TerminalError(
        'DatabaseExists',
        'The instance has its database already. Press Start in Odoo to run it.',
      );
    const login = { database, role, password: spec.dbPassword };
    await cluster.prepare();
    await cluster.drop(database);
    await newRole(cluster, login);
    await cluster.create(database, role);
    // An archive may have schemas and extensions of the tenant's own.
    await cluster.mayMakeSchemas(database, role, true);
    await fill(cluster.server, login);
    await cluster.mayMakeSchemas(database, role, false);
    await prepare({ cluster, login, spec });
    await cluster.disconnect(role);
    await this.#complete(cluster, desired);
  }

  /**
   * Its server began as a copy, with a database and files that wait for their tenant. A spare clone that an interrupted attempt has taken
   * is used.
   */
  async #takeOwn(cluster: Cluster, login: TenantLogin, key: TemplateKey): Promise<void> {
    if (await cluster.has(login.database)) await cluster.ensureRole(login.role, login.password);
    else if (!(await new ClonePool(cluster).take(spareIn(this.#options.install, key), login)))
      throw new TerminalError(
        'ServerNotPrepared',
        "The instance's own Postgres was not made from this plan's template. It has no data of the customer's: stop its containers and move its folder pgdata away, then press Start.",
      );
  }

  async #spareOrClone(
    cluster: Cluster,
    template: TemplateDatabase,
    login: TenantLogin,
  ): Promise<void> {
    if (await this.#options.clones.take(template, login)) return;
    await newRole(cluster, login);
    await cloneDatabase(cluster, template.database, login);
  }

  async #copyFiles(
    template: TemplateDatabase,
    desired: DesiredInstance,
    filestoreDir: string,
    owner: UnixUser,
  ): Promise<void> {
    const { access, clones } = this.#options;
    const filestore = join(filestoreDir, access.nameOf(desired));
    await rm(filestore, { recursive: true, force: true });
    await mkdir(filestoreDir, { recursive: true });
    if (await clones.takeFiles(template, filestore)) return;
    await copyTree(join(template.filestoreDir, template.database), filestore, owner);
  }

  /** What has the final name is complete, and marked. */
  async #complete(cluster: Cluster, desired: DesiredInstance): Promise<void> {
    const { access, install } = this.#options;
    const name = access.nameOf(desired);
    await markDatabase(cluster, unfinished(name), install, desired);
    await cluster.complete(unfinished(name), name);
  }
}

/** What is the customer's own in a database. @param relay its `sender` is a pattern, see senderOf() */
export function identityFor(
  desired: DesiredInstance,
  { adminLogin: login, url }: DatabaseSpec,
  passwordHash: string,
  relay: OutgoingMail | null,
): TenantIdentity {
  const mail = relay && { ...relay, sender: senderOf(relay.sender, desired) };
  return { ...desired.customer, ...{ login, mail, passwordHash, url } };
}

/** The name of an instance's database as long as it is not complete. */
export function unfinished(database: string): string {
  return `${database}_new`;
}

/** A role that may do what it will as the tenant's, and enters the unfinished database. Nothing is left of an attempt that was cut off. */
async function newRole(cluster: Cluster, { database, password, role }: TenantLogin): Promise<void> {
  for (const remains of [role, database]) await cluster.dropRole(remains);
  await cluster.ensureRole(role, password);
  await cluster.administer((client) => client.query(admitted(role, database)));
}
