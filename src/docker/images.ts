import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import type { UnixUser } from '../host/files.ts';
import { imagePull, imageUser, odooVersion, parseImageUser, parseOdooVersion } from './commands.ts';
import type { DockerApi } from './docker-api.ts';
import type { DockerCli } from './docker-cli.ts';

const PULL_TIMEOUT_MS = 15 * 60_000;

/** The images of instances. */
export class Images {
  readonly #install: string;
  readonly #api: DockerApi;
  readonly #docker: DockerCli;
  readonly #users = new Map<string, Promise<UnixUser>>();
  readonly #odoos = new Map<string, number>();

  constructor(install: string, api: DockerApi, docker: DockerCli) {
    this.#install = install;
    this.#api = api;
    this.#docker = docker;
  }

  /**
   * A user's numbers in an image: they differ between images, so the image is asked, once.
   * @param name by default the user that the image runs as
   */
  async user(image: string, name?: string): Promise<UnixUser> {
    const key = `${await this.id(image)} ${name ?? ''}`;
    let user = this.#users.get(key);
    if (!user) {
      user = this.#docker(imageUser(this.#install, image, name)).then(parseImageUser);
      this.#users.set(key, user);
      user.catch(() => this.#users.delete(key));
    }
    return user;
  }

  /** The major version of an image's Odoo, such as 19; null where its program does not say. It is asked once. */
  async odooOf(image: string): Promise<number | null> {
    const id = await this.id(image);
    const known = this.#odoos.get(id);
    if (known !== undefined) return known;
    const said = await this.#docker(odooVersion(this.#install, id)).catch((error) => {
      if (!(error instanceof CommandError)) throw error;
      return '';
    });
    const odoo = parseOdooVersion(said);
    // What could not be run once may be another time.
    if (odoo !== null) this.#odoos.set(id, odoo);
    return odoo;
  }

  /** The id of an image; null when it is not here. */
  localId(image: string): Promise<string | null> {
    return this.#api.imageId(image);
  }

  /**
   * What names an image for good, whatever its tag becomes: its digest in a registry, or its id where it was built here; null when it is
   * not here.
   */
  async pinOf(image: string): Promise<string | null> {
    const [pin = null] = await this.pinsOf(image);
    return pin;
  }

  /**
   * All that pinOf() may have been or become of an image: a registry that has it too gives it one more digest, which may sort before the
   * others. The first is its pin now; none when it is not here.
   */
  async pinsOf(image: string): Promise<string[]> {
    const id = await this.localId(image);
    if (id === null) return [];
    return [...(await this.#api.imageDigests(id)).toSorted(), id];
  }

  /** The pin of an image, pulled when it is not here. @throws RetryableError('ImageMissing') */
  async newestPin(image: string): Promise<string> {
    const id = await this.id(image);
    return (await this.pinOf(image)) ?? id;
  }

  /** The id of a pinned image; null when it is not here. */
  async localPin(pin: string): Promise<string | null> {
    const local = await this.localId(pin);
    const [, digest] = pin.split('@');
    // Docker's containerd image store forgets the name once the tag is another image's; there the digest is the id.
    return local ?? (digest === undefined ? null : this.localId(digest));
  }

  /**
   * The id of a pinned image. One that a registry has is pulled again where it is gone: a digest is never another image.
   * @throws TerminalError('ImageGone') where it was built here and is gone
   */
  async pinnedId(pin: string): Promise<string> {
    const local = await this.localPin(pin);
    if (local !== null) return local;
    if (pin.includes('@')) return this.id(pin);
    throw new TerminalError('ImageGone', `The image ${pin} is not on this machine any more.`, {
      detail: pin,
    });
  }

  /** The id of an image, pulled when it is not here. @throws RetryableError('StartFailed') when it cannot be had */
  async id(image: string): Promise<string> {
    const local = await this.localId(image);
    if (local) return local;
    await this.#docker(imagePull(image), { timeoutMs: PULL_TIMEOUT_MS }).catch((cause) => {
      throw new RetryableError('ImageMissing', `The image ${image} could not be pulled.`, {
        cause,
        detail: image,
      });
    });
    const pulled = await this.localId(image);
    if (!pulled) throw new Error(`the image ${image} was pulled and is not there`);
    return pulled;
  }
}
