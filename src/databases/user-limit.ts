import { escapeLiteral } from 'pg';
import { z } from 'zod';
import type { UserLimit } from '../instance/types.ts';
import type { TenantSession } from '../postgres/tenant-session.ts';

/** The trigger and its function. Both are the tenant's, who may drop them. */
const NAME = 'microsaas_user_limit';

/** Of a function that refuses nobody: to drop it and its trigger would wait for all that reads the table, a backup too. */
const NO_LIMIT = '\nBEGIN\n  RETURN NULL;\nEND\n';

/**
 * Sees to it that an instance's Odoo refuses one internal user more than its plan has. Those who are there already stay, however many. Writes
 * nothing where all is as wanted.
 * @param database the instance's: under any other name, in a copy or at another host, nobody is refused
 * @param limit null: the plan sets none
 */
export async function limitUsers(
  session: TenantSession,
  database: string,
  limit: UserLimit | null,
): Promise<void> {
  const [found] = await session.rows(
    z.object({ source: z.string().nullable(), hasTrigger: z.boolean() }),
    `SELECT (SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure('public.${NAME}()')) AS source,
            EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass('public.res_users')
                       AND tgname = '${NAME}' AND tgenabled IN ('O', 'A')) AS "hasTrigger"`,
  );
  if (!limit && !found?.hasTrigger) return;
  const source = limit ? refusing(database, limit) : NO_LIMIT;
  // No lock on the table is needed for another number.
  if (found?.source !== source)
    await session.run(
      `CREATE OR REPLACE FUNCTION public.${NAME}() RETURNS trigger LANGUAGE plpgsql AS ${escapeLiteral(source)}`,
    );
  if (!found?.hasTrigger)
    await session.run(
      `CREATE OR REPLACE TRIGGER ${NAME} AFTER INSERT OR UPDATE ON public.res_users
         FOR EACH ROW EXECUTE FUNCTION public.${NAME}()`,
    );
}

/**
 * Of a violated check Odoo shows the message. Whether a user is internal is computed after the row was made: until then it is null. The
 * function names no column in the trigger, which would keep an upgrade from altering it.
 */
function refusing(database: string, { refusal, users }: UserLimit): string {
  return `
BEGIN
  IF NEW.active AND NEW.share IS FALSE AND (OLD.active AND OLD.share IS FALSE) IS NOT TRUE
     AND pg_catalog.current_database() = ${escapeLiteral(database)}
     AND (SELECT pg_catalog.count(*) FROM public.res_users WHERE active AND share IS FALSE) > ${users}
  THEN
    RAISE check_violation USING TABLE = 'res_users', MESSAGE = ${escapeLiteral(refusal)};
  END IF;
  RETURN NULL;
END
`;
}
