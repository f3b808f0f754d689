import { readdir } from 'node:fs/promises';
import { containersRemove, type ImageUser } from '../docker/commands.ts';
import type { DockerCli } from '../docker/docker-cli.ts';
import { CommandError } from '../errors.ts';
import type { Command } from '../host/exec.ts';
import { exec } from '../host/exec.ts';

/** How long Postgres may take to write all it has to its files and end, in seconds. */
const STOP_SECONDS = 120;

const FLUSH_TIMEOUT = 300_000;
const INIT_TIMEOUT = 300_000;

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
  if ((await readdir(run.pgdata)).length === 0)
    await host.docker(initialise(host.install, run), { timeoutMs: INIT_TIMEOUT, signal });
  await host.docker(serve(host.install, run), { signal });
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

/**
 * Makes an empty data directory a server's. Not by the image's entrypoint: that runs a first server on the same socket meanwhile, which
 * whoever waits for an answer would take for the real one.
 */
function initialise(install: string, run: ScratchPostgresRun): Command {
  return [
    ...['docker', 'run', '--rm', ...container(install, run), '--entrypoint=initdb'],
    ...['--', run.postgres.image, '--username=postgres', '--auth=scram-sha-256'],
    ...[`--pwfile=${PASSWORD_FILE}`, '--pgdata=/var/lib/postgresql/data'],
  ] as const as Command;
}

function serve(install: string, run: ScratchPostgresRun): Command {
  return [
    ...['docker', 'run', '--detach', ...container(install, run), '--stop-signal=SIGINT'],
    ...['--', run.postgres.image, 'postgres', '-c', 'listen_addresses='],
  ] as const as Command;
}

const PASSWORD_FILE = '/run/secrets/postgres-password';

function container(install: string, run: ScratchPostgresRun): string[] {
  const { uid, gid } = run.postgres.user;
  return [
    ...['--pull=never', `--name=${run.container}`, `--label=microsaas.install=${install}`],
    ...['--network=none', '--pids-limit=256', '--cap-drop=ALL', '--read-only', '--tmpfs=/tmp'],
    ...['--security-opt=no-new-privileges', `--user=${uid}:${gid}`],
    `--volume=${run.passwordFile}:${PASSWORD_FILE}:ro`,
    `--volume=${run.pgdata}:/var/lib/postgresql/data`,
    `--volume=${run.socketDir}:/var/run/postgresql`,
  ];
}

function ignoreFailure(error: unknown): void {
  if (!(error instanceof CommandError)) throw error;
}
