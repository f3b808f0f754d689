import pg from 'pg';

/** A Postgres server reached through its socket directory, as one role. */
export interface SqlServer {
  /** Absolute path of the directory with the socket. */
  socketDir: string;
  user: string;
  password: string;
}

/** A quoted SQL identifier. */
export const quoted = pg.escapeIdentifier;

/** A quoted SQL string, for statements that take no parameters. */
export const literal = pg.escapeLiteral;

/** Runs one statement and returns its rows. */
export type Sql = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;

/**
 * Runs SQL on one connection of its own.
 * @param work gets a function that runs one statement and returns its rows
 * @throws the driver's errors
 */
export async function withSql<T>(
  server: SqlServer,
  database: string,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    host: server.socketDir,
    user: server.user,
    password: server.password,
    database,
    connectionTimeoutMillis: 5000,
  });
  // A server that goes away while nobody asks it anything must not end this process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(async (text, values) => (await client.query(text, values)).rows);
  } finally {
    await client.end();
  }
}
