import type { Limits } from '../docker/docker-api.ts';
import type { Images } from '../docker/images.ts';
import { closedNetwork, networkOf } from '../docker/names.ts';
import { addressesOf } from '../docker/postgres-access.ts';
import type { DirectoryMarks } from '../files/directory-mark.ts';
import { givenLimits } from '../files/given-limits.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import { digestOf, type RenderInput, renderInstance } from '../files/render.ts';
import type { Templates } from '../files/templates.ts';
import { databaseName } from '../instance/name.ts';
import type { DesiredInstance, ObservedInstance, PostgresServer } from '../instance/types.ts';
import type { Repositories } from '../repositories/repositories.ts';

export interface InstanceFilesOptions {
  readonly install: string;
  readonly images: Images;
  readonly templates: Templates;
  readonly dirs: InstanceDirs;
  readonly marks: DirectoryMarks;
  readonly repositories: Repositories;
  /** Where the Postgres that instances share listens. */
  readonly sharedServer: PostgresServer;
  /** The host's address on which the instances' ports are published. */
  readonly publishAddress: string;
  /** Called for an instance that stays with its image though the template's tag is another one by now. */
  readonly onKeptImage?: (instance: number, kept: string, current: string) => void;
}

/** The files that an instance's containers are made from: from which template, image and settings, and whether they are current. */
export class InstanceFiles {
  readonly #options: InstanceFilesOptions;
  /** The ids of pinned images. */
  readonly #pins = new Map<string, string>();

  constructor(options: InstanceFilesOptions) {
    this.#options = options;
  }

  /** Writes them, in a directory that is the instance's own. @throws TerminalError ForeignData, FilesMissing, or of the template */
  async write(desired: DesiredInstance): Promise<void> {
    const { dirs, images, marks, templates } = this.#options;
    const template = templates.get(desired.templateCode);
    await marks.claim(desired);
    await marks.renew(desired);
    const image = await this.imageOf(desired);
    const odoo = await images.user(image);
    const { dbPassword, masterPasswordHash } = desired.wasReady
      ? await dirs.secrets(desired.id)
      : await dirs.makeSecrets(desired.id);
    const input = await this.#inputOf(desired);
    const hostAddresses =
      'hosts' in input.sharedServer ? await addressesOf(input.sharedServer) : [];
    const rendered = renderInstance(
      { ...template, image },
      { ...input, hostAddresses },
      {
        dbPassword,
        masterPasswordHash,
      },
    );
    const isNew = !desired.wasReady;
    await dirs.prepare(desired.id, { odoo, postgres: template.postgresUser, isNew });
    // The template database of a new instance lists what the plan brings.
    if (isNew)
      await dirs.writeAppsList(
        desired.id,
        commitsOf({ repositories: desired.repositories.filter(({ isOfPlan }) => isOfPlan) }),
      );
    await dirs.write(desired.id, rendered, odoo);
  }

