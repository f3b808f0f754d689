import type { Images } from '../docker/images.ts';
import type { DirectoryMarks } from '../files/directory-mark.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import type { Template } from '../files/render.ts';
import type { Templates } from '../files/templates.ts';
import type { UnixUser } from '../host/files.ts';
import { instanceUrl } from '../instance/instance-url.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { ClusterAddress } from '../postgres/cluster.ts';

/** The Postgres of instances that have one of their own. */
export interface PostgresImage {
  readonly image: string;
  /** The image's id: the files of one release are not another's. */
  readonly imageId: string;
  /** The user it runs as. */
  readonly user: UnixUser;
}

/** What a template's instances are made from. */
export interface DatabaseSource {
  readonly image: string;
  readonly imageId: string;
  /** The user that Odoo runs as in this image. */
  readonly owner: UnixUser;
  /** Null: they share the host's. */
  readonly postgres: PostgresImage | null;
}

/** Where one instance's database lives and what it is to be made from. */
export interface DatabaseSpec extends Omit<DatabaseSource, 'postgres'> {
  /** The instance's own Postgres, or null for the host's shared one. */
  readonly own:
    | (ClusterAddress & {
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

/** Knows from an instance's template, image and directory what its database is made from and where it lives. */
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
    const { postgres, ...source } = await this.#sourceOf(template);
    const login = { socketDir: socket, user: 'postgres', password: postgresPassword };
    return {
      ...source,
      own: postgres && { ...login, postgres, directory, pgdata },
      filestoreDir: filestore,
      dbPassword,
      adminLogin: desired.customer.email || 'admin',
      adminPassword,
      url: instanceUrl(urlPattern, desired),
    };
  }

  /** @throws TerminalError UnknownTemplate; RetryableError where an image cannot be had */
  async source(templateCode: string): Promise<DatabaseSource> {
    return this.#sourceOf(this.#options.templates.get(templateCode));
  }

  /** The id that an image's tag has on this machine now; null when it is not here. */
  currentImageId(image: string): Promise<string | null> {
    return this.#options.images.localId(image);
  }

  async #sourceOf(template: Template): Promise<DatabaseSource> {
    const { images } = this.#options;
    const { database, image } = template;
    return {
      image,
      imageId: await images.id(image),
      owner: await images.user(image),
      postgres: database === 'own' ? await this.#postgresOf(template) : null,
    };
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
