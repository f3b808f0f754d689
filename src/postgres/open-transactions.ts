import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';

/** How often it is looked, and how long at most, in milliseconds: a report may take Odoo minutes. */
const LOOK = 20;
const PATIENCE = 2_000;

/** A request is several transactions, some hundredths of a second apart: one that begins so soon still belongs to it, in milliseconds. */
const BETWEEN_TWO = 60;

/**
 * Waits until an Odoo has answered the requests that it is answering at this moment, for two seconds at most. It has a transaction
 * open for nearly all of that time.
 * @param database the Odoo's
 */
export async function openTransactionsOver(
  cluster: Cluster,
  database: string,
  signal: AbortSignal,
): Promise<void> {
  const query = (sql: string, values: string[]) =>
    cluster.administer((client) => client.query<{ until: string }>(sql, values));
  const began = Date.now();
  const clock = await query(
    `SELECT (clock_timestamp() + interval '${BETWEEN_TWO} ms')::text AS until`,
    [],
  );
  const until = clock.rows[0]?.until ?? '';
  const isOpen = async () => {
    const open = await query(
      'SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND xact_start <= $2::timestamptz',
      [database, until],
    );
    return open.rowCount !== 0;
  };
  while (Date.now() < began + PATIENCE) {
    if (!(await isOpen()) && Date.now() > began + BETWEEN_TWO) return;
    await sleep(LOOK, undefined, { signal });
  }
}
