import { escapeIdentifier, escapeLiteral } from 'pg';
import { z } from 'zod';
import { RetryableError, TerminalError } from '../errors.ts';
import { type Cluster, inTransaction } from '../postgres/cluster.ts';
import { MAKING, type TenantLogin } from '../postgres/tenant-session.ts';

/**
 * An empty database for Odoo to fill, whose role has the same name. The role owns it while it is filled, since only then
 * freeze() may compact the database's own catalogs.
 */
export async function createEmpty(cluster: Cluster, database: string): Promise<void> {
  const name = escapeIdentifier(database);
  await cluster.create(database, database);
  await cluster.administer((client) => client.query(`ALTER DATABASE ${name} OWNER TO ${name}`));
}

/**
 * Odoo's exit code is not to be trusted (odoo.md §8.2): ask the database what is installed.
 * @throws TerminalError('ModulesFailed') naming what is not; RetryableError when there is nothing at all
 */
export async function checkInstalled(
  cluster: Cluster,
  login: TenantLogin,
  modules: readonly string[],
): Promise<void> {
  const installed = await cluster.enter(login, { ...MAKING, access: 'read' }, (session) =>
    session
      .rows(
        z.object({ name: z.string() }),
        `SELECT name::text FROM public.ir_module_module
         WHERE state = 'installed' AND name = ANY($1::text[])`,
        [modules],
      )
      .catch(() => {
        throw new RetryableError('ModulesFailed', 'Odoo did not initialise the template database.');
      }),
  );
  const found = new Set(installed.map(({ name }) => name));
  const missing = modules.filter((module) => !found.has(module));
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
  login: TenantLogin,
  done: string,
  comment: string,
): Promise<void> {
  await cluster.enter(login, MAKING, async (session) => {
    // Jobs that the installation asked for would run in every clone, all in its first minute.
    await session.run('DELETE FROM public.ir_cron_trigger');
    // A sequence remembers how many of its next numbers the log already holds. That is not true of a clone's log:
    // after a crash of the server it would give the same numbers again. Setting it makes it forget.
    await session.run(
      `SELECT count(setval(format('%I.%I', schemaname, sequencename)::regclass,
                           coalesce(last_value, start_value), last_value IS NOT NULL)) FROM pg_sequences`,
    );
    // Done once here, so that no clone has to: a tenth less to copy, and the planner knows the tables. By a role that owns
    // the database, all but the catalogs that every login on the server reads.
    await session.run('VACUUM (FULL, FREEZE, ANALYZE)');
  });
  const [from, to] = [login.database, done].map(escapeIdentifier);
  // Left behind where remove() was killed between the database and its role.
  await cluster.dropRole(done);
  await cluster.disconnect(login.role);
  await cluster.administer((client) =>
    inTransaction(client, [
      `ALTER ROLE ${from} WITH NOLOGIN PASSWORD NULL`,
      `ALTER ROLE ${from} RENAME TO ${to}`,
      // Its role owns only what is in it: REASSIGN OWNED in a clone would otherwise hand the template itself to a tenant.
      `ALTER DATABASE ${from} OWNER TO CURRENT_USER`,
      `ALTER DATABASE ${from} RESET ALL`,
      `ALTER DATABASE ${from} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true`,
      `ALTER DATABASE ${from} RENAME TO ${to}`,
      commentOn(done, comment),
    ]),
  );
}

/** Drops a template database and its role; clones of it stay. */
export async function dropTemplate(cluster: Cluster, database: string): Promise<void> {
  const name = escapeIdentifier(database);
  await cluster.administer(async (client) => {
    await client.query(`ALTER DATABASE ${name} WITH IS_TEMPLATE false`);
    await client.query(`DROP DATABASE ${name}`);
  });
  await cluster.dropRole(database);
}

/** Replaces what is to be known about a template database. */
export async function writeComment(
  cluster: Cluster,
  database: string,
  comment: string,
): Promise<void> {
  await cluster.administer((client) => client.query(commentOn(database, comment)));
}

function commentOn(database: string, comment: string): string {
  return `COMMENT ON DATABASE ${escapeIdentifier(database)} IS ${escapeLiteral(comment)}`;
}
