import type { TenantSession } from '../postgres/tenant-session.ts';

/**
 * Restores a role's right to read what it owns. The owner of a table can revoke that right from themselves, or hide rows with a
 * policy; then no dump could be made, hence no archive and no removal.
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
      FOR it IN SELECT oid::regclass AS name, relforcerowsecurity AS has_policies
        FROM pg_class WHERE relowner = current_user::regrole AND relkind IN ('r', 'p', 'm', 'S')
          AND (relforcerowsecurity OR NOT has_table_privilege(oid, 'SELECT'))
      LOOP
        EXECUTE format('GRANT SELECT ON %s TO CURRENT_USER', it.name);
        IF it.has_policies THEN
          EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', it.name);
        END IF;
      END LOOP;
    END $$`);
}
