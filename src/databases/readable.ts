import type { TenantSession } from '../postgres/tenant-session.ts';

/**
 * Restores a role's right to read what it owns, and to hold its tables as a backup does (`LOCK … IN ROW EXCLUSIVE MODE` wants INSERT). The
 * owner of a table can revoke these rights from themselves, or hide rows with a policy; then no dump could be made, hence no last backup
 * and no removal.
 */
export async function makeReadable(session: TenantSession): Promise<void> {
  await session.run(`
    DO $$
    DECLARE
      it record;
    BEGIN
      FOR it IN SELECT oid::regnamespace AS name FROM pg_namespace
        WHERE nspowner = current_user::regrole AND NOT has_schema_privilege(oid, 'USAGE')
      LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %s TO CURRENT_USER', it.name);
      END LOOP;
      FOR it IN SELECT oid::regclass AS name, relforcerowsecurity AS has_policies,
          CASE WHEN relkind IN ('r', 'p') THEN 'SELECT, INSERT' ELSE 'SELECT' END AS rights
        FROM pg_class WHERE relowner = current_user::regrole AND relkind IN ('r', 'p', 'm', 'S')
          AND (relforcerowsecurity OR NOT has_table_privilege(oid, 'SELECT')
            OR relkind IN ('r', 'p') AND NOT has_table_privilege(oid, 'INSERT'))
      LOOP
        EXECUTE format('GRANT %s ON %s TO CURRENT_USER', it.rights, it.name);
        IF it.has_policies THEN
          EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', it.name);
        END IF;
      END LOOP;
    END $$`);
}
