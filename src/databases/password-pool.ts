import { hashRandomSecret, ODOO_ROUNDS, randomSecret } from '../host/password-hash.ts';

/** How many are kept; hashing each takes a third of a second of one core. */
const POOL_SIZE = 8;

/** How many a refill adds at most: after a start there is other work to do, and few restarts are followed by many sales. */
const BATCH = 2;

/**
 * Passwords for the administrators of new instances, hashed in advance with Odoo's number of rounds. With such a hash the first
 * login takes 0.4 s, else 0.6 s (70 modules), because Odoo then hashes the password again before it serves the first page.
 */
export class PasswordPool {
  /** By password; those of taken ones stay until hashOf(). */
  readonly #hashes = new Map<string, string>();
  readonly #stock: string[] = [];
  #restocking: Promise<void> = Promise.resolve();

  /** A random password, from the pool if it is not empty. */
  take(): string {
    return this.#stock.pop() ?? randomSecret();
  }

  /** The hash of a password from take(): the prepared one, once; otherwise a quick one with fewer rounds. */
  async hashOf(password: string): Promise<string> {
    const ready = this.#hashes.get(password);
    this.#hashes.delete(password);
    return ready ?? hashRandomSecret(password);
  }

  /** Sees to it that there is one at least. */
  async begin(): Promise<void> {
    await this.#fill((count) => Math.max(count, 1));
  }

  /** Adds some passwords to a pool that is not full, one after the other: each call brings it nearer to that. */
  async restock(): Promise<void> {
    await this.#fill((count) => Math.min(count + BATCH, POOL_SIZE));
  }

  /** @param target how many there are to be, by how many there are; asked when earlier calls have ended */
  async #fill(target: (count: number) => number): Promise<void> {
    this.#restocking = this.#restocking
      .catch(() => {})
      .then(async () => {
        const wanted = target(this.#stock.length);
        while (this.#stock.length < wanted) {
          const password = randomSecret();
          this.#hashes.set(password, await hashRandomSecret(password, ODOO_ROUNDS));
          this.#stock.push(password);
        }
      });
    await this.#restocking;
  }
}
