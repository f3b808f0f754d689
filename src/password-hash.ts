import { pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/** Odoo's own minimum (`MIN_ROUNDS` in res_users.py): fewer would be hashed anew at the first login. */
const ROUNDS = 600_000;

/**
 * A password hash as Odoo 17-19 stores it (passlib's pbkdf2_sha512). Runs on a worker thread: about a third of a second.
 * @returns `$pbkdf2-sha512$600000$<salt>$<checksum>`
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const checksum = await promisify(pbkdf2)(password, salt, ROUNDS, 64, 'sha512');
  return `$pbkdf2-sha512$${ROUNDS}$${adaptedBase64(salt)}$${adaptedBase64(checksum)}`;
}

/** passlib's base64: no padding, `.` for `+`. */
function adaptedBase64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '').replaceAll('+', '.');
}
