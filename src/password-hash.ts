import { pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/**
 * Rounds slow down whoever tries out what people think up. A long random secret cannot be guessed at any number of them, so that
 * nobody has to wait the third of a second that Odoo's own 600,000 take (`MIN_ROUNDS` in res_users.py).
 */
const ROUNDS = 1_000;

/**
 * The hash of a long random secret as Odoo 17-19 stores it (passlib's pbkdf2_sha512). Odoo hashes a user's password anew, with all
 * its rounds, when she first logs in.
 * @returns `$pbkdf2-sha512$1000$<salt>$<checksum>`
 */
export async function hashRandomSecret(secret: string): Promise<string> {
  const salt = randomBytes(16);
  const checksum = await promisify(pbkdf2)(secret, salt, ROUNDS, 64, 'sha512');
  return `$pbkdf2-sha512$${ROUNDS}$${adaptedBase64(salt)}$${adaptedBase64(checksum)}`;
}

/** passlib's base64: no padding, `.` for `+`. */
function adaptedBase64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '').replaceAll('+', '.');
}
