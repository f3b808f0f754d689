import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import type { TestEnvironment } from './environment.ts';
import { INSTANCE } from './instances.ts';

/** The ports that the form suggests when a name is typed. */
export async function suggestedPorts({ bookkeeper }: TestEnvironment, name: string) {
  const fields = { name: {}, http_port: {}, longpolling_port: {} };
  const { value } = await bookkeeper.call<{
    value: { http_port: number; longpolling_port: number };
  }>(INSTANCE, 'onchange', [[], { name, http_port: 0, longpolling_port: 0 }, ['name'], fields]);
  const { http_port, longpolling_port } = value;
  expect(http_port).to.be.within(20_000, 24_999);
  expect(longpolling_port).to.be.within(25_000, 29_999);
  return { http_port, longpolling_port };
}

/** Occupies a TCP port of the loopback address, as another program would. */
export async function occupy(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
