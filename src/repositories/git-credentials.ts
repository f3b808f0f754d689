import { readFile, stat, writeFile } from 'node:fs/promises';
import { ConfigError } from '../errors.ts';
import { registerSecret } from '../log.ts';

/** Access to private repositories, as the operator configures it. */
export interface GitCredential {
  /** How the addresses begin that it is for, `https://git.example.com/acme`. */
  readonly url: string;
  readonly user: string;
  /** A file of mode 0600 with the token; read at each fetch, so that a new one counts at once. */
  readonly tokenFile: string;
}

/** The credential for an address, the one with the longest beginning; null: it is asked without one. */
export function credentialFor(
  url: string,
  credentials: readonly GitCredential[],
): GitCredential | null {
  const beginsWith = (beginning: string) =>
    url === beginning || url.startsWith(beginning.endsWith('/') ? beginning : `${beginning}/`);
  const [longest] = credentials
    .filter((it) => beginsWith(it.url))
    .sort((a, b) => b.url.length - a.url.length);
  return longest ?? null;
}

/**
 * Writes the token into a file of git's settings that only we can read, so that it stands neither in an argument nor in the
 * environment. Sent to this address alone: redirections are not followed (git.ts).
 * @throws ConfigError when the token cannot be read, or others can read it
 */
export async function writeCredential(
  file: string,
  { tokenFile, url, user }: GitCredential,
): Promise<void> {
  const header = Buffer.from(`${user}:${await readToken(tokenFile)}`).toString('base64');
  registerSecret(header);
  const text = `[http "${url}"]\n\textraHeader = Authorization: Basic ${header}\n`;
  await writeFile(file, text, { mode: 0o600, flag: 'wx' });
}

async function readToken(file: string): Promise<string> {
  const wrong = (found: string) =>
    new ConfigError(`repositories.credentials: expected a token in ${file}, found ${found}`);
  const status = await stat(file).catch((error) => {
    throw wrong(error.code);
  });
  if ((status.mode & 0o077) !== 0) throw wrong('it open to others: chmod 600 it');
  const token = (await readFile(file, 'utf8')).trim();
  if (token === '') throw wrong('it empty');
  return registerSecret(token);
}