  /** Tells what they should be made from, as a digest. To be asked once it has its ports and its checkouts. */
  async digestOf(desired: DesiredInstance): Promise<string> {
    return digestOf(await this.#inputOf(desired));
  }

  /** Whether every repository has its checkout on disk. */
  async hasCheckouts({ repositories }: DesiredInstance): Promise<boolean> {
    const { repositories: checkouts } = this.#options;
    const fetched = await Promise.all(repositories.map((it) => checkouts.has(it)));
    return fetched.every(Boolean);
  }

  /** Whether what exists only once is there. Reads the disk alone. */
  async dataState({ id, templateCode }: DesiredInstance): Promise<ObservedInstance['data']> {
    const { dirs, install, templates } = this.#options;
    // Stopping and removing must work without the template too.
    const hasOwnPostgres = templates.has(templateCode) && this.#hasOwnPostgres(templateCode);
    return dirs.dataState(id, databaseName(install, id), hasOwnPostgres);
  }

  /** How many containers an instance has. */
  servicesOf({ templateCode }: DesiredInstance): number {
    return this.#hasOwnPostgres(templateCode) ? 2 : 1;
  }

  /** Where the instance's Postgres listens. */
  serverOf({ id, templateCode }: DesiredInstance): PostgresServer {
    const { dirs, sharedServer } = this.#options;
    return this.#hasOwnPostgres(templateCode) ? { socketDir: dirs.paths(id).socket } : sharedServer;
  }

  /**
   * The id of the image that an instance runs: its pin's. A tag that was pulled meanwhile may be another Odoo, and no database is upgraded
   * by accident (ADR 16).
   * @throws TerminalError('ImageGone'): another image in its place would be such an accident
   */
  async imageOf(desired: DesiredInstance): Promise<string> {
    const { dirs, images, onKeptImage, templates } = this.#options;
    const { id, templateCode } = desired;
    const { image } = templates.get(templateCode);
    const pin = await dirs.pinOf(desired);
    if (pin === null) return images.id(image);
    const kept = await images.pinnedId(pin);
    const current = await images.localId(image);
    if (current !== null && current !== kept) onKeptImage?.(id, kept, current);
    return kept;
  }

  /** See Engine.imageDigest(). */
  async imageDigest({ id }: DesiredInstance): Promise<string> {
    const { dirs, images } = this.#options;
    const image = await dirs.imageId(id);
    return image === null ? '' : ((await images.pinOf(image)) ?? image);
  }

  /** Whether the written files are those of this digest, and name the image that the instance is pinned to. */
  async state(
    desired: DesiredInstance,
    digest: string,
    isUp: boolean,
  ): Promise<ObservedInstance['files']> {
    const { dirs } = this.#options;
    const state = await dirs.filesState(desired.id, digest, isUp);
    if (state !== 'current' || desired.imageDigest === '') return state;
    const pinned = await this.#pinnedId(desired.imageDigest, isUp);
    // What is up keeps an image that is gone: only a start wants it.
    if (pinned === null) return isUp ? 'current' : 'stale';
    return (await dirs.imageId(desired.id)) === pinned ? 'current' : 'stale';
  }

  /** A pin never becomes another image, so Docker is asked once for each that is in use; without a container it may have been pruned. */
  async #pinnedId(pin: string, isInUse: boolean): Promise<string | null> {
    const kept = isInUse ? this.#pins.get(pin) : undefined;
    const known = kept ?? (await this.#options.images.localPin(pin));
    if (known !== null) this.#pins.set(pin, known);
    return known;
  }

  /** What its plan, or else its template, gives an instance of the host. */
  limitsOf(desired: DesiredInstance): Limits {
    const template = this.#options.templates.get(desired.templateCode);
    const { cpus, memoryMb } = givenLimits(desired, template);
    return { memoryBytes: memoryMb * 2 ** 20, nanoCpus: Math.round(cpus * 1e9) };
  }

  #hasOwnPostgres(templateCode: string): boolean {
    return this.#options.templates.get(templateCode).database === 'own';
  }

  /** Everything but secrets that an instance's files depend on. */
  async #inputOf(desired: DesiredInstance): Promise<RenderInput> {
    const { dirs, install, publishAddress, repositories, sharedServer } = this.#options;
    if (desired.ports === null) throw new TypeError('an instance without ports cannot be rendered');
    return {
      install,
      instance: desired.id,
      identity: desired.identity,
      templateCode: desired.templateCode,
      directory: dirs.paths(desired.id).directory,
      sharedServer,
      hostAddresses: [],
      checkouts: await Promise.all(desired.repositories.map((it) => repositories.checkout(it))),
      network: networkFor(install, desired),
      publishAddress,
      ports: desired.ports,
      memoryMb: desired.memoryMb,
      cpus: desired.cpus,
      restartCount: desired.restartCount,
    };
  }
}

/** The network that an instance is to be on. */
export function networkFor(
  install: string,
  { copyOf, id }: Pick<DesiredInstance, 'copyOf' | 'id'>,
): string {
  return copyOf ? closedNetwork(install) : networkOf(install, id);
}

/** All commits in use, in their order. */
export function commitsOf({ repositories }: Pick<DesiredInstance, 'repositories'>): string {
  return repositories.map(({ commit }) => commit).join('\n');
}
