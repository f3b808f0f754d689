import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  type ClientBase,
  type ClientConfig,
  escapeIdentifier,
  escapeLiteral,
  Pool,
} from 'pg';
import type { PostgresServer } from '../docker/postgres-access.ts';
import { RetryableError, TenantDatabaseError } from '../errors.ts';
import { BROKEN_OFF, Hosts, isAway, type Way } from './hosts.ts';
import {
  inTenantDatabase,
  type SessionPurpose,
  type TenantLogin,
  type TenantSession,
} from './tenant-session.ts';

/** Where a Postgres listens and who administers it. */
export type ClusterAddress = PostgresServer & {
  readonly user: string;
  readonly password: string;
};

/** What a server is like. */
export interface ServerFacts {
  /** The major one. */
  readonly version: number;
  /** How each standby is in step (`async`, `sync`, `quorum`, …); null where the administrator may not see it. */
  readonly standbys: ReadonlyArray<string | null>;
}

/**
 * The database that the administrator connects to. Tenants may not enter it (pg_hba.conf, and CONNECT is revoked), so nothing that
 * a tenant made can run in it.
 */
const ADMIN_DATABASE = 'microsaas_admin';

/** What a database begins as: without rows, with Odoo's extensions, and open to all roles that may connect to it. */
const EMPTY = 'microsaas_empty';

/** The database to which every tenant's role may connect: Odoo's cron and its bus listen there. */
const SHARED_DATABASE = 'postgres';

/** A database of the server's own that nobody but the administrator enters: where the others are made from at first. */
const FIRST_DATABASE = 'template1';

/**
 * How every database is made. Postgres gives each new one to everybody (CONNECT for PUBLIC), and who is in stays in: it lets nobody in
 * until openedToNobody() has taken that away, whatever pg_hba.conf says.
 */
const CLOSED = 'ALLOW_CONNECTIONS false';

/** How long a statement may run and wait for a lock, in milliseconds. Tenants can hold locks in the catalogs that all share. */
const STATEMENT_TIMEOUT_MS = 300_000;
const LOCK_TIMEOUT_MS = 5_000;

/** How long a server may take to come up, and how often it is tried meanwhile, in milliseconds. */
const START_TIMEOUT_MS = 60_000;
const START_POLL_MS = 50;

/** Tenants' roles: enough for Odoo's own pool (db_maxconn in the templates) and some more, too few to starve the neighbours. */
const CONNECTION_LIMIT = 56;

/** Errors that say "Postgres is not there (yet)", as opposed to "Postgres refuses", beside those of a host that is not there. */
const AWAY = new Set([...BROKEN_OFF, '57P01', '53300']);

/** Another object still depends on the role (2BP01), or an open transaction of a tenant locks what it needs (55P03). */
const STILL_MENTIONED = new Set(['2BP01', '55P03']);

/** How many connections are kept, and for how long unused, in milliseconds. */
const MAX_IDLE_CONNECTIONS = 8;
const IDLE_CONNECTION_MS = 30_000;

/** How long one of them is waited for, in milliseconds. */
const POOL_TIMEOUT_MS = 30_000;

/** How long terminated connections are waited for, and how often they are looked for meanwhile, in milliseconds. */
const TERMINATE_TIMEOUT_MS = 5_000;
const TERMINATE_POLL_MS = 20;

/** Begins the names of roles that could not be dropped yet. */
const REMOVED = 'microsaas_removed_';

/**
 * The administrator of one Postgres server: the shared one of the host, or an instance's own. It makes, renames and drops databases and
 * roles from outside and never enters a database that tenants or their modules have filled: see tenant-session.ts, ADR 9.
 */
export class Cluster {
  /** Where it listens. */
  readonly server: PostgresServer;
  readonly #login: { readonly user: string; readonly password: string };
  readonly #hosts: Hosts;
  /** One for each host; only that of the one that takes writes is used. */
  readonly #pools: readonly Pool[];
  #prepared: Promise<void> | undefined;

