import { createServer } from 'node:net';

/** Whether this TCP port of the loopback address can be bound now. */
async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}

/**
 * The first free TCP port of the loopback address, from `wanted` upwards.
 * @throws Error when none of a thousand is free
 */
export async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + 1000; port += 1) {
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port between ${wanted} and ${wanted + 999}.`);
}
