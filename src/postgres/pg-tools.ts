import { basename, dirname, join } from 'node:path';
import { getgid, getuid } from 'node:process';
import type { DockerCli } from '../docker/docker-cli.ts';
import { hardenedRun } from '../docker/helpers.ts';
import {
  accessTo,
  libpqOptions,
  type PostgresAccess,
  type PostgresServer,
} from '../docker/postgres-access.ts';
import type { TenantLogin } from './tenant-session.ts';

/** How long one run may take, in milliseconds: a customer's database may be large. */
const TIMEOUT_MS = 60 * 60_000;

/** Both keep the list of all that is in a database in memory, some 1 kB a table: a tenant can make millions. */
const MEMORY = '2g';

/** How long a dump waits for a locked table. */
const LOCK_WAIT = '30s';

/** The way into one tenant's database, as the tenant. */
export type PgLogin = TenantLogin & PostgresServer;

/** How a dump is written. */
export interface DumpOptions {
  /** The data of this moment, which an open transaction has exported; by default those of now. */
  readonly snapshot?: string;
  /** Equal data are equal bytes then, which a backup stores once. */
  readonly isUncompressed?: boolean;
}

/**
 * pg_dump and pg_restore, each run once in a container of the Postgres image: they must not be older than the server.
 * Reaching that server alone, as the sidecar's own user, and logged in as the tenant: functions that are stored in a database or in an archive run with
 * the tenant's rights. The password comes by standard input, so that no file and no argument ever holds it.
 */
export class PgTools {
  readonly #install: string;
  readonly #image: string;
  readonly #docker: DockerCli;

  constructor(install: string, image: string, docker: DockerCli) {
    this.#install = install;
    this.#image = image;
    this.#docker = docker;
  }

  /** Their major version. */
  async version(): Promise<number> {
    const said = await this.#docker(
      hardenedRun({
        ...{ install: this.#install, kind: 'pg-tools', image: this.#image, mayPull: true },
        ...{ network: 'none', pids: 64, memory: '64m', entrypoint: 'pg_dump', args: ['--version'] },
      }),
    );
    return Number(/\) (\d+)/.exec(said)?.[1] ?? 0);
  }

  /** Writes one database to a file in a folder of the sidecar's own. */
  async dump(
    login: PgLogin,
    file: string,
    signal: AbortSignal,
    { isUncompressed, snapshot }: DumpOptions = {},
  ): Promise<void> {
    await this.#connected(login, file, signal, (path) => [
      'pg_dump',
      [
        ...['--format=custom', `--file=${path}`, `--lock-wait-timeout=${LOCK_WAIT}`],
        ...(snapshot ? [`--snapshot=${snapshot}`] : []),
        ...(isUncompressed ? ['--compress=0'] : []),
      ],
    ]);
  }

  /** Fills an empty database from a dump; all in it becomes the tenant's. */
  async restore(login: PgLogin, file: string, signal: AbortSignal): Promise<void> {
    await this.#connected(login, file, signal, (path) => [
      'pg_restore',
      [
        ...['--exit-on-error', '--no-owner', '--no-privileges', '--no-comments'],
        ...[`--dbname=service=${SERVICE}`, '--', path],
      ],
    ]);
  }

  /**
   * Runs statements by psql, each by itself, for a server that only Docker reaches.
   * @param folder any of the sidecar's own
   * @returns the rows, a line each
   */
  async run(
    login: PgLogin,
    folder: string,
    statements: readonly string[],
    signal: AbortSignal,
  ): Promise<string> {
    return this.#connected(login, join(folder, 'none'), signal, () => [
      'psql',
      [
        ...['--no-psqlrc', '--quiet', '--tuples-only', '--no-align', '--set=ON_ERROR_STOP=1'],
        ...statements.map((statement) => `--command=${statement}`),
      ],
    ]);
  }

  /**
   * Writes a dump as SQL to another file of the same folder, without a server. Without owners and rights, and without comments: only an
   * extension's owner may set its.
   */
  async script(dump: string, file: string, signal: AbortSignal): Promise<void> {
    await this.#run(dump, signal, { network: 'none', options: [] }, 'pg_restore', [
      ...['--no-owner', '--no-privileges', '--no-comments'],
      ...[`--file=${inContainer(file)}`, '--', inContainer(dump)],
    ]);
  }

  async #connected(
    login: PgLogin,
    file: string,
    signal: AbortSignal,
    command: (path: string) => readonly [program: string, args: readonly string[]],
  ): Promise<string> {
    const access = await accessTo({ install: this.#install, docker: this.#docker }, login);
    const options = [
      '--env=PGSERVICEFILE=/dev/stdin',
      `--env=PGSERVICE=${SERVICE}`,
      // A missing library, named in the role's own settings, would fail every login.
      '--env=PGOPTIONS=-c local_preload_libraries= -c default_transaction_read_only=off',
      ...access.options,
    ];
    const [program, args] = command(inContainer(file));
    return this.#run(
      file,
      signal,
      { ...access, options },
      program,
      ['--no-password', ...args],
      serviceOf(login),
    );
  }

  #run(
    file: string,
    signal: AbortSignal,
    { network, options }: PostgresAccess,
    program: string,
    args: readonly string[],
    input?: string,
  ): Promise<string> {
    return this.#docker(
      hardenedRun({
        ...{ install: this.#install, kind: 'pg-tools', image: this.#image, mayPull: true },
        ...{ network, pids: 64, memory: MEMORY, isInteractive: input !== undefined },
        options: [
          `--user=${getuid?.() ?? 0}:${getgid?.() ?? 0}`,
          `--volume=${dirname(file)}:/archive`,
          ...options,
        ],
        ...{ entrypoint: program, args },
      }),
      { timeoutMs: TIMEOUT_MS, signal, ...(input === undefined ? {} : { input }) },
    );
  }
}

const SERVICE = 'tenant';

/** A connection service file of libpq with one service. @throws TypeError for what its syntax has no quotes for */
export function serviceOf({ database, password, role, ...server }: PgLogin): string {
  const values = { ...libpqOptions(server), dbname: database, user: role, password };
  const lines = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
  if (lines.some((line) => /[\r\0]|\n./.test(line)))
    throw new TypeError('a login of several lines');
  return `[${SERVICE}]\n${lines.join('')}`;
}

/** Where the container sees a file: its folder is mounted as a whole. */
function inContainer(file: string): string {
  return `/archive/${basename(file)}`;
}
