import { randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ConfigError } from './errors.ts';
import { isInstallId } from './instance/name.ts';

/** The install id kept in `<dataDir>/install-id`; generated on the first start. */
export function readInstallId(dataDir: string): string {
  const file = join(dataDir, 'install-id');
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  try {
    // `wx`: of two sidecars starting concurrently, the first one's id is kept.
    writeFileSync(file, `${makeInstallId()}\n`, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const id = readFileSync(file, 'utf8').trim();
  if (!isInstallId(id))
    throw new ConfigError(
      `${file}: expected a small letter and five small letters or digits, found ${JSON.stringify(id)}`,
    );
  return id;
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
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new ConfigError(`another sidecar of the install ${install} is running on this host`)
          : error,
      ),
    );
    server.listen(`\0microsaas-${install}`, resolve);
  });
  server.unref();
  return () => void server.close();
}
