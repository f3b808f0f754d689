import { hashRandomSecret, ODOO_ROUNDS, randomSecret } from '../host/password-hash.ts';

/** How many are kept; each takes a third of a second of one processor core to make. */
const POOL_SIZE = 8;

/**
 * Passwords for the administrators of new instances, with the hashes that Odoo would make of them. An administrator whose hash has
 * all of Odoo's rounds logs in in 0.4 s, else in 0.6 s (70 modules): Odoo then hashes her password anew, in the way of her first page.
 */
export class PasswordPool {
  /** By password; those that were taken stay until somebody asks for their hash. */
  readonly #hashes = new Map<string, string>();
  readonly #stock: string[] = [];
  #restocking: Promise<void> = Promise.resolve();

  /** A random password, one that is ready if there is one. */
  take(): string {
    return this.#stock.pop() ?? randomSecret();
  }

  /** The hash of a password that take() gave: a ready one once, otherwise one that is quickly made. */
  async hashOf(password: string): Promise<string> {
    const ready = this.#hashes.get(password);
    this.#hashes.delete(password);
    return ready ?? hashRandomSecret(password);
  }

  /** Makes new ones in place of those that were taken, one after the other. */
  async restock(): Promise<void> {
    this.#restocking = this.#restocking
      .catch(() => {})
      .then(async () => {
        while (this.#stock.length < POOL_SIZE) {
          const password = randomSecret();
          this.#hashes.set(password, await hashRandomSecret(password, ODOO_ROUNDS));
          this.#stock.push(password);
        }
      });
    await this.#restocking;
  }
}
