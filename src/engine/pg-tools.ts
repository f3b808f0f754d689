import { rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { getgid, getuid } from 'node:process';
import { helperLabels } from './commands.ts';
import type { DockerCli } from './docker-cli.ts';

/** A customer's database may be large. */
const TIMEOUT = 60 * 60_000;

/** Where a Postgres listens and who administers it. */
export interface PgServer {
  readonly socketDir: string;
  readonly user: string;
  readonly password: string;
}

/**
 * pg_dump and pg_restore, each run once in a container of the Postgres image: they must not be older than the server.
 * Without a network, as the sidecar's own user, and with the password in a 0600 file, never in an argument.
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

  /** Writes one database to a file in a folder of the sidecar's own. */
  async dump(server: PgServer, database: string, file: string, signal: AbortSignal): Promise<void> {
    await this.#connected(server, file, signal, (path) => [
      'pg_dump',
      ['--format=custom', `--file=${path}`, `--username=${server.user}`, '--', database],
    ]);
  }

  /** Reads a whole dump. @returns its table of contents. @throws CommandError when it is damaged */
  async check(file: string, signal: AbortSignal): Promise<string> {
    const path = inContainer(file);
    await this.#run(file, signal, [], 'pg_restore', ['--file=/dev/null', '--', path]);
    return this.#run(file, signal, [], 'pg_restore', ['--list', '--', path]);
  }

  /** Fills an empty database from a dump; all in it becomes the role's. */
  async restore(
    server: PgServer,
    { database, role }: { readonly database: string; readonly role: string },
    file: string,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#connected(server, file, signal, (path) => [
      'pg_restore',
      [
        ...['--exit-on-error', '--no-owner', '--no-privileges', '--no-comments'],
        ...[`--role=${role}`, `--username=${server.user}`, `--dbname=${database}`, '--', path],
      ],
    ]);
  }

  async #connected(
    { password, socketDir, user }: PgServer,
    file: string,
    signal: AbortSignal,
    command: (path: string) => readonly [program: string, args: readonly string[]],
  ): Promise<void> {
    const passwords = join(dirname(file), '.pgpass');
    const escaped = password.replace(/[\\:]/g, '\\$&');
    await writeFile(passwords, `*:*:*:${user}:${escaped}\n`, { mode: 0o600 });
    const options = [
      '--env=PGHOST=/run/postgresql',
      '--env=PGPASSFILE=/archive/.pgpass',
      `--volume=${socketDir}:/run/postgresql:ro`,
    ];
    try {
      const [program, args] = command(inContainer(file));
      await this.#run(file, signal, options, program, ['--no-password', ...args]);
    } finally {
      await rm(passwords, { force: true });
    }
  }

  #run(
    file: string,
    signal: AbortSignal,
    options: readonly string[],
    program: string,
    args: readonly string[],
  ): Promise<string> {
    return this.#docker(
      [
        ...(['docker', 'run', '--rm', '--network=none', '--cap-drop=ALL', '--read-only'] as const),
        '--security-opt=no-new-privileges',
        '--pids-limit=64',
        ...helperLabels(this.#install, 'pg-tools'),
        `--user=${getuid?.() ?? 0}:${getgid?.() ?? 0}`,
        `--volume=${dirname(file)}:/archive`,
        ...options,
        `--entrypoint=${program}`,
        '--',
        this.#image,
        ...args,
      ],
      { timeoutMs: TIMEOUT, signal },
    );
  }
}

/** Where the container sees a file: its folder is mounted as a whole. */
function inContainer(file: string): string {
  return `/archive/${basename(file)}`;
}
