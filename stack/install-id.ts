import { randomInt } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const LETTERS_AND_DIGITS = `${LETTERS}0123456789`;
const INSTALL_ID = /^[a-z][a-z0-9]{5}$/;

/**
 * The install id kept in a file; made up the first time. Every name on the machine carries it, so that several
 * checkouts live side by side.
 * @throws Error when the file holds something else
 */
export async function installId(file: string): Promise<string> {
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept !== undefined) {
    const id = kept.trim();
    if (!INSTALL_ID.test(id)) throw new Error(`${file} does not hold an install id: remove it.`);
    return id;
  }
  const rest = Array.from({ length: 5 }, () => LETTERS_AND_DIGITS[randomInt(36)]);
  const id = `${LETTERS[randomInt(26)]}${rest.join('')}`;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${id}\n`);
  return id;
}
