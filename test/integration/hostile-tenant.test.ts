import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { OdooInit } from '../../src/databases/odoo-init.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { PgTools } from '../../src/postgres/pg-tools.ts';
import { images } from '../../stack/images.ts';
import { run } from '../../stack/run.ts';
import { quoted, withSql } from '../../stack/sql.ts';
import { anInstance } from '../support/samples.ts';
import {
  docker,
  makeDatabase,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

type Sql = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;

const never = new AbortController().signal;

/** The longest that any path may take in a tenant's database; an archive may copy a huge value. */
const MAX_DURATION_MS = 30_000;

/** Made where the tenant's own triggers, views and functions are. */
const LIMIT = { users: 5, refusal: 'There are five.' };

/**
 * SQL of a tenant that tries to escalate its rights in every way, and writes into the server's log as which role it ran. The log
 * keeps that although the transaction is rolled back or read-only.
 */
const TRAP = `
  CREATE FUNCTION public.trap() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
  DECLARE
    attempt text;
  BEGIN
    FOREACH attempt IN ARRAY ARRAY['RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET ROLE microsaas',
      'CREATE ROLE evil SUPERUSER', 'ALTER ROLE CURRENT_USER SUPERUSER',
      'SELECT 1 FROM pg_catalog.pg_authid', 'COPY (SELECT 1) TO PROGRAM ''true''']
    LOOP
      BEGIN
        EXECUTE attempt;
      EXCEPTION WHEN OTHERS THEN NULL;
      END;
    END LOOP;
    RAISE LOG 'the trap ran as %, logged in as %', current_user, session_user;
    RETURN 1;
  END $$;
  CREATE FUNCTION public.trap_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM public.trap();
    RETURN NEW;
  END $$;`;

const TRIGGERS = ['ir_config_parameter', 'res_partner', 'res_users', 'res_company', 'ir_cron']
  .map(
    (table) => `
  CREATE TRIGGER trap BEFORE INSERT OR UPDATE ON public.${table} FOR EACH ROW EXECUTE FUNCTION public.trap_trigger();
  CREATE TRIGGER trap_all AFTER UPDATE OR DELETE ON public.${table} EXECUTE FUNCTION public.trap_trigger();`,
  )
  .join('');

/** Lookalikes of everything that the sidecar's statements might use without a schema. */
const LOOKALIKES = `
  CREATE FUNCTION public.trapped(text, text) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.trap(); RETURN $1 OPERATOR(pg_catalog.=) $2; END $$;
  CREATE FUNCTION public.trapped(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.trap(); RETURN $1::text OPERATOR(pg_catalog.=) $2::text; END $$;
  CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.trapped);
  CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.trapped);
  CREATE OPERATOR public.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = public.trapped);
  CREATE FUNCTION public.left(text, integer) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.trap(); RETURN $1; END $$;
  CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.trap(); RETURN pg_catalog.now(); END $$;
  CREATE FUNCTION public.setval(regclass, bigint, boolean) RETURNS bigint LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.trap(); RETURN 1; END $$;
  CREATE CAST (public.res_users AS text) WITH INOUT AS IMPLICIT;
  ALTER ROLE CURRENT_USER SET search_path = public, pg_catalog;`;

/** What a tenant prepares in their own database, or holds open; and whether it is certain to run on one of the paths. */
const ATTACKS: Record<
  string,
  {
    readonly plant: string;
    readonly isSprung: boolean;
    /** The error of one of the paths that shows what stops it. */
    readonly stoppedBy?: RegExp;
  }
> = {
  'triggers, and operators, functions and casts of the same names': {
    plant: TRIGGERS + LOOKALIKES,
    isSprung: true,
  },
  'a view in place of the users': {
    plant: `ALTER TABLE public.res_users RENAME TO users;
      CREATE VIEW public.res_users AS SELECT id, partner_id, login || public.trap() AS login FROM public.users;`,
    isSprung: true,
  },
  'a view in place of the parameters, without end': {
    plant: `ALTER TABLE public.ir_config_parameter RENAME TO parameters;
      CREATE VIEW public.ir_config_parameter AS
        SELECT 'database.secret'::text AS key, public.trap()::text || n AS value FROM generate_series(1, 100000000000) n;`,
    isSprung: true,
  },
  rules: {
    plant: `CREATE RULE trap AS ON UPDATE TO public.ir_config_parameter DO INSTEAD SELECT public.trap();
      CREATE RULE trap AS ON UPDATE TO public.res_partner DO ALSO SELECT public.trap(), repeat('x', 1000) FROM generate_series(1, 1000000);`,
    isSprung: true,
  },
  'checks, indexes, defaults and a materialized view': {
    plant: `CREATE TABLE public.checked (id integer CHECK (public.trap() = 1), more integer GENERATED ALWAYS AS (public.trap()) STORED);
      INSERT INTO public.checked SELECT 1;
      CREATE INDEX ON public.checked ((public.trap() + id));
      CREATE DOMAIN public.tried AS integer CHECK (public.trap() = 1);
      CREATE TABLE public.of_domain (id public.tried);
      INSERT INTO public.of_domain VALUES (1);
      CREATE MATERIALIZED VIEW public.kept AS SELECT public.trap() AS trap;`,
    isSprung: true,
  },
  'huge values': {
    plant: `ALTER TABLE public.ir_config_parameter ALTER value SET STORAGE EXTERNAL;
      UPDATE public.ir_config_parameter SET value = repeat('x', 100000000) WHERE key = 'database.secret';
      UPDATE public.res_users SET login = repeat(E'\\x1b[2J', 500) WHERE login LIKE '%@%';`,
    isSprung: false,
  },
  'huge errors': {
    plant: `CREATE FUNCTION public.shout() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.trap(); RAISE EXCEPTION '%', repeat('x', 3000000); END $$;
      CREATE TRIGGER shout BEFORE UPDATE ON public.ir_config_parameter FOR EACH ROW EXECUTE FUNCTION public.shout();
      CREATE TRIGGER shout BEFORE UPDATE ON public.res_partner FOR EACH ROW EXECUTE FUNCTION public.shout();`,
    isSprung: true,
    stoppedBy: /it sent too much/,
  },
  'statements without end and limits taken away': {
    plant: `CREATE FUNCTION public.sleep() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM public.trap(); PERFORM set_config('statement_timeout', '0', false); PERFORM pg_sleep(3600); RETURN NEW; END $$;
      CREATE TRIGGER sleep BEFORE UPDATE ON public.ir_config_parameter FOR EACH ROW EXECUTE FUNCTION public.sleep();
      CREATE TRIGGER sleep BEFORE UPDATE ON public.res_partner FOR EACH ROW EXECUTE FUNCTION public.sleep();
      ALTER ROLE CURRENT_USER SET statement_timeout = 0;`,
    isSprung: true,
    stoppedBy: /statement timeout/,
  },
  'a password of their own, settings that end every login, nothing to be read': {
    plant: `DO $$ DECLARE name regclass; BEGIN
        FOR name IN SELECT oid FROM pg_class WHERE relowner = current_user::regrole AND relkind = 'r' LOOP
          EXECUTE format('REVOKE ALL ON %s FROM CURRENT_USER', name);
          EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', name);
          EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name);
        END LOOP; END $$;
      ALTER ROLE CURRENT_USER SET local_preload_libraries = 'no such library';
      ALTER ROLE CURRENT_USER SET default_transaction_read_only = on;
      ALTER ROLE CURRENT_USER PASSWORD 'of their own';`,
    isSprung: false,
  },
};

describe('a hostile tenant on a real Postgres', function () {
  this.timeout(600_000);
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;
  let tools: PgTools;
  let neighbour: DesiredInstance;
  /** Initialises the next template database. */
  let init: OdooInit;
  let lastId = 0;
  let everythingSaid = '';

  const nameOf = ({ id }: DesiredInstance) => databaseName(postgres.install, id);
  const asAdministrator = <T>(work: (sql: Sql) => Promise<T>) =>
    withSql(postgres.server, 'template1', work);
  const asTenant = async <T>(
    desired: DesiredInstance,
    work: (sql: Sql) => Promise<T>,
    database = nameOf(desired),
  ) => {
    const { dbPassword } = await sidecar.dirs.makeSecrets(desired.id);
    const login = { ...postgres.server, user: nameOf(desired), password: dbPassword };
    return withSql(login, database, work);
  };
  const aTenant = async (over: Partial<DesiredInstance> = {}) => {
    lastId += 1;
    const customer = { ...anInstance().customer, lang: 'en_US', countryCode: '' };
    // So that the address has changed since the last report.
    const instanceUrl = 'http://127.0.0.1:1';
    const desired = anInstance({ id: lastId, customer, modules: [], instanceUrl, ...over });
    await makeDatabase(sidecar.databases, desired);
    return desired;
  };
  /** Runs one path. It may fail, but neither take long nor have a long error message. */
  const walk = async (work: () => Promise<unknown>): Promise<unknown> => {
    const began = Date.now();
    const result = await work().catch((error: unknown) => error);
    expect(Date.now() - began, 'milliseconds').to.be.below(MAX_DURATION_MS);
    const said = result instanceof Error ? `${result.message} ${result.cause}` : String(result);
    expect(said.length, 'characters').to.be.below(5_000);
    everythingSaid += `${said}\n`;
    return result;
  };
  const dumpOf = async (desired: DesiredInstance) => {
    const folder = join(postgres.dataDir, `dump-${desired.id}`);
    await mkdir(folder, { recursive: true });
    const file = join(folder, 'database.dump');
    await sidecar.databases.disconnect(desired);
    await sidecar.databases.heldForBackup(desired, ({ login, snapshot }) =>
      tools.dump(login, file, never, { snapshot }),
    );
    return file;
  };
  const restore = (desired: DesiredInstance, file: string) =>
    sidecar.databases.restore(desired, { isCopy: true, url: '' }, (server, login) =>
      tools.restore({ ...server, ...login }, file, never),
    );
  const remove = async (desired: DesiredInstance) => {
    await walk(() => sidecar.databases.drop(desired));
    const left = await asAdministrator((sql) =>
      sql(
        `SELECT datname AS name FROM pg_database WHERE datname ~ $1
         UNION ALL SELECT rolname FROM pg_roles WHERE rolname ~ $1`,
        [`^${nameOf(desired)}(_new)?$`],
      ),
    );
    expect(left, 'left of the tenant').to.deep.equal([]);
  };
  /** The roles as which traps have run since then, rolled back or not. */
  const sprungAs = async (since: Date) => {
    const container = `ms-${postgres.install}-tenant-db`;
    const asked = ['logs', '--since', since.toISOString(), container];
    const log = await run('docker', asked, { both: true });
    const found = log.matchAll(/LOG: +the trap ran as (\w+), logged in as (\w+)/g);
    return [...new Set([...found].flatMap(([, ranAs, loggedInAs]) => [ranAs, loggedInAs]))];
  };
  const expectNothingGained = async () => {
    const roles = await asAdministrator((sql) =>
      sql(`SELECT rolname FROM pg_roles WHERE rolsuper OR rolname = 'evil'`),
    );
    expect(roles).to.deep.equal([{ rolname: postgres.server.user }]);
  };

  before(async () => {
    postgres = await startTenantPostgres('hostile-tenant-test');
    sidecar = await tenantDatabases(postgres, (usual) => {
      init = usual.init;
      return { init: (asked) => init(asked) };
    });
    tools = new PgTools(postgres.install, images.postgres, docker);
    neighbour = await aTenant();
  });
  after(() => postgres?.remove());

  for (const [what, { isSprung, plant, stoppedBy }] of Object.entries(ATTACKS))
    it(`gains no rights and delays nobody by ${what}`, async () => {
      const { databases } = sidecar;
      everythingSaid = '';
      const tenant = await aTenant();
      lastId += 1;
      const copy = anInstance({ ...tenant, id: lastId });
      const began = new Date();
      await asTenant(tenant, (sql) => sql(`${TRAP} ${plant}`));
      await walk(() => databases.setUrl(tenant));
      await walk(() => databases.limitUsers({ ...tenant, userLimit: LIMIT }));
      const login = await walk(() => databases.adminLogin(tenant));
      if (typeof login === 'string') expect(login).to.match(/^[^\p{C}]{0,254}$/u);
      await walk(() => databases.nextWork(tenant));
      await walk(() => databases.use(tenant.id, false));
      const made = await walk(() => databases.invitation(tenant));
      if (typeof made === 'object' && made !== null && 'link' in made)
        expect(made.link).to.match(
          /^http:\/\/127\.0\.0\.1:\d+\/web\/reset_password\?token=[\w-]+$/,
        );
      const { email } = tenant.customer;
      const session = await walk(() =>
        databases.odooSession(tenant, { login: email, endsAt: null }),
      );
      if (typeof session === 'object' && session !== null && 'content' in session)
        expect(session.content, 'of no other database').to.include({ db: nameOf(tenant) });
      const file = await walk(() => dumpOf(tenant));
      expect(file, 'it can be backed up').to.be.a('string');
      await walk(() => restore(copy, String(file)));
      const roles = await sprungAs(began);
      expect(
        roles.filter((role) => role !== nameOf(tenant) && role !== nameOf(copy)),
      ).to.deep.equal([]);
      if (isSprung) expect(roles, 'the trap works').not.to.be.empty;
      if (stoppedBy) expect(everythingSaid).to.match(stoppedBy);
      await expectNothingGained();
      for (const one of [tenant, copy]) await remove(one);
    });

  it('delays nobody by locks, transactions and connections that stay open', async () => {
    const { databases } = sidecar;
    const tenant = await aTenant();
    const tables = 'public.ir_config_parameter, public.res_users, public.res_partner';
    await asTenant(tenant, async (locks) => {
      await locks('BEGIN');
      await locks(`LOCK TABLE ${tables} IN ACCESS EXCLUSIVE MODE`);
      // A neighbour's role that is referenced in an open transaction cannot be dropped until it ends.
      await locks(`GRANT SELECT ON public.res_company TO ${quoted(nameOf(neighbour))}`);
      await asTenant(
        tenant,
        async (shared) => {
          await shared('BEGIN');
          await shared('SELECT count(*) FROM pg_database, pg_roles');
          await shared('SELECT pg_advisory_lock(n) FROM generate_series(1, 1000) n');
          await walk(() => databases.setUrl(tenant));
          await walk(() => databases.limitUsers({ ...tenant, userLimit: LIMIT }));
          await walk(() => databases.adminLogin(tenant));
          await walk(() => databases.nextWork(tenant));
          await walk(() => databases.use(tenant.id, false));
          await walk(() => databases.invitation(tenant));
          await walk(() => databases.odooSession(tenant, { login: 'admin', endsAt: null }));
          // A sale and a removal while all of that is held.
          const other = await aTenant();
          await remove(other);
          await remove(neighbour);
          await walk(() => dumpOf(tenant)).then((file) => expect(file).to.be.a('string'));
        },
        'postgres',
      ).catch(() => {}); // it was disconnected
    }).catch(() => {});
    await remove(tenant);
    await databases.trim([]);
    const left = await asAdministrator((sql) =>
      sql("SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'microsaas_removed')"),
    );
    expect(left, 'roles that could not be dropped at first').to.deep.equal([]);
    neighbour = await aTenant();
  });

  it('cannot block their own or a neighbour’s removal by references to roles', async () => {
    const tenant = await aTenant();
    const them = quoted(nameOf(neighbour));
    await asTenant(tenant, async (sql) => {
      await sql(`GRANT SELECT ON public.res_company TO ${them}`);
      await sql(`CREATE POLICY mine ON public.res_company TO ${them}`);
      await sql(`ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ${them}`);
    });
    await asTenant(
      tenant,
      async (sql) => {
        await sql(`ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ${them}`);
        for (const attempt of [
          'SELECT lo_create(0)',
          `SELECT lo_from_bytea(0, 'x')`,
          `DROP DATABASE ${quoted(nameOf(tenant))}`,
        ])
          expect(await sql(attempt).catch(() => 'refused'), attempt).to.equal('refused');
      },
      'postgres',
    );
    await remove(neighbour);
    await remove(tenant);
    await sidecar.databases.trim([]);
    const left = await asAdministrator((sql) =>
      sql("SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'microsaas_removed')"),
    );
    expect(left).to.deep.equal([]);
    neighbour = await aTenant();
  });

  it('gains no rights by a module that initialises the template', async () => {
    const file = await dumpOf(neighbour);
    const usual = init;
    init = async ({ database, password }) => {
      const { socketDir } = postgres.server;
      await tools.restore({ socketDir, database, role: database, password }, file, never);
      const login = { socketDir, user: database, password };
      await withSql(login, database, (sql) =>
        sql(`${TRAP} ${TRIGGERS} ${LOOKALIKES}
        ALTER DATABASE ${quoted(database)} SET search_path = public, pg_catalog;
        ALTER TABLE public.ir_module_module RENAME TO modules;
        CREATE VIEW public.ir_module_module AS SELECT id, name, state FROM public.modules WHERE public.trap() = 1;
        CREATE TRIGGER trap_all AFTER DELETE ON public.ir_cron_trigger EXECUTE FUNCTION public.trap_trigger();`),
      );
    };
    const began = new Date();
    const tenant = await aTenant({ customer: { ...neighbour.customer, lang: 'es_ES' } });
    init = usual;
    const roles = await sprungAs(began);
    expect(roles, 'the trap works').to.include(nameOf(tenant));
    expect(roles).not.to.include(postgres.server.user);
    await expectNothingGained();
    await remove(tenant);
  });
});
