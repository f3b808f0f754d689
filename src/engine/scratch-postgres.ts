import { CommandError } from '../errors.ts';
import { type Command, containersRemove } from './commands.ts';
import type { DockerCli } from './docker-cli.ts';
import { exec } from './exec.ts';
import type { ImageUser } from './render.ts';

/** How long Postgres may take to write all it has to its files and end, in seconds. */
const STOP_SECONDS = 120;

const FLUSH_TIMEOUT = 300_000;

export interface ScratchPostgresRun {
  /** The container's name. */
  readonly container: string;
  readonly postgres: { readonly image: string; readonly user: ImageUser };
  /** Empty at first: the image's entrypoint fills it. */
  readonly pgdata: string;
  readonly socketDir: string;
  /** Readable for the image's user. */
  readonly passwordFile: string;
  readonly signal: AbortSignal;
}

/** A Postgres that no instance uses, to prepare a data directory with. Hardened as the templates' own; without a network. */
export async function runServer(
  host: { readonly install: string; readonly docker: DockerCli },
  run: ScratchPostgresRun,
): Promise<{ readonly stop: () => Promise<void> }> {
  const { container, signal } = run;
  // One left behind by a sidecar that was killed would still be writing.
  const remove = () => host.docker(containersRemove([container])).catch(ignoreFailure);
  await remove();
  await host.docker(command(host.install, run), { signal });
  return {
    stop: async () => {
      try {
        await host.docker(['docker', 'stop', `--time=${STOP_SECONDS}`, '--', container] as const, {
          timeoutMs: (STOP_SECONDS + 30) * 1000,
        });
      } finally {
        await remove();
      }
    },
  };
}

/** Writes all that is in memory of a folder's file system to the disk. */
export async function flushFileSystem(folder: string): Promise<void> {
  await exec(['sync', '--file-system', '--', folder], { timeoutMs: FLUSH_TIMEOUT });
}

function command(install: string, run: ScratchPostgresRun): Command {
  const { image, user } = run.postgres;
  return [
    ...['docker', 'run', '--detach', '--pull=never', `--name=${run.container}`],
    ...[`--label=microsaas.install=${install}`, '--network=none', '--pids-limit=256'],
    ...['--cap-drop=ALL', '--security-opt=no-new-privileges', '--read-only', '--tmpfs=/tmp'],
    ...[`--user=${user.uid}:${user.gid}`, '--stop-signal=SIGINT'],
    '--env=POSTGRES_PASSWORD_FILE=/run/secrets/postgres-password',
    '--env=POSTGRES_INITDB_ARGS=--auth=scram-sha-256',
    `--volume=${run.passwordFile}:/run/secrets/postgres-password:ro`,
    `--volume=${run.pgdata}:/var/lib/postgresql/data`,
    `--volume=${run.socketDir}:/var/run/postgresql`,
    ...['--', image, 'postgres', '-c', 'listen_addresses='],
  ] as const as Command;
}

function ignoreFailure(error: unknown): void {
  if (!(error instanceof CommandError)) throw error;
}
