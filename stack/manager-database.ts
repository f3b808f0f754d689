import { hashRandomSecret } from '../src/host/password-hash.ts';
import { literal, quoted, type Sql, type SqlServer, withSql } from './sql.ts';

/** What a template database of the manager is made of. */
export interface TemplateContent {
  /** Technical names, installed with all they depend on. */
  modules: string[];
  /** Odoo language codes beside English, e.g. `es_ES`. */
  languages: string[];
}

/** The role Odoo works as; it owns its databases and no more. */
export const ODOO_ROLE = 'odoo';

/** The manager's databases: one template for each (image, addon, modules), any number of clones of it. */
export class ManagerDatabases {
  readonly #server: SqlServer;

  /** @param server the manager's Postgres, as its superuser */
  constructor(server: SqlServer) {
    this.#server = server;
  }

  /** Waits until the server takes connections. @throws the last refusal after `seconds` */
  async ready(seconds = 60): Promise<void> {
    const end = performance.now() + seconds * 1000;
    for (;;) {
      try {
        await withSql(this.#server, 'postgres', async (sql) => sql('SELECT 1'));
        return;
      } catch (error) {
        if (performance.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Makes Odoo's role with this password, or gives it this password. */
  async ensureRole(password: string): Promise<void> {
    await withSql(this.#server, 'postgres', async (sql) => {
      const found = await sql('SELECT FROM pg_roles WHERE rolname = $1', [ODOO_ROLE]);
      const verb = found.length === 0 ? 'CREATE' : 'ALTER';
      await sql(`${verb} ROLE ${ODOO_ROLE} LOGIN PASSWORD ${literal(password)}`);
    });
  }

  /** Whether a database exists, whole: one that is being made is no template yet. */
  async exists(name: string, kind: 'template' | 'database'): Promise<boolean> {
    const query = 'SELECT FROM pg_database WHERE datname = $1 AND datistemplate = $2';
    const found = await withSql(this.#server, 'postgres', async (sql) =>
      sql(query, [name, kind === 'template']),
    );
    return found.length > 0;
  }

  /**
   * Builds a template database unless it is there.
   * @param initialise runs Odoo's own installation of the modules in that database
   * @throws Error naming the modules that are not installed afterwards: Odoo's exit code alone proves nothing
   */
  async ensureTemplate(
    name: string,
    content: TemplateContent,
    initialise: () => Promise<void>,
  ): Promise<void> {
    if (await this.exists(name, 'template')) return;
    // What is there without the mark of a template is an interrupted attempt.
    await this.drop(name);
    await withSql(this.#server, 'postgres', async (sql) =>
      sql(`CREATE DATABASE ${quoted(name)} OWNER ${ODOO_ROLE} TEMPLATE template0 LC_COLLATE 'C'`),
    );
    await initialise();
    await withSql(this.#server, name, async (sql) => {
      const missing = await this.#missingModules(sql, content.modules);
      if (missing.length > 0) throw new Error(`Odoo did not install ${missing.join(', ')}.`);
      // Nobody may ever get in with Odoo's own first password.
      await sql(`UPDATE res_users SET password = NULL WHERE login = 'admin'`);
      // A clone copies a sequence together with its "next 32 are already in the log", which is untrue of the clone:
      // after a crash of the server it would give out numbers twice. setval() clears that mark.
      await sql(
        `SELECT setval(format('%I.%I', schemaname, sequencename)::regclass,
                       coalesce(last_value, start_value), last_value IS NOT NULL) FROM pg_sequences`,
      );
    });
    await withSql(this.#server, 'postgres', async (sql) => {
      await sql(`ALTER DATABASE ${quoted(name)} WITH ALLOW_CONNECTIONS false`);
      // An Odoo that serves every database may have opened this one too: a template with guests can't be cloned.
      await sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [
        name,
      ]);
      await sql(`ALTER DATABASE ${quoted(name)} WITH IS_TEMPLATE true`);
    });
  }

  /** Which of these modules are not installed in a database. */
  async missingModules(name: string, modules: readonly string[]): Promise<string[]> {
    return withSql(this.#server, name, (sql) => this.#missingModules(sql, modules));
  }

  async #missingModules(sql: Sql, modules: readonly string[]): Promise<string[]> {
    const query = `SELECT name FROM ir_module_module WHERE state = 'installed'`;
    const installed = new Set((await sql(query)).map((row) => row['name']));
    return modules.filter((module) => !installed.has(module));
  }

  /** The names of the databases that are templates of ours. */
  async templates(): Promise<string[]> {
    const query = `SELECT datname FROM pg_database WHERE datistemplate AND datname LIKE 'tpl\\_%'`;
    const found = await withSql(this.#server, 'postgres', async (sql) => sql(query));
    return found.map((row) => String(row['datname']));
  }

  /** Clones a template; Odoo's own marks of identity and the administrator's password are made new. */
  async clone(
    template: string,
    name: string,
    login: { password: string; url: string },
  ): Promise<void> {
    const hash = await hashRandomSecret(login.password);
    await withSql(this.#server, 'postgres', async (sql) =>
      sql(`CREATE DATABASE ${quoted(name)} TEMPLATE ${quoted(template)} OWNER ${ODOO_ROLE}`),
    );
    await withSql(this.#server, name, async (sql) => {
      await sql(
        `UPDATE ir_config_parameter SET value = gen_random_uuid() WHERE key IN ('database.uuid', 'database.secret')`,
      );
      await sql(`UPDATE res_users SET password = $1 WHERE login = 'admin'`, [hash]);
    });
    await this.setParameters(name, { 'web.base.url': login.url, 'web.base.url.freeze': 'True' });
  }

  /** Sets system parameters by SQL; an Odoo that already serves the database may not see them. */
  async setParameters(name: string, parameters: Record<string, string>): Promise<void> {
    await withSql(this.#server, name, async (sql) => {
      for (const [key, value] of Object.entries(parameters)) {
        await sql(
          `INSERT INTO ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date)
           VALUES ($1, $2, 1, 1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')
           ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
          [key, value],
        );
      }
    });
  }

  /** Removes a database or template, whoever is connected. Its files are not its business. */
  async drop(name: string): Promise<void> {
    await withSql(this.#server, 'postgres', async (sql) => {
      const found = await sql('SELECT FROM pg_database WHERE datname = $1', [name]);
      if (found.length === 0) return;
      await sql(`ALTER DATABASE ${quoted(name)} WITH IS_TEMPLATE false`);
      await sql(`DROP DATABASE ${quoted(name)} WITH (FORCE)`);
    });
  }
}
