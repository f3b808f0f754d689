import { type ClientBase, escapeIdentifier, escapeLiteral } from 'pg';
import { RetryableError, TerminalError } from '../errors.ts';
import type { Cluster } from './cluster.ts';

/** What a database begins as before anything is in it, in SQL. */
export const EMPTY_DATABASE = "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'";

/** An empty database in which its role, of the same name, owns everything but the database itself. */
export async function createEmpty(cluster: Cluster, database: string): Promise<void> {
  const name = escapeIdentifier(database);
  await cluster.connected('postgres', async (client) => {
    // The administrator owns the database, the role only what is in it: REASSIGN OWNED in a clone would
    // otherwise hand the template itself to a tenant.
    await client.query(`CREATE DATABASE ${name} ${EMPTY_DATABASE}`);
    await client.query(`REVOKE CONNECT, TEMPORARY ON DATABASE ${name} FROM PUBLIC`);
    await client.query(`GRANT CONNECT, TEMPORARY ON DATABASE ${name} TO ${name}`);
  });
  await cluster.connected(database, async (client) => {
    // As Odoo itself does when it creates a database (service/db.py): it has no right to here.
    await client.query('CREATE EXTENSION IF NOT EXISTS pg_trgm');
    await client.query('CREATE EXTENSION IF NOT EXISTS unaccent');
    await client.query(`ALTER SCHEMA public OWNER TO ${name}`);
  });
}

/**
 * Odoo's exit code is not to be trusted (odoo.md §8.2): ask the database what is installed.
 * @throws TerminalError('ModulesFailed') naming what is not; RetryableError when there is nothing at all
 */
export async function checkInstalled(
  cluster: Cluster,
  database: string,
  modules: readonly string[],
): Promise<void> {
  const states = await cluster.connected(database, (client) =>
    client
      .query<{ name: string; state: string }>('SELECT name, state FROM ir_module_module')
      .catch(() => {
        throw new RetryableError('ModulesFailed', 'Odoo did not initialise the template database.');
      }),
  );
  const installed = new Set(states.rows.filter((m) => m.state === 'installed').map((m) => m.name));
  const missing = modules.filter((module) => !installed.has(module));
  if (missing.length > 0)
    throw new TerminalError(
      'ModulesFailed',
      `These modules could not be installed: ${missing.join(', ')}. Check the plan's module list.`,
      { detail: missing.join(', ') },
    );
}

/**
 * Makes a finished database a template under its final name; nobody connects to it any more.
 * @param comment what is to be known about it later
 */
export async function freeze(
  cluster: Cluster,
  unfinished: string,
  done: string,
  comment: string,
): Promise<void> {
  await cluster.connected(unfinished, async (client) => {
    // Jobs that the installation asked for would run in every clone, all in its first minute.
    await client.query('DELETE FROM ir_cron_trigger');
    // A sequence remembers how many of its next numbers the log already holds. That is not true of a clone's log:
    // after a crash of the server it would give the same numbers again. Setting it makes it forget.
    await client.query(
      `SELECT setval(format('%I.%I', schemaname, sequencename)::regclass,
                     coalesce(last_value, start_value), last_value IS NOT NULL) FROM pg_sequences`,
    );
    // Done once here, so that no clone has to: a tenth less to copy, and the planner knows the tables.
    await client.query('VACUUM (FULL, FREEZE, ANALYZE)');
  });
  const [from, to] = [unfinished, done].map(escapeIdentifier);
  await cluster.connected('postgres', (client) =>
    inTransaction(client, [
      // Left behind where remove() was killed between the database and its role.
      `DROP ROLE IF EXISTS ${to}`,
      `ALTER ROLE ${from} NOLOGIN`,
      `ALTER ROLE ${from} RENAME TO ${to}`,
      `ALTER DATABASE ${from} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true`,
      `ALTER DATABASE ${from} RENAME TO ${to}`,
      commentOn(done, comment),
    ]),
  );
}

/** Replaces what is to be known about a template database. */
export async function writeComment(
  cluster: Cluster,
  database: string,
  comment: string,
): Promise<void> {
  await cluster.connected('postgres', (client) => client.query(commentOn(database, comment)));
}

function commentOn(database: string, comment: string): string {
  return `COMMENT ON DATABASE ${escapeIdentifier(database)} IS ${escapeLiteral(comment)}`;
}

async function inTransaction(client: ClientBase, statements: readonly string[]): Promise<void> {
  await client.query('BEGIN');
  for (const statement of statements) await client.query(statement);
  await client.query('COMMIT');
}
