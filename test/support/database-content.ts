import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { quoted, withSql } from '../../stack/sql.ts';
import type { TenantPostgres } from './tenant-postgres.ts';

/** Every value of a database: `table.column#id`, and `ir_config_parameter[key]`. Write dates are left out. */
export async function contentOf(
  { install, server }: TenantPostgres,
  { id }: DesiredInstance,
): Promise<Map<string, string>> {
  return withSql(server, databaseName(install, id), async (sql) => {
    const cells = new Map<string, string>();
    const tables = await sql(`SELECT relname FROM pg_class
      WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`);
    for (const table of tables.map(({ relname }) => String(relname))) {
      const rows = await sql(`SELECT to_jsonb(t) AS row FROM ${quoted(table)} t`);
      for (const [number, { row }] of rows.entries())
        for (const [column, value] of Object.entries(row as Record<string, unknown>)) {
          if (column === 'write_date' || column === 'create_date') continue;
          const { id: key = number, key: parameter } = row as { id?: number; key?: string };
          const cell =
            table === 'ir_config_parameter' && column === 'value'
              ? `${table}[${parameter}]`
              : `${table}.${column}#${key}`;
          cells.set(cell, JSON.stringify(value));
        }
    }
    return cells;
  });
}

/** The cells in which two databases differ. */
export function differing(
  mine: ReadonlyMap<string, string>,
  theirs: ReadonlyMap<string, string>,
): string[] {
  const cells = new Set([...mine.keys(), ...theirs.keys()]);
  return [...cells].filter((cell) => mine.get(cell) !== theirs.get(cell));
}
