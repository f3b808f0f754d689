import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';

/** How often and for how long it is polled: a report may take Odoo minutes. */
const POLL_MS = 20;
const TIMEOUT_MS = 2_000;

/** A request is several transactions, some hundredths of a second apart: one that begins within this time still belongs to it. */
const GAP_MS = 60;

/**
 * Waits until an Odoo has finished the requests in progress, for two seconds at most. A request has a transaction open for nearly all
 * of its time.
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
    `SELECT (clock_timestamp() + interval '${GAP_MS} ms')::text AS until`,
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
  while (Date.now() < began + TIMEOUT_MS) {
    if (!(await isOpen()) && Date.now() > began + GAP_MS) return;
    await sleep(POLL_MS, undefined, { signal });
  }
}
