import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientBase } from 'pg';
import { ConfigError, RetryableError } from '../errors.ts';
import { Cluster, type ClusterAddress } from './cluster.ts';

/** How often an unavailable server is tried, in milliseconds. */
const RETRY_INTERVAL_MS = 2_000;

/**
 * One sidecar per install, wherever two of them meet on the customers' Postgres: in containers of their own, in other network
 * namespaces, with a copy of dataDir. Postgres frees the lock when the process dies, however it dies. Advisory locks count within one
 * database, and the administrator's is one that tenants do not enter: elsewhere any of them could take it first.
 */
export class InstallLock {
  readonly #cluster: Cluster;
  readonly #install: string;
  readonly #release = new AbortController();
  #held: Promise<void> = Promise.resolve();

  constructor(address: ClusterAddress, install: string) {
    this.#cluster = new Cluster(address); // without a pool: the lock belongs to one connection
    this.#install = install;
  }

  /**
   * Resolves when the lock is held; waits while Postgres is unavailable.
   * @param onStolen is called when Postgres was unavailable and another sidecar held the lock afterwards
   * @throws ConfigError when another sidecar holds it
   */
  async take(stop: AbortSignal, onStolen: (error: ConfigError) => void): Promise<void> {
    const taken = await this.#takeOnce(AbortSignal.any([stop, this.#release.signal]));
    this.#held = taken.lost.then(async () => {
      if (this.#release.signal.aborted) return;
      await this.take(this.#release.signal, onStolen).catch((error) => {
        if (error instanceof ConfigError) onStolen(error);
      });
    });
  }

  async release(): Promise<void> {
    this.#release.abort();
    await this.#held;
  }

  async #takeOnce(signal: AbortSignal): Promise<{ readonly lost: Promise<void> }> {
    for (;;) {
      try {
        return await this.#hold();
      } catch (error) {
        if (!(error instanceof RetryableError)) throw error;
      }
      await sleep(RETRY_INTERVAL_MS, undefined, { signal });
    }
  }

  /** @returns a promise that resolves when the connection that holds the lock has ended */
  #hold(): Promise<{ readonly lost: Promise<void> }> {
    return new Promise((taken, failed) => {
      const lost = this.#cluster
        .administer(async (client) => {
          const ended = new Promise<void>((resolve) => {
            client.once('end', resolve);
            client.once('error', () => resolve());
            this.#release.signal.addEventListener('abort', () => resolve(), { once: true });
          });
          await this.#lock(client);
          this.#release.signal.throwIfAborted();
          taken({ lost });
          await ended;
        })
        .catch(failed); // no effect after `taken`: then `lost` resolves
    });
  }

  async #lock(client: ClientBase): Promise<void> {
    const found = await client.query<{ locked: boolean }>(
      'SELECT pg_try_advisory_lock($1) AS locked',
      [keyOf(this.#install)],
    );
    if (!found.rows[0]?.locked)
      throw new ConfigError(
        `another sidecar of the install ${this.#install} is connected to the Postgres of the instances`,
      );
  }
}

/** The lock's number: a signed 64-bit integer. */
function keyOf(install: string): string {
  return createHash('sha256').update(install).digest().readBigInt64BE().toString();
}
