import { isFree } from '../src/host/tcp-ports.ts';

/**
 * The first free TCP port of the loopback address, from `wanted` upwards.
 * @throws Error when none of a thousand is free
 */
export async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + 1000; port += 1) {
    if (await isFree(port, '127.0.0.1')) return port;
  }
  throw new Error(`No free port between ${wanted} and ${wanted + 999}.`);
}
