import type { Images } from '../docker/images.ts';
import type { DirectoryMarks } from '../files/directory-mark.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import type { Template } from '../files/render.ts';
import type { Templates } from '../files/templates.ts';
import type { UnixUser } from '../host/files.ts';
import { instanceUrl } from '../instance/instance-url.ts';
import type { DesiredInstance, SocketServer } from '../instance/types.ts';
import type { ClusterAddress } from '../postgres/cluster.ts';

/** The Postgres of instances that have one of their own. */
export interface PostgresImage {
  readonly image: string;
  /** The image's id: the files of one release are not another's. */
  readonly imageId: string;
  /** The user it runs as. */
  readonly user: UnixUser;
}

/** An image of Odoo. */
export interface OdooImage {
  readonly image: string;
  readonly imageId: string;
  /** The user that Odoo runs as in this image. */
  readonly owner: UnixUser;
}

/** What a template's instances are made from. */
export interface DatabaseSource extends OdooImage {
  /** Null: they share the host's. */
  readonly postgres: PostgresImage | null;
}

/** The way into one instance's database, as its tenant, and to the server that it is on. */
export interface DatabaseEntry {
  /** The instance's own Postgres, or null for the host's shared one. */
  readonly own: ClusterAddress | null;
  readonly dbPassword: string;
}

/** Where one instance's database lives, and what is its own in it. */
export interface DatabaseSpec {
  /** The instance's own Postgres, or null for the host's shared one. */
  readonly own:
    | (ClusterAddress &
        SocketServer & {
          readonly postgres: PostgresImage;
          /** The instance's directory, and that of its Postgres' data. */
          readonly directory: string;
          readonly pgdata: string;
        })
    | null;
  readonly filestoreDir: string;
  readonly dbPassword: string;
  readonly adminLogin: string;
  readonly adminPassword: string;
  readonly url: string;
}

export interface DatabaseSpecsOptions {
  readonly templates: Templates;
  readonly marks: DirectoryMarks;
  readonly dirs: InstanceDirs;
  readonly images: Images;
  /** See instanceUrl(). */
  readonly urlPattern: string;
}

/** Knows from an instance's template, pin and directory what its database is made from and where it lives. */
export class DatabaseSpecs {
  readonly #options: DatabaseSpecsOptions;

  constructor(options: DatabaseSpecsOptions) {
    this.#options = options;
  }

  /** @throws TerminalError UnknownTemplate, ForeignData (the directory is another's) or FilesMissing (of one that has run) */
  async of(desired: DesiredInstance): Promise<DatabaseSpec> {
    const { dirs, marks, templates, urlPattern } = this.#options;
    const template = templates.get(desired.templateCode);
    // A directory of another instance is not even read, for any purpose.
    await marks.claim(desired);
    const { directory, filestore, pgdata, socket } = dirs.paths(desired.id);
    const { adminPassword, dbPassword, postgresPassword } = desired.wasReady
      ? await dirs.secrets(desired.id)
      : await dirs.makeSecrets(desired.id);
    const postgres = template.database === 'own' ? await this.#postgresOf(template) : null;
    const login = { socketDir: socket, user: 'postgres', password: postgresPassword };
    return {
      own: postgres && { ...login, postgres, directory, pgdata },
      filestoreDir: filestore,
      dbPassword,
      adminLogin: desired.customer.email || 'admin',
      adminPassword,
      url: instanceUrl(urlPattern, desired),
    };
  }

  /** The way into the database of an instance that has run, from its files alone. @throws TerminalError('FilesMissing') */
  async entryOf(id: number, hasOwnDatabase: boolean): Promise<DatabaseEntry> {
    const { dirs } = this.#options;
    const { dbPassword, postgresPassword } = await dirs.secrets(id);
    const { socket } = dirs.paths(id);
    const own = { socketDir: socket, user: 'postgres', password: postgresPassword };
    return { own: hasOwnDatabase ? own : null, dbPassword };
  }

  /**
   * The image that an instance runs, or is to be made from: its pin's, whatever its template's tag is by now (ADR 16).
   * @throws TerminalError UnknownTemplate, ImageGone; RetryableError where it cannot be had
   */
  async imageOf(desired: DesiredInstance): Promise<OdooImage> {
    const { dirs, images, templates } = this.#options;
    const pin = await dirs.pinOf(desired);
    if (pin === null) return this.#odooOf(templates.get(desired.templateCode));
    const imageId = await images.pinnedId(pin);
    return { image: imageId, imageId, owner: await images.user(imageId) };
  }

  /** The pin of the image that an instance runs, and the major version of its Odoo; null where the image is not here to be asked. */
  async runs(
    desired: DesiredInstance,
  ): Promise<{ readonly image: string; readonly odoo: number | null }> {
    const { dirs, images, templates } = this.#options;
    const { image: tag } = templates.get(desired.templateCode);
    const image = (await dirs.pinOf(desired)) ?? (await images.pinOf(tag)) ?? tag;
    const imageId = await images.localPin(image);
    return { image, odoo: imageId === null ? null : await images.odooOf(imageId) };
  }

  /** @throws TerminalError UnknownTemplate; RetryableError where an image cannot be had */
  async source(templateCode: string): Promise<DatabaseSource> {
    const template = this.#options.templates.get(templateCode);
    const postgres = template.database === 'own' ? await this.#postgresOf(template) : null;
    return { ...(await this.#odooOf(template)), postgres };
  }

  /** The id that an image's tag has on this machine now; null when it is not here. */
  currentImageId(image: string): Promise<string | null> {
    return this.#options.images.localId(image);
  }

  async #odooOf({ image }: Template): Promise<OdooImage> {
    const { images } = this.#options;
    return { image, imageId: await images.id(image), owner: await images.user(image) };
  }

  async #postgresOf({
    postgresImage: image,
    postgresUser: user,
  }: Template): Promise<PostgresImage> {
    if (user === null) throw new TypeError('a template without a Postgres of its own');
    return { image, imageId: await this.#options.images.id(image), user };
  }
}

/** What the rest of databases/ needs of DatabaseSpecs. */
export type Specs = Pick<DatabaseSpecs, keyof DatabaseSpecs>;
