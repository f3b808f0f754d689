import { createConnection, createServer } from 'node:net';

/** How long a connection to an address of this host may take, in milliseconds. */
const CONNECT_MS = 2_000;

/**
 * Whether nobody has bound the port on the address, found out by binding it for a moment; by connecting where this process may not bind
 * it itself (below 1024, without the right): that says nothing about those who may.
 * @throws the system's error when the address itself is wrong.
 */
export function isFree(port: number, address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else if (error.code === 'EACCES')
        isListening(port, address).then((is) => resolve(!is), reject);
      else reject(error);
    });
    server.listen({ port, host: address, exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

function isListening(port: number, address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: address, timeout: CONNECT_MS });
    const end = (settle: () => void) => {
      socket.destroy();
      settle();
    };
    socket.once('connect', () => end(() => resolve(true)));
    socket.once('timeout', () => end(() => reject(new Error(`${address}:${port} is silent`))));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(() => (error.code === 'ECONNREFUSED' ? resolve(false) : reject(error))),
    );
  });
}
