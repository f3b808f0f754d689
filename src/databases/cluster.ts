import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientBase, escapeIdentifier, escapeLiteral, Pool } from 'pg';
import { RetryableError } from '../errors.ts';

/** Where a Postgres listens and who administers it. Reached through its unix socket alone. */
export interface ClusterAddress {
  readonly socketDir: string;
  readonly user: string;
  readonly password: string;
}

/** How long a connection may take and a statement may run, in milliseconds. */
const CONNECT_TIMEOUT = 5_000;
const STATEMENT_TIMEOUT = 300_000;

/** How long a server may take to come up, and how often it is tried meanwhile, in milliseconds. */
const START_TIMEOUT = 60_000;
const START_POLL = 50;

/** Tenants' roles: enough for Odoo's own pool (db_maxconn in the templates) and some more, too few to starve the neighbours. */
const CONNECTION_LIMIT = 56;

/** Errors that say "Postgres is not there (yet)", as opposed to "Postgres refuses". */
const AWAY = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', '57P03', '57P01', '53300']);

/** How many connections to the database `postgres` are kept, and for how long unused, in milliseconds. */
const KEPT_CONNECTIONS = 8;
const KEPT_FOR = 30_000;

/** One Postgres server: the shared one of the host, or an instance's own. */
export class Cluster {
  readonly address: ClusterAddress;
  readonly #pool: Pool | null;

  /** @param options `keepConnections`: for a server that is asked often; each new connection costs some milliseconds */
  constructor(address: ClusterAddress, options: { readonly keepConnections?: boolean } = {}) {
    this.address = address;
    this.#pool = options.keepConnections
      ? new Pool({
          ...this.#settings('postgres'),
          max: KEPT_CONNECTIONS,
          idleTimeoutMillis: KEPT_FOR,
          allowExitOnIdle: true,
        })
      : null;
    // A server that goes away closes them; whoever asks next finds that out.
    this.#pool?.on('error', () => {});
  }

  /**
   * Runs `work` with a connection of the administrator to one database.
   * @throws RetryableError('PostgresUnavailable') when nobody answers.
   */
  async connected<T>(database: string, work: (client: ClientBase) => Promise<T>): Promise<T> {
    try {
      return this.#pool && database === 'postgres'
        ? await this.#withKept(this.#pool, work)
        : await this.#withOwn(database, work);
    } catch (cause) {
      throw isAway(cause)
        ? new RetryableError('PostgresUnavailable', 'The database server does not answer.', {
            cause,
          })
        : cause;
    }
  }

  async #withKept<T>(pool: Pool, work: (client: ClientBase) => Promise<T>): Promise<T> {
    const client = await pool.connect();
    let failed = true;
    try {
      const result = await work(client);
      failed = false;
      return result;
    } finally {
      // After a failure it may be half-way through a transaction, or dead.
      client.release(failed);
    }
  }

  async #withOwn<T>(database: string, work: (client: ClientBase) => Promise<T>): Promise<T> {
    const client = new Client(this.#settings(database));
    // Without a listener, a server that goes away between two queries would end the process.
    client.on('error', () => {});
    try {
      await client.connect();
      return await work(client);
    } finally {
      await client.end();
    }
  }

  #settings(database: string) {
    return {
      host: this.address.socketDir,
      user: this.address.user,
      password: this.address.password,
      database,
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      statement_timeout: STATEMENT_TIMEOUT,
      application_name: 'microsaas',
    };
  }

  /** Waits until the server takes connections: the first start of a new one takes some seconds. */
  async awaitAnswer(signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT;
    for (;;) {
      try {
        await this.connected('postgres', (client) => client.query('SELECT 1'));
        return;
      } catch (error) {
        if (!(error instanceof RetryableError) || Date.now() > deadline) throw error;
      }
      await sleep(START_POLL, undefined, { signal });
    }
  }

  /**
   * Takes from the database `postgres` all that the public could do in it but connect: Odoo connects there
   * with its own role (its cron and its bus listen there), so it is the one room that tenants share.
   */
  async closeLobby(): Promise<void> {
    await this.connected('postgres', async (client) => {
      await client.query('REVOKE CREATE, TEMPORARY ON DATABASE postgres FROM PUBLIC');
      await client.query('REVOKE ALL ON SCHEMA public FROM PUBLIC');
    });
  }

  /** Whether a database of exactly this name exists. */
  async has(database: string): Promise<boolean> {
    return this.connected('postgres', async (client) => {
      const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
      return found.rowCount === 1;
    });
  }

  /** The names of all databases. */
  async names(): Promise<string[]> {
    return this.connected('postgres', async (client) => {
      const found = await client.query<{ datname: string }>('SELECT datname FROM pg_database');
      return found.rows.map(({ datname }) => datname);
    });
  }

  /** Creates the role, or gives the existing one this password; it may do nothing but log in. */
  async ensureRole(role: string, password: string): Promise<void> {
    const rights = `LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT ${CONNECTION_LIMIT} PASSWORD ${escapeLiteral(scramVerifier(password))}`;
    await this.connected('postgres', async (client) => {
      const found = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
      const verb = found.rowCount === 1 ? 'ALTER' : 'CREATE';
      await client.query(`${verb} ROLE ${escapeIdentifier(role)} WITH ${rights}`);
    });
  }

  /**
   * Creates a database of a role: Odoo offers a role only those it owns (`list_dbs` in service/db.py). Nobody else but the
   * administrator gets in.
   * @param source what it begins as, in SQL: `TEMPLATE …` and its options
   */
  async create(database: string, owner: string, source: string): Promise<void> {
    const [name, role] = [database, owner].map(escapeIdentifier);
    await this.connected('postgres', async (client) => {
      await client.query(`CREATE DATABASE ${name} OWNER ${role} ${source}`);
      await client.query(`REVOKE CONNECT, TEMPORARY ON DATABASE ${name} FROM PUBLIC`);
    });
  }

  /** Drops a database that is unfinished or archived, and whoever is still connected to it. */
  async drop(database: string): Promise<void> {
    await this.connected('postgres', (client) =>
      client.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(database)} WITH (FORCE)`),
    );
  }

  /** Gives a database that is complete its final name. */
  async rename(from: string, to: string): Promise<void> {
    await this.connected('postgres', (client) =>
      client.query(`ALTER DATABASE ${escapeIdentifier(from)} RENAME TO ${escapeIdentifier(to)}`),
    );
  }

  async dropRole(role: string): Promise<void> {
    await this.connected('postgres', (client) =>
      client.query(`DROP ROLE IF EXISTS ${escapeIdentifier(role)}`),
    );
  }
}

function isAway(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return (code !== undefined && AWAY.has(code)) || /timeout|terminated/i.test(message ?? '');
}

/** What Postgres stores for a password (RFC 5803), so that no statement ever carries the password itself. */
function scramVerifier(password: string): string {
  const iterations = 4096;
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  const serverKey = hmac('Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
