import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ConfigError } from './errors.ts';
import { isInstallId } from './instance/name.ts';

/** The install id kept in `<dataDir>/install-id`; generated on the first start. */
export function readInstallId(dataDir: string): string {
  const file = join(dataDir, 'install-id');
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  if (!existsSync(file)) writeOnce(file, `${makeInstallId()}\n`);
  const id = readFileSync(file, 'utf8').trim();
  if (!isInstallId(id))
    throw new ConfigError(
      `${file}: expected a small letter and five small letters or digits, found ${JSON.stringify(id)}`,
    );
  return id;
}

/** The host id kept in `<dataDir>/host-id`; made on the first start. Two hosts of one install have two. */
export function readHostId(dataDir: string): string {
  const file = join(dataDir, 'host-id');
  if (!existsSync(file)) writeOnce(file, `${randomUUID()}\n`);
  const id = readFileSync(file, 'utf8').trim();
  if (!/^[0-9a-f-]{36}$/.test(id))
    throw new ConfigError(`${file}: expected a UUID, found ${JSON.stringify(id)}`);
  return id;
}

/** When this host was set up, in seconds since the epoch. */
export function installedAt(dataDir: string): number {
  return statSync(join(dataDir, 'install-id')).mtimeMs / 1000;
}

/** Makes a file that is not there yet, as a whole or not at all: of two programs starting together, the first one's stays. */
function writeOnce(file: string, text: string): void {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(draft, text, { flag: 'wx' });
    // Unlike rename, link never replaces.
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function makeInstallId(): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const all = `${letters}0123456789`;
  const rest = Array.from({ length: 5 }, () => all[randomInt(all.length)]);
  return `${letters[randomInt(letters.length)]}${rest.join('')}`;
}

/**
 * Ensures one sidecar per install in this network namespace, which is the host's where it is set up as deploy/ says, by an abstract
 * socket: known at once, before any call. The lock across namespaces is on Postgres (postgres/install-lock.ts). The kernel releases
 * the name when the process dies, however it dies.
 * @returns a function that releases it. @throws ConfigError when another sidecar holds it
 */
export async function lockInstall(install: string): Promise<() => void> {
  return lock(install, `another sidecar of the install ${install} is running on this host`);
}

/** The same for exports, which use the same folders. @throws ConfigError when another is being written */
export async function lockExports(install: string): Promise<() => void> {
  return lock(`${install}-export`, 'another export is being written on this host');
}

/** The same for restores that a command does by itself, which use the same folders. @throws ConfigError when one is under way */
export async function lockRestores(install: string): Promise<() => void> {
  return lock(`${install}-restore`, 'another restore by a command is under way on this host');
}

/** The same for backups of the manager, which use the same folders. @throws ConfigError when one is under way */
export async function lockManagerBackups(install: string): Promise<() => void> {
  return lock(`${install}-manager-backup`, 'the manager is being backed up or restored already');
}

async function lock(name: string, taken: string): Promise<() => void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? new ConfigError(taken) : error),
    );
    server.listen(`\0microsaas-${name}`, resolve);
  });
  server.unref();
  return () => void server.close();
}
