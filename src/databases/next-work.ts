import { z } from 'zod';
import type { TenantSession } from '../postgres/tenant-session.ts';

/** When planned work is due, in seconds since the epoch, by the table that it is planned in. */
const WORK: Readonly<Record<string, string>> = {
  // What runs more often than daily asks whether there is work: what it would find is in the other tables.
  ir_cron: `SELECT pg_catalog.min(nextcall) AS at FROM public.ir_cron
    WHERE active AND (interval_type IN ('days', 'weeks', 'months') OR interval_type = 'hours' AND interval_number >= 24)`,
  ir_cron_trigger: `SELECT pg_catalog.min(t.call_at) AS at FROM public.ir_cron_trigger t JOIN public.ir_cron c ON c.id = t.cron_id
    WHERE c.active`,
  mail_mail: `SELECT pg_catalog.min(coalesce(scheduled_date, write_date)) AS at FROM public.mail_mail WHERE state = 'outgoing'`,
  mail_message_schedule: `SELECT pg_catalog.min(scheduled_datetime) AS at FROM public.mail_message_schedule`,
  payment_transaction: `SELECT pg_catalog.min(last_state_change) AS at FROM public.payment_transaction
    WHERE state = 'done' AND is_post_processed IS NOT TRUE AND last_state_change > pg_catalog.now() AT TIME ZONE 'UTC' - interval '4 days'`,
};

/** The last second that an Odoo could mean, in the year 9999. */
const MAX_SECONDS = 253_402_300_799;

/**
 * When the next work is due that an instance's Odoo has planned: Odoo 19's scheduler and the queues that it empties. Whether there is mail
 * at a server outside cannot be seen here, so who fetches mail is always at work.
 */
export async function nextWork(session: TenantSession): Promise<Date | 'always' | null> {
  if (await hasTable(session, 'fetchmail_server')) {
    const [fetches] = await session.rows(
      z.object({ found: z.boolean() }),
      `SELECT EXISTS (SELECT FROM public.fetchmail_server WHERE active AND state = 'done') AS found`,
    );
    if (fetches?.found) return 'always';
  }
  const due: number[] = [];
  for (const [table, query] of Object.entries(WORK)) {
    if (!(await hasTable(session, table))) continue;
    const [{ at } = { at: null }] = await session.rows(
      z.object({ at: z.number().min(0).max(MAX_SECONDS).nullable() }),
      `SELECT (pg_catalog.date_part('epoch', at::timestamp))::float8 AS at FROM (${query}) AS planned`,
    );
    if (at !== null) due.push(at);
  }
  return due.length === 0 ? null : new Date(Math.min(...due) * 1000);
}

/** Not every Odoo has every module. */
async function hasTable(session: TenantSession, table: string): Promise<boolean> {
  const [row] = await session.rows(
    z.object({ found: z.boolean() }),
    'SELECT pg_catalog.to_regclass($1) IS NOT NULL AS found',
    [`public.${table}`],
  );
  return row?.found ?? false;
}
