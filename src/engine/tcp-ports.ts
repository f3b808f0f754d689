import { createServer } from 'node:net';
import { RetryableError } from '../errors.ts';
import type { PortPair } from '../instance/types.ts';
import type { PortRange } from '../interfaces.ts';

export interface PortSearch {
  readonly http: PortRange;
  readonly longpolling: PortRange;
  /** Ports that some instance has, running or not. */
  readonly taken: ReadonlySet<number>;
  /** The host's address they would be published on. */
  readonly address: string;
}

/**
 * The lowest port of each range that nobody has and that can be bound now.
 * @throws RetryableError NoFreePorts when a range is used up: a removed instance frees its ports.
 */
export async function nextFreePair(search: PortSearch): Promise<PortPair> {
  const http = await lowestFree(search.http, search);
  const longpolling = await lowestFree(search.longpolling, {
    ...search,
    taken: new Set([...search.taken, http]),
  });
  return { http, longpolling };
}

async function lowestFree([first, last]: PortRange, search: PortSearch): Promise<number> {
  for (let port = first; port <= last; port += 1)
    if (!search.taken.has(port) && (await isFree(port, search.address))) return port;
  throw new RetryableError('NoFreePorts', `No port from ${first} to ${last} is free.`, {
    detail: `${first}-${last}`,
  });
}

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
