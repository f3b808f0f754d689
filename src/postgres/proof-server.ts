import { randomBytes } from 'node:crypto';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { containersRemove } from '../docker/commands.ts';
import { type DockerCli, ignoreFailure } from '../docker/docker-cli.ts';
import { BACKGROUND_LABEL, LOWEST_PRIORITY } from '../docker/helpers.ts';
import { createFile, makeDirectory, readIfThere, type UnixUser } from '../host/files.ts';
import { removeTree } from '../host/trees.ts';
import { Cluster } from './cluster.ts';
import { runServer } from './scratch-postgres.ts';

/** How long it stays when nobody uses it, in milliseconds: in a night one proof follows the other. */
const IDLE_MS = 60_000;

/** What it holds is thrown away: nothing of it need survive a power cut. */
const SETTINGS = ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off'];

export interface ProofServerOptions {
  readonly install: string;
  readonly docker: DockerCli;
  readonly image: string;
  /** The user it runs as. */
  readonly user: () => Promise<UnixUser>;
  /** The end of its container's name: no two processes use one server. */
  readonly name: string;
  /** Everything of it is below here. */
  readonly folder: string;
}

/**
 * A Postgres into which backups are restored to see whether they can be, and never the one where customers work: what lies in a backup
 * may be there to hurt its neighbours. Without a network; started when it is needed, and thrown away when it is not.
 */
export class ProofServer {
  readonly #options: ProofServerOptions;
  #running: { readonly cluster: Cluster; readonly stop: () => Promise<void> } | null = null;
  #users = 0;
  #idle: NodeJS.Timeout | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ProofServerOptions) {
    this.#options = options;
  }

  /** Runs `work` with the server, as its administrator. */
  async using<T>(work: (cluster: Cluster) => Promise<T>, signal: AbortSignal): Promise<T> {
    clearTimeout(this.#idle);
    this.#users += 1;
    try {
      return await work(await this.#inTurn(() => this.#start(signal)));
    } finally {
      this.#users -= 1;
      if (this.#users === 0)
        this.#idle = setTimeout(() => void this.close().catch(() => {}), IDLE_MS).unref();
    }
  }

  /** Ends the server, where it runs and nobody uses it, and removes what it held. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#inTurn(async () => {
      if (this.#users > 0 || !this.#running) return;
      const { stop } = this.#running;
      this.#running = null;
      await stop();
      await removeTree(this.#options.folder, new AbortController().signal);
    });
  }

  /** Removes what one has left whose process was killed, where none of this process runs. */
  async sweep(): Promise<void> {
    const { docker, folder, install, name } = this.#options;
    await this.#inTurn(async () => {
      if (this.#running) return;
      await docker(containersRemove([`ms-${install}-${name}`])).catch(ignoreFailure);
      await removeTree(folder);
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {}); // told to its own caller
    return done;
  }

  async #start(signal: AbortSignal): Promise<Cluster> {
    if (this.#running) {
      const { cluster, stop } = this.#running;
      // Whoever works with it notices by themselves that it is gone.
      const answers = this.#users > 1 || (await cluster.has('postgres').catch(() => false));
      if (answers) return cluster;
      // Docker was restarted meanwhile.
      this.#running = null;
      await stop().catch(() => {});
    }
    const { docker, folder, image, install, name } = this.#options;
    const user = await this.#options.user();
    const [pgdata, socketDir] = [join(folder, 'pgdata'), join(folder, 'run')];
    const passwordFile = join(folder, 'password');
    // Of one that was killed.
    await removeTree(folder, signal);
    await mkdir(folder, { recursive: true, mode: 0o755 });
    for (const path of [pgdata, socketDir]) await makeDirectory(path, 0o755, user);
    await makeDirectory(pgdata, 0o700, user);
    await createFile(passwordFile, randomBytes(18).toString('base64url'));
    await chown(passwordFile, user.uid, user.gid);
    const { stop } = await runServer(
      { install, docker },
      {
        ...{ container: `ms-${install}-${name}`, postgres: { image, user } },
        ...{ pgdata, socketDir, passwordFile, settings: SETTINGS, signal },
        options: [LOWEST_PRIORITY, BACKGROUND_LABEL],
      },
    );
    const password = (await readIfThere(passwordFile)) ?? '';
    const cluster = new Cluster({ socketDir, user: 'postgres', password });
    try {
      await cluster.awaitAnswer(signal);
      await cluster.prepare();
    } catch (error) {
      await stop();
      throw error;
    }
    this.#running = { cluster, stop };
    return cluster;
  }
}
