import { escapeIdentifier, escapeLiteral } from 'pg';
import { z } from 'zod';
import { RetryableError, TerminalError } from '../errors.ts';
import { type Cluster, inTransaction } from '../postgres/cluster.ts';
import { MAKING, type TenantLogin } from '../postgres/tenant-session.ts';

/**
 * Creates an empty database for Odoo to initialise, owned by the role of the same name, since only an owner may VACUUM FULL the
 * database's own catalogs in freeze().
 */
export async function createEmpty(cluster: Cluster, database: string): Promise<void> {
  const name = escapeIdentifier(database);
  await cluster.create(database, database);
  await cluster.administer((client) => client.query(`ALTER DATABASE ${name} OWNER TO ${name}`));
}

/**
 * Checks in the database which modules are installed: Odoo only warns of a
 * module that it does not know ("invalid module names, ignored", odoo/modules/loading.py) and exits with 0.
 * @throws TerminalError('ModulesFailed') naming the missing ones; RetryableError when the database is not initialised
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
        throw new RetryableError(
          'DatabaseNotInitialised',
          'Odoo did not initialise the template database.',
        );
      }),
  );
  const found = new Set(installed.map(({ name }) => name));
  const missing = modules.filter((module) => !found.has(module));
  if (missing.length > 0)
    throw new TerminalError(
      'ModulesMissing',
      `These modules could not be installed: ${missing.join(', ')}.`,
      { detail: missing.join(', ') },
    );
}

/**
 * Turns a finished database into a template under its final name, to which nobody can connect.
 * @param comment its metadata, see template-metadata.ts
 */
export async function freeze(
  cluster: Cluster,
  login: TenantLogin,
  done: string,
  comment: string,
): Promise<void> {
  await cluster.enter(login, MAKING, async (session) => {
    // Cron jobs triggered by the installation would run in every clone within its first minute.
    await session.run('DELETE FROM public.ir_cron_trigger');
    // A sequence caches how many of its next values are in the WAL already. For a clone that is wrong: after a crash of the
    // server it would give out values twice. setval() resets the cache.
    await session.run(
      `SELECT count(setval(format('%I.%I', schemaname, sequencename)::regclass,
                           coalesce(last_value, start_value), last_value IS NOT NULL)) FROM pg_sequences`,
    );
    // Once here instead of in every clone: a tenth less to copy, and the planner has statistics. As the database's owner it
    // skips the shared catalogs, which every login on the server reads.
    await session.run('VACUUM (FULL, FREEZE, ANALYZE)');
  });
  const [from, to] = [login.database, done].map(escapeIdentifier);
  // A leftover if remove() was killed between dropping the database and its role.
  await cluster.dropRole(done);
  await cluster.disconnect(login.role);
  await cluster.administer((client) =>
    inTransaction(client, [
      `ALTER ROLE ${from} WITH NOLOGIN PASSWORD NULL`,
      `ALTER ROLE ${from} RENAME TO ${to}`,
      // Its role owns only its content: REASSIGN OWNED in a clone would otherwise make a tenant the template's owner.
      `ALTER DATABASE ${from} OWNER TO CURRENT_USER`,
      `ALTER DATABASE ${from} RESET ALL`,
      `ALTER DATABASE ${from} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true`,
      `ALTER DATABASE ${from} RENAME TO ${to}`,
      commentOn(done, comment),
    ]),
  );
}

/** Drops a template database and its role; clones of it are not affected. */
export async function dropTemplate(cluster: Cluster, database: string): Promise<void> {
  const name = escapeIdentifier(database);
  await cluster.administer(async (client) => {
    await client.query(`ALTER DATABASE ${name} WITH IS_TEMPLATE false`);
    await client.query(`DROP DATABASE ${name}`);
  });
  await cluster.dropRole(database);
}

/** Replaces the metadata of a template database. */
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
