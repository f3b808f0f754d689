import { Socket } from 'node:net';
import { Client, type Connection } from 'pg';
import type { z } from 'zod';
import { RetryableError, TenantDatabaseError, TerminalError } from '../errors.ts';
import { HOST_AWAY, type Hosts, type Way } from './hosts.ts';

/** The way into one tenant's database: as the role that everything in it belongs to. */
export interface TenantLogin {
  readonly database: string;
  readonly role: string;
  readonly password: string;
}

/** What a session is for, and how long each statement and the whole session may take, in milliseconds. */
export interface SessionPurpose {
  readonly access: 'read' | 'write';
  readonly statementMs: number;
  readonly totalMs: number;
  /** How long it may wait within a transaction, in milliseconds; by default as long as a statement may take. */
  readonly idleMs?: number;
}

/** A query or a small change in a database that a tenant uses: anything in it may be there to delay the sidecar. */
export const LOOK: SessionPurpose = { access: 'read', statementMs: 3_000, totalMs: 8_000 };
export const TOUCH: SessionPurpose = { ...LOOK, access: 'write' };

/** Work on a database that no tenant has entered yet: only a slow machine delays it. */
export const MAKING: SessionPurpose = { access: 'write', statementMs: 300_000, totalMs: 900_000 };

/** A transaction that is open while a backup is taken: see TenantAccess.heldForBackup(). */
export const HOLDING: SessionPurpose = {
  ...{ access: 'write', statementMs: 60_000 },
  ...{ idleMs: 5 * 60 * 60_000, totalMs: 5 * 60 * 60_000 },
};

/** How long a statement waits for a lock, in milliseconds. */
const LOCK_TIMEOUT_MS = 2_000;

/** How much a session may receive, in bytes: errors and notices that a tenant's functions raise are part of it. */
const MAX_RECEIVED_BYTES = 1_000_000;

/** What is asked in a tenant's database. Only `pg_catalog` is searched, so every table is named with its schema. */
export interface TenantSession {
  /** Runs one statement. @returns how many rows it wrote */
  run(sql: string, values?: readonly unknown[]): Promise<number>;
  /** The rows of one query, each of which must be what `row` says: they are a stranger's text. */
  rows<T>(row: z.ZodType<T>, sql: string, values?: readonly unknown[]): Promise<T[]>;
}

/**
 * Runs `work` inside a tenant's database, logged in as the tenant: the only way into one (ADR 9). Triggers, views, operators and
 * functions that are stored there may run, with the tenant's own rights, for a limited time, and send a limited amount of data.
 * @throws RetryableError('PostgresUnavailable') when no server is there; TenantDatabaseError for all that the tenant may have caused
 */
export async function inTenantDatabase<T>(
  hosts: Hosts,
  login: TenantLogin,
  purpose: SessionPurpose,
  work: (session: TenantSession) => Promise<T>,
): Promise<T> {
  try {
    const { client, close } = await hosts.connect((way) => open(hosts, way, login, purpose));
    try {
      return await work(sessionOn(client));
    } finally {
      await close();
    }
  } catch (cause) {
    throw asReason(login.database, cause);
  }
}

/** Connects to one host. What comes through the connection, and for how long, is limited from its first byte on. */
async function open(
  hosts: Hosts,
  way: Way,
  login: TenantLogin,
  purpose: SessionPurpose,
): Promise<{ readonly client: Client; readonly close: () => Promise<void> }> {
  const socket = new Socket();
  const client = new Client({
    ...way,
    user: login.role,
    password: login.password,
    database: login.database,
    stream: () => socket,
    connectionTimeoutMillis: Math.min(purpose.totalMs, way.connectionTimeoutMillis),
    options: settings(purpose),
    application_name: 'microsaas',
  });
  // Without a listener, a server that goes away between two queries would end the process.
  client.on('error', () => {});
  const breakOff = (why: string) => socket.destroy(new Error(why));
  const timer = setTimeout(() => breakOff('it took too long'), purpose.totalMs);
  let received = 0;
  const count = ({ length }: Buffer) => {
    received += length;
    if (received > MAX_RECEIVED_BYTES) breakOff('it sent too much');
  };
  let hasAnswered = false;
  socket.on('connect', () => {
    hasAnswered = true;
    if (!way.ssl) socket.on('data', count);
  });
  // With TLS the socket's own bytes are no longer told of: those within are.
  const { connection } = client as unknown as { readonly connection: Connection };
  connection.on('sslconnect', () => connection.stream.on('data', count));
  const close = async () => {
    // A connection that is still open would prevent renaming the database.
    await client.end().catch(() => {});
    clearTimeout(timer);
    socket.destroy();
  };
  try {
    await client.connect();
    await hosts.requireWritable(client);
    return { client, close };
  } catch (cause) {
    await close();
    // Nothing of a tenant's is at work before anybody has answered.
    throw hasAnswered ? cause : unavailable(cause);
  }
}

function sessionOn(client: Client): TenantSession {
  return {
    run: async (sql, values = []) => (await client.query(sql, [...values])).rowCount ?? 0,
    rows: async (row, sql, values = []) =>
      row.array().parse((await client.query(sql, [...values])).rows),
  };
}

/** Settings of the connection itself come before those that a tenant gave their role or database. */
function settings({ access, statementMs, idleMs = statementMs }: SessionPurpose): string {
  const values = {
    search_path: 'pg_catalog,pg_temp',
    default_transaction_read_only: access === 'read' ? 'on' : 'off',
    statement_timeout: statementMs,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: idleMs,
    client_min_messages: 'error',
    local_preload_libraries: '',
  };
  return Object.entries(values)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

function asReason(database: string, cause: unknown): Error {
  if (HOST_AWAY.has((cause as { code?: string }).code ?? '')) return unavailable(cause);
  if (cause instanceof RetryableError || cause instanceof TerminalError) return cause;
  return new TenantDatabaseError(database, cause);
}

function unavailable(cause: unknown): RetryableError {
  return new RetryableError('PostgresUnavailable', 'The database server does not answer.', {
    cause,
  });
}
