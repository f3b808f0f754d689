import { z } from 'zod';
import type { TenantSession } from '../postgres/tenant-session.ts';

/** The names of a table's columns; none where there is no such table. */
export async function columnsOf(
  session: TenantSession,
  table: string,
): Promise<ReadonlySet<string>> {
  const found = await session.rows(
    z.object({ name: z.string() }),
    `SELECT attname::text AS name FROM pg_attribute
      WHERE attrelid = to_regclass('public.' || $1) AND attnum > 0 AND NOT attisdropped`,
    [table],
  );
  return new Set(found.map(({ name }) => name));
}
