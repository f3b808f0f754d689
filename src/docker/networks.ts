import { networkCreate, networkRemove } from './commands.ts';
import type { DockerApi } from './docker-api.ts';
import { type DockerCli, ignoreFailure } from './docker-cli.ts';

/** The networks that instances share, some hundred each: Docker has addresses for about thirty networks in all. */
export class Networks {
  readonly #install: string;
  readonly #api: DockerApi;
  readonly #docker: DockerCli;
  /** The last operation on each, by name, so that they run one after the other: Docker would create two networks of the same name. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(install: string, api: DockerApi, docker: DockerCli) {
    this.#install = install;
    this.#api = api;
    this.#docker = docker;
  }

  /** Makes the network where it is not there yet. */
  async ensure(name: string): Promise<void> {
    await this.#aloneWith(name, async () => {
      if ((await this.#api.network(name)) === null)
        await this.#docker(networkCreate(this.#install, name));
    });
  }

  /**
   * Removes a network without containers.
   * @param isWanted whether stopped containers belong to it, which Docker does not list
   */
  async removeUnless(name: string, isWanted: () => Promise<boolean>): Promise<void> {
    await this.#aloneWith(name, async () => {
      // A container that is not ours may be on it: then Docker refuses, rightly.
      if (!(await isWanted()) && (await this.#api.network(name))?.containers === 0)
        await this.#docker(networkRemove(name)).catch(ignoreFailure);
    });
  }

  async #aloneWith(name: string, work: () => Promise<void>): Promise<void> {
    const before = this.#last.get(name) ?? Promise.resolve();
    const done = before.catch(() => {}).then(work);
    this.#last.set(name, done);
    await done;
  }
}
