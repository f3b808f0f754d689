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

async function isListening(port: number, address: string): Promise<boolean> {
  try {
    await connectTo(address, port, CONNECT_MS);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false;
    throw error;
  }
}

/**
 * Connects to a server, and hangs up.
 * @param timeoutMs how long it may take, in milliseconds
 * @throws the system's error; an Error that says so where nobody answers in time
 */
export function connectTo(host: string, port: number, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host, timeout: timeoutMs });
    const end = (settle: () => void) => {
      socket.destroy();
      settle();
    };
    socket.once('connect', () => end(resolve));
    socket.once('timeout', () => end(() => reject(new Error(`${host}:${port} is silent`))));
    socket.once('error', (error) => end(() => reject(error)));
  });
}