  /** @param options `keepConnections`: for a server that is asked often; each new connection costs some milliseconds */
  constructor(address: ClusterAddress, options: { readonly keepConnections?: boolean } = {}) {
    const { password, user, ...server } = address;
    this.server = server;
    this.#login = { user, password };
    this.#hosts = new Hosts(server);
    this.#pools = options.keepConnections ? this.#hosts.ways.map((way) => this.#poolTo(way)) : [];
  }

  /**
   * Runs `work` with a connection of the administrator.
   * @throws RetryableError('PostgresUnavailable') when nobody answers.
   */
  async administer<T>(work: (client: ClientBase) => Promise<T>): Promise<T> {
    const once = () =>
      this.#pools.length > 0 ? this.#withKept(work) : this.#within(ADMIN_DATABASE, work);
    return asUnavailable(async () => {
      try {
        return await once();
      } catch (error) {
        if (!isAdminDatabaseUnfinished(error)) throw error;
        await this.#makeDatabase(ADMIN_DATABASE);
        return once();
      }
    });
  }

  /** Runs `work` in a tenant's database on this server, as the tenant. @throws as inTenantDatabase() does */
  enter<T>(
    login: TenantLogin,
    purpose: SessionPurpose,
    work: (session: TenantSession) => Promise<T>,
  ): Promise<T> {
    return inTenantDatabase(this.#hosts, login, purpose, work);
  }

  /** Waits until the server takes connections: the first start of a new one takes some seconds. */
  async awaitAnswer(signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await this.administer((client) => client.query('SELECT 1'));
        return;
      } catch (error) {
        if (!(error instanceof RetryableError) || Date.now() > deadline) throw error;
      }
      await sleep(START_POLL_MS, undefined, { signal });
    }
  }

  /** Makes the server ready for tenants. Once for all who ask together: Postgres refuses two who take the same rights away at once. */
  async prepare(): Promise<void> {
    this.#prepared ??= this.#prepare().catch((error) => {
      this.#prepared = undefined;
      throw error;
    });
    await this.#prepared;
  }

  async #prepare(): Promise<void> {
    if (!(await this.has(EMPTY))) await this.#makeEmpty();
    await this.#inSharedDatabase(async (client) => {
      await client.query(`REVOKE CREATE, TEMPORARY ON DATABASE ${SHARED_DATABASE} FROM PUBLIC`);
      await client.query('REVOKE ALL ON SCHEMA public FROM PUBLIC');
      // Large objects need no schema to be made in.
      const found = await client.query<{ name: string }>(
        `SELECT oid::regprocedure::text AS name FROM pg_proc
         WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(lo_|lowrite|loread)'
           AND has_function_privilege('public', oid, 'EXECUTE')`,
      );
      for (const { name } of found.rows)
        await client.query(`REVOKE EXECUTE ON FUNCTION ${name} FROM PUBLIC`);
    });
  }

  /** Only the administrator can enter it while it is filled; it gets the name that others use last. */
  async #makeEmpty(): Promise<void> {
    const unfinished = `${EMPTY}_new`;
    await this.drop(unfinished);
    await this.#makeDatabase(unfinished);
    await this.#within(unfinished, async (client) => {
      // As Odoo itself does when it creates a database (service/db.py): it has no right to here.
      await client.query('CREATE EXTENSION pg_trgm WITH SCHEMA public');
      await client.query('CREATE EXTENSION unaccent WITH SCHEMA public');
      // Only a database's own tenant can connect to it.
      await client.query('GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC');
    });
    await this.administer(async (client) => {
      await client.query(
        `ALTER DATABASE ${unfinished} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true`,
      );
      await client.query(`ALTER DATABASE ${unfinished} RENAME TO ${EMPTY}`);
    });
  }

  /** A database of the administrator's own, which nobody else may enter. */
  async #makeDatabase(name: string): Promise<void> {
    await this.#within(FIRST_DATABASE, async (client) => {
      const made = `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' ${CLOSED}`;
      // When two make it at once, one gets an error that it exists.
      await client.query(made).catch((error) => {
        if (error.code !== '42P04' && error.code !== '23505') throw error;
      });
      await inTransaction(client, openedToNobody(name)).catch((error) => {
        // The other one has just done the same.
        if (!isConcurrentUpdate(error)) throw error;
      });
    });
  }

  /** The only sessions of the administrator where tenants connect too: after prepare() they can make nothing there that could run. */
  async #inSharedDatabase<T>(work: (client: ClientBase) => Promise<T>): Promise<T> {
    return asUnavailable(() => this.#within(SHARED_DATABASE, work));
  }

  async #within<T>(database: string, work: (client: ClientBase) => Promise<T>): Promise<T> {
    const client = await this.#hosts.connect((way) => this.#connect(way, database));
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }

  async #connect(way: Way, database: string): Promise<Client> {
    const client = new Client(this.#settings(way, database));
    // Without a listener, a server that goes away between two queries would end the process.
    client.on('error', () => {});
    try {
      await client.connect();
      await this.#hosts.requireWritable(client);
      return client;
    } catch (error) {
      await client.end().catch(() => {}); // the error above is why
      throw error;
    }
  }

  #poolTo(way: Way): Pool {
    const { connectionTimeoutMillis } = way;
    const pool = new Pool({
      ...this.#settings(way, ADMIN_DATABASE),
      // The pool's own is also how long a caller waits while all are in use; a host that is not there is given up sooner.
      connectionTimeoutMillis: POOL_TIMEOUT_MS,
      Client: class extends Client {
        constructor(settings?: ClientConfig) {
          // The pool hides the password from whoever copies its settings.
          super({ ...settings, password: settings?.password, connectionTimeoutMillis });
        }
      },
      max: MAX_IDLE_CONNECTIONS,
      idleTimeoutMillis: IDLE_CONNECTION_MS,
      allowExitOnIdle: true,
      verify: (client, done) => void this.#hosts.requireWritable(client).then(() => done(), done),
    });
    // A server that goes away closes them; the next caller connects again.
    pool.on('error', () => {});
    pool.on('connect', (client) => client.on('error', () => {}));
    return pool;
  }

  async #withKept<T>(work: (client: ClientBase) => Promise<T>): Promise<T> {
    const client = await this.#hosts.connect((_, index) => (this.#pools[index] as Pool).connect());
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

  #settings(way: Way, database: string) {
    return {
      ...way,
      ...this.#login,
      database,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      options: '-c search_path=pg_catalog,pg_temp',
      application_name: 'microsaas',
    };
  }

  /** What the doctor asks of the server that takes writes. */
  async facts(): Promise<ServerFacts> {
    const { rows } = await this.administer((client) =>
      client.query<ServerFacts>(
        `SELECT current_setting('server_version_num')::int / 10000 AS version,
           ARRAY(SELECT sync_state FROM pg_stat_replication) AS standbys`,
      ),
    );
    return rows[0] as ServerFacts;
  }

  /** The hosts that would let in who uses no TLS, the administrator or anybody else. One that is away is not among them. */
  async plainHosts(): Promise<string[]> {
    const asked = this.#hosts.ways.map(async ({ connectionTimeoutMillis, host, port }) => {
      const way = { connectionTimeoutMillis, host, port, ssl: false };
      const refused = [this.#login.user, 'anybody'].map((user) => isRefused({ ...way, user }));
      return (await Promise.all(refused)).every(Boolean) ? [] : [host ?? ''];
    });
    return (await Promise.all(asked)).flat();
  }

  /** Gives the administrator another password than the one of this address. */
  async setPassword(password: string): Promise<void> {
    const name = escapeIdentifier(this.#login.user);
    const verifier = escapeLiteral(scramVerifier(password));
    await this.administer((client) => client.query(`ALTER ROLE ${name} WITH PASSWORD ${verifier}`));
  }

  /** Whether a database of exactly this name exists. */
  async has(database: string): Promise<boolean> {
    return this.administer(async (client) => {
      const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
      return found.rowCount === 1;
    });
  }

  /** What a database takes on the disk, in bytes. @param timeoutMs how long counting may take: a tenant can make millions of tables */
  async bytesOf(database: string, timeoutMs = STATEMENT_TIMEOUT_MS): Promise<number> {
    return this.administer(async (client) => {
      await client.query(`SET statement_timeout = ${timeoutMs}`);
      const found = await client.query<{ bytes: string }>('SELECT pg_database_size($1) AS bytes', [
        database,
      ]);
      // The connection is kept. After a failure it is not.
      await client.query('RESET statement_timeout');
      return Number(found.rows[0]?.bytes ?? 0);
    });
  }

  /** The names of all databases. */
  async names(): Promise<string[]> {
    return this.administer(async (client) => {
      const found = await client.query<{ datname: string }>('SELECT datname FROM pg_database');
      return found.rows.map(({ datname }) => datname);
    });
  }

  /** Creates the role, or gives the existing one its password again: a tenant can change their own. It may do nothing but log in. */
  async ensureRole(role: string, password: string): Promise<void> {
    await this.administer(async (client) => {
      const verb = (await hasRole(client, role)) ? 'ALTER' : 'CREATE';
      const name = escapeIdentifier(role);
      await client.query(`${verb} ROLE ${name} WITH ${loginRights(password)}`);
      // A tenant can give their role settings under which nothing of what follows would work.
      if (verb === 'ALTER') await client.query(`ALTER ROLE ${name} RESET ALL`);
    });
  }

  /**
   * Creates a database of the administrator's into which one role may go, besides the administrator. The tenant does not own it: an
   * owner could drop it, rename it and forge the comment on it from any other database.
   * @param source the database it begins as; undefined: an empty one
   * @param timeoutMs how long copying it may take, in milliseconds
   */
  async create(
    database: string,
    role: string,
    source = EMPTY,
    timeoutMs = STATEMENT_TIMEOUT_MS,
  ): Promise<void> {
    const [name, tenant, from] = [database, role, source].map(escapeIdentifier);
    const isLonger = timeoutMs !== STATEMENT_TIMEOUT_MS;
    await this.administer(async (client) => {
      if (isLonger) await client.query(`SET statement_timeout = ${timeoutMs}`);
      await client.query(`CREATE DATABASE ${name} TEMPLATE ${from} ${CLOSED}`);
      // The connection is kept. After a failure it is not.
      if (isLonger) await client.query('RESET statement_timeout');
      await inTransaction(client, [
        ...openedToNobody(name as string),
        `GRANT CONNECT, TEMPORARY ON DATABASE ${name} TO ${tenant}`,
      ]);
    });
  }

  /**
   * Brings what an earlier release made to what create() and ensureRole() make: it gave the database to its tenant, and their role
   * fewer connections.
   * @returns whether the database was the tenant's; then its comment is gone, which they may have written
   */
  async takeOver(database: string, role: string): Promise<boolean> {
    const [name, tenant] = [database, role].map(escapeIdentifier);
    return this.administer(async (client) => {
      const { rows } = await client.query<{ isOwned: boolean; isLimited: boolean }>(
        `SELECT
           EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datdba <> current_user::regrole) AS "isOwned",
           EXISTS (SELECT FROM pg_roles WHERE rolname = $2 AND rolconnlimit <> $3) AS "isLimited"`,
        [database, role, CONNECTION_LIMIT],
      );
      if (rows[0]?.isLimited)
        await client.query(`ALTER ROLE ${tenant} WITH CONNECTION LIMIT ${CONNECTION_LIMIT}`);
      if (!rows[0]?.isOwned) return false;
      await inTransaction(client, [
        `ALTER DATABASE ${name} OWNER TO CURRENT_USER`,
        `GRANT CONNECT, TEMPORARY ON DATABASE ${name} TO ${tenant}`,
        // From now on only the administrator writes it.
        `COMMENT ON DATABASE ${name} IS NULL`,
      ]);
      return true;
    });
  }

  /** Whether the role may make schemas in the database, and with them the extensions that Postgres trusts everybody with. */
  async mayMakeSchemas(database: string, role: string, may: boolean): Promise<void> {
    const [name, tenant] = [database, role].map(escapeIdentifier);
    const change = may
      ? `GRANT CREATE ON DATABASE ${name} TO`
      : `REVOKE CREATE ON DATABASE ${name} FROM`;
    await this.administer((client) => client.query(`${change} ${tenant}`));
  }

  /** Gives a completed database its tenant's name, and drops the role with the unfinished name, which admitted() made. */
  async complete(unfinished: string, tenant: string): Promise<void> {
    const [from, to] = [unfinished, tenant].map(escapeIdentifier);
    const rename = `ALTER DATABASE ${from} RENAME TO ${to}`;
    const isMentioned = await this.administer(async (client) => {
      try {
        await inTransaction(client, [rename, `DROP ROLE IF EXISTS ${from}`]);
        return false;
      } catch (error) {
        if (!STILL_MENTIONED.has((error as { code?: string }).code ?? '')) throw error;
        await client.query(rename);
        return true;
      }
    });
    if (isMentioned) await this.dropRole(unfinished);
  }

  /** Gives a database another name. Nobody may be connected to it. */
  async rename(database: string, to: string): Promise<void> {
    const [from, name] = [database, to].map(escapeIdentifier);
    await this.administer((client) => client.query(`ALTER DATABASE ${from} RENAME TO ${name}`));
  }

  /**
   * Terminates the connections of a role, the sidecar's own to its database with them. Whoever may log in may be back at once, and keeps
   * nobody from going on with that.
   */
  async disconnect(role: string): Promise<void> {
    await this.#terminate(role);
  }

  /**
   * Terminates the connections of a role until none is left, for some seconds at most: one that is told to end may still finish a commit.
   * @returns how many are left
   */
  async #terminate(role: string): Promise<number> {
    const deadline = Date.now() + TERMINATE_TIMEOUT_MS;
    for (;;) {
      const left = await this.administer(async (client) => {
        const found = await client.query(
          'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1',
          [role],
        );
        return found.rowCount ?? 0;
      });
      if (left === 0 || Date.now() > deadline) return left;
      await sleep(TERMINATE_POLL_MS);
    }
  }

  /**
   * Gives an existing role another password and terminates all of its connections: once this returns, those who know only an older one
   * write nothing any more, but for one who was in the middle of logging in: that may take as long as the server's
   * authentication_timeout allows. A role that is not there shuts nobody out.
   * @throws TenantDatabaseError when some of them do not end
   */
  async shutOut(role: string, password: string): Promise<void> {
    await this.administer(async (client) => {
      if (!(await hasRole(client, role))) return;
      await client.query(`ALTER ROLE ${escapeIdentifier(role)} WITH ${loginRights(password)}`);
    });
    // Afterwards: one that is let in before the change is ended by this.
    const left = await this.#terminate(role);
    if (left > 0)
      throw new TenantDatabaseError(role, new Error(`${left} of its connections do not end`));
  }

  /** Drops a database that is unfinished or archived, and closes the connections to it. */
  async drop(database: string): Promise<void> {
    await this.administer((client) =>
      client.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(database)} WITH (FORCE)`),
    );
  }

  /**
   * Drops a role, after its database. It is gone even where Postgres cannot drop it, because a neighbour granted something of
   * theirs to it: then it cannot log in, has given its name back, and is dropped by a later dropRemovedRoles().
   */
  async dropRole(role: string): Promise<void> {
    const name = escapeIdentifier(role);
    const isGone = await this.administer(async (client) => {
      if (!(await hasRole(client, role))) return true;
      await client.query(`ALTER ROLE ${name} WITH NOLOGIN PASSWORD NULL`);
      return false;
    });
    if (isGone) return;
    await this.disconnect(role);
    if (await this.#dropMentioned(role)) return;
    const removed = `${REMOVED}${randomBytes(8).toString('hex')}`;
    await this.administer((client) => client.query(`ALTER ROLE ${name} RENAME TO ${removed}`));
  }

  /** Drops what dropRole() had to leave. */
  async dropRemovedRoles(): Promise<void> {
    const found = await this.administer((client) =>
      client.query<{ name: string }>(
        'SELECT rolname AS name FROM pg_roles WHERE starts_with(rolname, $1)',
        [REMOVED],
      ),
    );
    for (const { name } of found.rows) await this.#dropMentioned(name);
  }

  /** @returns whether it is gone; what it left in the shared database goes with it */
  async #dropMentioned(role: string): Promise<boolean> {
    const name = escapeIdentifier(role);
    const isDone = (work: Promise<unknown>) =>
      work.then(
        () => true,
        (error) => {
          if (STILL_MENTIONED.has(error.code)) return false;
          throw error;
        },
      );
    const drop = () => isDone(this.administer((client) => client.query(`DROP ROLE ${name}`)));
    if (await drop()) return true;
    const left = this.#inSharedDatabase((client) => client.query(`DROP OWNED BY ${name}`));
    return (await isDone(left)) && drop();
  }
}

/** Runs the statements in one transaction. */
export async function inTransaction(
  client: ClientBase,
  statements: readonly string[],
): Promise<void> {
  // One message, so one round trip.
  await client.query(['BEGIN', ...statements, 'COMMIT'].join(';\n')).catch(async (error) => {
    await client.query('ROLLBACK').catch(() => {}); // the connection is gone, and all with it
    throw error;
  });
}

/** What lets a database that was made CLOSED take connections, though nobody's but its owner's. For one transaction. @param name quoted */
function openedToNobody(name: string): string[] {
  return [
    `REVOKE CONNECT, TEMPORARY ON DATABASE ${name} FROM PUBLIC`,
    `ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS true`,
  ];
}

/**
 * Lets a role into a database of another name: pg_hba.conf asks whether it is a member of the role that is called as the database
 * (`samerole`).
 */
export function admitted(role: string, database: string): string {
  return `CREATE ROLE ${escapeIdentifier(database)} NOLOGIN ROLE ${escapeIdentifier(role)}`;
}

/**
 * What a tenant's role may do, in SQL. That it is no superuser is so from the beginning: an administrator who is none may not even say
 * so, and only a superuser could change it.
 */
export function loginRights(password: string): string {
  return `LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT ${CONNECTION_LIMIT} PASSWORD ${escapeLiteral(scramVerifier(password))}`;
}

async function hasRole(client: ClientBase, role: string): Promise<boolean> {
  const found = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
  return found.rowCount === 1;
}

/** How Postgres says that no line of pg_hba.conf lets somebody in. */
const NO_ENTRY = '28000';

/** Whether nobody is let in so. Without a password: one that is asked for would be the answer already. */
async function isRefused(settings: ClientConfig): Promise<boolean> {
  const client = new Client({ ...settings, database: SHARED_DATABASE, password: '' });
  client.on('error', () => {});
  try {
    await client.connect();
    return false;
  } catch (error) {
    return isAway(error) || (error as { code?: string }).code === NO_ENTRY;
  } finally {
    await client.end().catch(() => {});
  }
}

async function asUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw isUnavailable(cause)
      ? new RetryableError('PostgresUnavailable', 'The database server does not answer.', { cause })
      : cause;
  }
}

/** Whether the administrator's own database does not exist yet, or is still closed, as opposed to another one that was asked for. */
function isAdminDatabaseUnfinished(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  const isUnfinished = code === '3D000' || code === '55000';
  return isUnfinished && message?.includes(ADMIN_DATABASE) === true;
}

/** Two statements changed one row of a system catalogue at the same moment: the first one's change stands, the second one's does not. */
function isConcurrentUpdate(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return code === 'XX000' && message === 'tuple concurrently updated';
}

function isUnavailable(error: unknown): boolean {
  return isAway(error) || AWAY.has((error as { code?: string }).code ?? '');
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
