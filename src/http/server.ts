import { createServer, type Server } from 'node:http';
import { type AddressInfo, BlockList, isIP, isIPv6 } from 'node:net';
import { ConfigError } from '../errors.ts';
import { addOperatorRoutes, type HttpOptions, makeApp, makeSignedRoutes } from './app.ts';

export type { HttpOptions } from './app.ts';

/** Connections beyond these are refused at once, so a flood costs no memory. */
const MAX_CONNECTIONS = 200;
/** How long answers under way may still take when closing, in milliseconds. */
const CLOSING_GRACE_MS = 1_000;

export interface ListenAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Without health and metrics: for addresses that others than the host can reach. */
  readonly webhookOnly: boolean;
  /** Connections from outside this network (CIDR) are cut before anything is read. */
  readonly allowFrom?: string;
}

export interface HttpServer {
  /** Where it listens, in the order of the addresses given. */
  readonly addresses: readonly AddressInfo[];
  /** Takes no more requests; resolves when those under way are answered, or cut after a second. */
  close(): Promise<void>;
}

/**
 * Serves the webhook, health and metrics on all the addresses, or on none.
 * @throws ConfigError when one of them cannot be listened on.
 */
export async function listen(
  addresses: readonly ListenAddress[],
  options: HttpOptions,
): Promise<HttpServer> {
  const signed = makeSignedRoutes(options);
  const operator = (app: Parameters<typeof signed>[0]) => addOperatorRoutes(app, options);
  const apps = {
    gateway: makeApp(options.log, signed),
    host: makeApp(options.log, signed, operator),
  };
  const servers: Server[] = [];
  const close = async () => {
    await Promise.all(servers.map(closeServer));
  };
  try {
    for (const address of addresses) {
      const server = makeServer(address, address.webhookOnly ? apps.gateway : apps.host);
      await started(server, address);
      servers.push(server);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { addresses: servers.map((server) => server.address() as AddressInfo), close };
}

function makeServer(address: ListenAddress, app: ReturnType<typeof makeApp>): Server {
  const server = createServer(
    {
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 16 * 1024,
    },
    app,
  );
  server.maxConnections = MAX_CONNECTIONS;
  if (address.allowFrom !== undefined) {
    const allowed = network(address.allowFrom);
    server.prependListener('connection', (socket) => {
      const from = socket.remoteAddress;
      const isAllowed = from !== undefined && allowed.check(from, isIPv6(from) ? 'ipv6' : 'ipv4');
      if (!isAllowed) socket.destroy();
    });
  }
  return server;
}

/** A network in CIDR notation, `172.20.0.0/16`. @throws ConfigError when it is none. */
function network(cidr: string): BlockList {
  const [, ip = '', bits = ''] = /^(.+)\/(\d{1,3})$/.exec(cidr) ?? [];
  const version = isIP(ip);
  if (version === 0 || Number(bits) > (version === 6 ? 128 : 32)) {
    throw new ConfigError(`allowed network: expected address/bits, found ${cidr}`);
  }
  const list = new BlockList();
  list.addSubnet(ip, Number(bits), version === 6 ? 'ipv6' : 'ipv4');
  return list;
}

function started(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new ConfigError(`cannot listen on ${host} port ${port}: ${error.message}`)),
    );
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), CLOSING_GRACE_MS);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}
