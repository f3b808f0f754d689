import { run } from '../../../stack/run.ts';
import { quoted, withSql } from '../../../stack/sql.ts';
import { inContainer } from './docker.ts';
import type { TestEnvironment } from './environment.ts';

const DATABASE = 'manager';
const FILE = '/tmp/manager.dump';
const PASSWORDS = '/tmp/manager.pgpass';

/** A dump of the manager's database as operators take one, with Postgres' own tools. */
export class Dump {
  readonly #env: TestEnvironment;

  private constructor(env: TestEnvironment) {
    this.#env = env;
  }

  static async take(env: TestEnvironment): Promise<Dump> {
    const dump = new Dump(env);
    await dump.#run('pg_dump', '--format=custom', `--file=${FILE}`, DATABASE);
    return dump;
  }

  /** Restores it in place of the present database, while Odoo is stopped. */
  async putBack(): Promise<void> {
    const { stack } = this.#env;
    const { manager } = stack.containers.names;
    await run('docker', ['stop', '--', manager]);
    await withSql(await stack.managerSql(), 'postgres', async (sql) => {
      await sql(`DROP DATABASE ${quoted(DATABASE)} WITH (FORCE)`);
      await sql(`CREATE DATABASE ${quoted(DATABASE)} OWNER odoo TEMPLATE template0`);
    });
    await this.#run('pg_restore', '--exit-on-error', `--dbname=${DATABASE}`, FILE);
    await inContainer(stack.containers.names.managerDb, ['rm', '--', FILE]);
    await run('docker', ['start', '--', manager]);
    await stack.waitForLogin(stack.url);
  }

  /** With the password in a file: command lines are readable by everybody. */
  async #run(...command: [string, ...string[]]): Promise<void> {
    const { stack } = this.#env;
    const { user, password } = await stack.managerSql();
    const { managerDb } = stack.containers.names;
    const input = `*:*:*:${user}:${password}\n`;
    await inContainer(managerDb, ['install', '-m', '0600', '/dev/stdin', PASSWORDS], { input });
    const [program, ...args] = command;
    const how = ['env', `PGPASSFILE=${PASSWORDS}`, program, `--username=${user}`] as const;
    await inContainer(managerDb, [...how, ...args] as [string, ...string[]]);
    await inContainer(managerDb, ['rm', '--', PASSWORDS]);
  }
}
