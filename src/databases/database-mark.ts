import { escapeIdentifier, escapeLiteral } from 'pg';
import { z } from 'zod';
import { databaseName } from '../instance/name.ts';
import type { DesiredInstance, Owner } from '../instance/types.ts';
import type { Cluster } from '../postgres/cluster.ts';

const markSchema = z.object({ install: z.string(), identity: z.uuid() });

/**
 * The identity mark of an instance's database is the comment on it, as JSON (ADR 12). It is written and read from the
 * administrator's own database, without entering the tenant's. A clone does not inherit it.
 */
export async function markDatabase(
  cluster: Cluster,
  database: string,
  install: string,
  { identity }: Pick<DesiredInstance, 'identity'>,
): Promise<void> {
  const mark = JSON.stringify({ install, identity });
  await cluster.administer((client) =>
    client.query(`COMMENT ON DATABASE ${escapeIdentifier(database)} IS ${escapeLiteral(mark)}`),
  );
}

/** The owner of a database by its mark; `nobody` when there is no database of that name. */
export async function databaseOwner(
  cluster: Cluster,
  database: string,
  install: string,
  { identity }: Pick<DesiredInstance, 'identity'>,
): Promise<Owner> {
  const found = await cluster.administer((client) =>
    client.query<{ comment: string | null }>(
      `SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = $1`,
      [database],
    ),
  );
  const [row] = found.rows;
  if (!row) return 'nobody';
  const mark = readMark(row.comment);
  if (mark === null) return 'unmarked';
  return mark.install === install && mark.identity === identity ? 'own' : 'foreign';
}

/** The ids of all instances that have a database here, unfinished ones included. */
export async function databaseNumbers(cluster: Cluster, install: string): Promise<number[]> {
  const prefix = databaseName(install, 1).slice(0, -1);
  const found = await cluster.administer((client) =>
    client.query<{ name: string }>(
      'SELECT datname AS name FROM pg_database WHERE starts_with(datname, $1)',
      [prefix],
    ),
  );
  const numbers = found.rows.map(({ name }) => /^(\d+)(_new)?$/.exec(name.slice(prefix.length)));
  return [...new Set(numbers.flatMap((match) => (match ? [Number(match[1])] : [])))];
}

/** Parses a comment; null when it is not an identity mark. */
function readMark(comment: string | null): z.infer<typeof markSchema> | null {
  try {
    return markSchema.parse(JSON.parse(comment ?? ''));
  } catch {
    return null;
  }
}
