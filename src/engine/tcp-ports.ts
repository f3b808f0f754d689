import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';

/**
 * Whether the port can be bound on the address, found out by binding it for a moment.
 * @throws the system's error when the address itself is wrong.
 */
export function isFree(port: number, address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host: address, exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

/** The state of an open connection in the kernel's tables, see proc(5). */
const ESTABLISHED = '01';

/** Whether somebody is connected to a port of this host; false where the kernel does not tell. */
export async function isTalkedTo(port: number): Promise<boolean> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((table) => readFile(table, 'utf8').catch(() => '')),
  );
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return tables
    .join('')
    .split('\n')
    .some((row) => {
      const [, local, , state] = row.trim().split(/\s+/);
      return state === ESTABLISHED && local?.endsWith(ending) === true;
    });
}
