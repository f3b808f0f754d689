import { pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/** Odoo's own minimum (`MIN_ROUNDS` in res_users.py): fewer would be hashed anew at the first login. */
const ROUNDS = 600_000;

/** For what nobody can guess anyway: rounds only slow down trying out what people think up. */
const ROUNDS_FOR_RANDOM = 1_000;

/**
 * A password hash as Odoo 17-19 stores it (passlib's pbkdf2_sha512). Runs on a worker thread: about a third of a second.
 * @returns `$pbkdf2-sha512$600000$<salt>$<checksum>`
 */
export function hashPassword(password: string): Promise<string> {
  return hash(password, ROUNDS);
}

/** The same for a long random secret that no person will ever change: at once. */
export function hashRandomSecret(secret: string): Promise<string> {
  return hash(secret, ROUNDS_FOR_RANDOM);
}

async function hash(password: string, rounds: number): Promise<string> {
  const salt = randomBytes(16);
  const checksum = await promisify(pbkdf2)(password, salt, rounds, 64, 'sha512');
  return `$pbkdf2-sha512$${rounds}$${adaptedBase64(salt)}$${adaptedBase64(checksum)}`;
}

/** passlib's base64: no padding, `.` for `+`. */
function adaptedBase64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '').replaceAll('+', '.');
}
