import { readFileSync } from 'node:fs';
import type { ClientBase, ClientConfig } from 'pg';
import type { PostgresServer } from '../docker/postgres-access.ts';
import { RetryableError } from '../errors.ts';

/** How long a connection may take, in milliseconds. A server at a socket that is not there says so at once: one that takes its time is busy. */
const SOCKET_TIMEOUT_MS = 30_000;
const NETWORK_TIMEOUT_MS = 3_000;

/** When a silent connection is asked whether it still is one, in milliseconds; ten seconds later it is given up. */
const KEEPALIVE_MS = 10_000;

/** Where the driver connects to: one host of a server, or its socket. */
export type Way = Pick<
  ClientConfig,
  'host' | 'port' | 'ssl' | 'keepAlive' | 'keepAliveInitialDelayMillis'
> & { readonly connectionTimeoutMillis: number };

/** Errors that say that a host is not there: those of sockets, of names, and of Postgres' start and stop. A tenant causes none of them. */
export const HOST_AWAY: ReadonlySet<string> = new Set([
  ...['ENOENT', 'ECONNREFUSED', '57P03'],
  ...['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EHOSTDOWN', 'ENOTFOUND', 'EAI_AGAIN'],
]);

/** Errors that say that a connection was broken off: by a host that is going or a proxy without one, or because of what a tenant did. */
export const BROKEN_OFF: ReadonlySet<string> = new Set(['ECONNRESET', 'ECONNABORTED', 'EPIPE']);

/** The hosts of one server, of which one takes writes: libpq's `target_session_attrs=read-write`, which the driver has not. */
export class Hosts {
  /** In their order in the configuration. */
  readonly ways: readonly Way[];
  /** The one that took writes last: it is asked first. */
  #last = 0;

  constructor(server: PostgresServer) {
    this.ways = waysTo(server);
  }

  /**
   * Connects to the host that takes writes.
   * @param connect to one host, and calls requireWritable(); where it throws that the host is away or breaks off, the next one is tried
   * @throws what `connect` threw for the last one, or rather that one broke off, or what is neither
   */
  async connect<T>(connect: (way: Way, index: number) => Promise<T>): Promise<T> {
    const first = this.#last;
    let failure: unknown;
    let brokenOff: unknown;
    for (let tried = 0; tried < this.ways.length; tried++) {
      const index = (first + tried) % this.ways.length;
      try {
        const connected = await connect(this.ways[index] as Way, index);
        this.#last = index;
        return connected;
      } catch (error) {
        if (BROKEN_OFF.has((error as { code?: string }).code ?? '')) brokenOff = error;
        else if (!isAway(error)) throw error;
        failure = error;
      }
    }
    // Otherwise a tenant whose connections break would have the whole server taken for away.
    throw brokenOff ?? failure;
  }

  /**
   * Refuses a standby. One host alone is not asked: it would be the only one in any case.
   * @throws RetryableError('PostgresUnavailable')
   */
  async requireWritable(client: ClientBase): Promise<void> {
    if (this.ways.length === 1) return;
    const { rows } = await client.query<{ isStandby: boolean }>(
      'SELECT pg_catalog.pg_is_in_recovery() AS "isStandby"',
    );
    if (rows[0]?.isStandby !== false)
      throw new RetryableError('PostgresUnavailable', 'No database server takes writes.');
  }
}

/** Whether nobody answers there, or who answers takes no writes: another host may. */
export function isAway(error: unknown): boolean {
  if (error instanceof RetryableError) return error.reason === 'PostgresUnavailable';
  const { code, message } = error as { code?: string; message?: string };
  // An error of Postgres has a code, one of the driver has none.
  return code === undefined
    ? /timeout|terminated|not queryable/i.test(message ?? '')
    : HOST_AWAY.has(code);
}

function waysTo(server: PostgresServer): Way[] {
  if ('socketDir' in server)
    return [{ host: server.socketDir, connectionTimeoutMillis: SOCKET_TIMEOUT_MS }];
  const { caFile, hosts, port } = server;
  const ssl = { ca: readFileSync(caFile), rejectUnauthorized: true };
  return hosts.map((host) => ({
    ...{ host, port, ssl, connectionTimeoutMillis: NETWORK_TIMEOUT_MS },
    ...{ keepAlive: true, keepAliveInitialDelayMillis: KEEPALIVE_MS },
  }));
}
