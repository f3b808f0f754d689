import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { CommandError } from '../errors.ts';
import type { NetworkServer, PostgresServer, SocketServer } from '../instance/types.ts';
import { networkCreate } from './commands.ts';
import type { DockerCli } from './docker-cli.ts';
import { closedNetwork } from './names.ts';

export type { PostgresServer, SocketServer };

/** Where a container has the server's socket, or the certificate of its authority. */
const SOCKET_IN_CONTAINER = '/run/postgresql';
export const CA_IN_CONTAINER = '/run/postgresql-ca.crt';

/** How long libpq waits for one host before it asks the next one, in seconds. */
const CONNECT_SECONDS = 3;

/** What libpq does in a container, whoever calls it: odoo.conf has no options for these. */
export const LIBPQ_ENVIRONMENT = {
  PGTARGETSESSIONATTRS: 'read-write',
  PGSSLROOTCERT: CA_IN_CONTAINER,
  PGCONNECT_TIMEOUT: String(CONNECT_SECONDS),
} as const;

/**
 * What the kernel does in a container: a host that is gone without a word is noticed within some 20 s. With its own values Odoo waits for
 * a quarter of an hour.
 */
export const TCP_SYSCTLS = {
  'net.ipv4.tcp_keepalive_time': '10',
  'net.ipv4.tcp_keepalive_intvl': '3',
  'net.ipv4.tcp_keepalive_probes': '3',
  'net.ipv4.tcp_retries2': '5',
  'net.ipv4.tcp_syn_retries': '2',
} as const;

/** What the options of odoo.conf say of where the database server is. */
export function odooOptions(server: PostgresServer): Readonly<Record<string, string>> {
  if ('socketDir' in server) return { db_host: SOCKET_IN_CONTAINER };
  const { hosts, port } = server;
  return { db_host: hosts.join(','), db_port: String(port), db_sslmode: 'verify-full' };
}

/** What of libpq's parameters says where the server is, in a container. */
export function libpqOptions(server: PostgresServer): Readonly<Record<string, string>> {
  if ('socketDir' in server) return { host: SOCKET_IN_CONTAINER };
  const { hosts, port } = server;
  return {
    ...{ host: hosts.join(','), port: String(port) },
    ...{ sslmode: 'verify-full', sslrootcert: CA_IN_CONTAINER },
    ...{ target_session_attrs: 'read-write', connect_timeout: String(CONNECT_SECONDS) },
  };
}

/** How a helper reaches one Postgres and nothing else: its network, and options of `docker run`. */
export interface PostgresAccess {
  readonly network: 'none' | `ms-${string}`;
  readonly options: readonly string[];
}

/**
 * A server at a socket is reached without a network. One on the network is reached from the closed one, on which the firewall lets
 * through nothing else; names are found here, since there is no name server.
 */
export async function accessTo(
  host: { readonly install: string; readonly docker: DockerCli },
  server: PostgresServer,
): Promise<PostgresAccess> {
  if ('socketDir' in server)
    return { network: 'none', options: [`--volume=${server.socketDir}:${SOCKET_IN_CONTAINER}:ro`] };
  const network = closedNetwork(host.install);
  const [addresses] = await Promise.all([addressesOf(server), ensureNetwork(host, network)]);
  return {
    network,
    options: [
      '--dns=127.0.0.1',
      ...addresses.map((entry) => `--add-host=${entry}`),
      ...Object.entries(TCP_SYSCTLS).map(([name, value]) => `--sysctl=${name}=${value}`),
      ...Object.entries(LIBPQ_ENVIRONMENT).map(([name, value]) => `--env=${name}=${value}`),
      `--volume=${server.caFile}:${CA_IN_CONTAINER}:ro`,
    ],
  };
}

/** The hosts' names with their addresses of now, `name:address`, as Docker takes them. One that is not found is left out: another may be. */
export async function addressesOf({ hosts }: NetworkServer): Promise<string[]> {
  const found = await Promise.all(
    hosts
      .filter((host) => isIP(host) === 0)
      .map(async (host) => {
        const addresses = await lookup(host, { all: true }).catch(() => []);
        return addresses.map(({ address }) => `${host}:${address}`);
      }),
  );
  return found.flat();
}

/** The engine makes it too, for staging copies: whoever comes second is told that it is there. */
async function ensureNetwork(
  { docker, install }: { readonly install: string; readonly docker: DockerCli },
  network: string,
): Promise<void> {
  await docker(networkCreate(install, network)).catch((error) => {
    const isThere =
      error instanceof CommandError && /already exists|same bridge name/.test(error.stderr);
    if (!isThere) throw error;
  });
}
