import { pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/** Below this many rounds Odoo hashes a user's password again when they log in (`MIN_ROUNDS` in res_users.py). */
export const ODOO_ROUNDS = 600_000;

/**
 * Rounds slow down attempts to guess a password that a person chose. A long random secret cannot be guessed at any number of rounds, so
 * the third of a second that Odoo's own take can be saved.
 */
const QUICK_ROUNDS = 1_000;

/** A random secret: 24 characters that need no quoting in a URL. */
export function randomSecret(): string {
  return randomBytes(18).toString('base64url');
}

/**
 * The hash of a long random secret as Odoo 17-19 stores it (passlib's pbkdf2_sha512). Made on another thread.
 * @param rounds with fewer than Odoo's own, Odoo makes another one when the user first logs in, and forgets its caches
 * @returns `$pbkdf2-sha512$<rounds>$<salt>$<checksum>`
 */
export async function hashRandomSecret(secret: string, rounds = QUICK_ROUNDS): Promise<string> {
  const salt = randomBytes(16);
  const checksum = await promisify(pbkdf2)(secret, salt, rounds, 64, 'sha512');
  return `$pbkdf2-sha512$${rounds}$${adaptedBase64(salt)}$${adaptedBase64(checksum)}`;
}

/** passlib's base64: no padding, `.` for `+`. */
function adaptedBase64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '').replaceAll('+', '.');
}
