import { readdir } from 'node:fs/promises';
import { containersRemove } from '../docker/commands.ts';
import { type DockerCli, ignoreFailure } from '../docker/docker-cli.ts';
import { type HardenedRun, hardenedRun } from '../docker/helpers.ts';
import { type Command, exec } from '../host/exec.ts';
import type { UnixUser } from '../host/files.ts';

/** How long Postgres may take to shut down, in seconds. */
const STOP_SECONDS = 120;

const FLUSH_TIMEOUT_MS = 300_000;
const INIT_TIMEOUT_MS = 300_000;

export interface ScratchPostgresRun {
  /** The container's name. */
  readonly container: string;
  readonly postgres: { readonly image: string; readonly user: UnixUser };
  /** Empty at first: the image's entrypoint fills it. */
  readonly pgdata: string;
  readonly socketDir: string;
  /** Readable for the image's user. */
  readonly passwordFile: string;
  /** Settings of the server, `name=value`. */
  readonly settings?: readonly string[];
  /** More options of `docker run`: nothing that gives it more rights. */
  readonly options?: readonly string[];
  readonly signal: AbortSignal;
}

/** Runs a Postgres that no instance uses, to prepare a data directory. Hardened as the templates' own; without a network. */
export async function runServer(
  host: { readonly install: string; readonly docker: DockerCli },
  run: ScratchPostgresRun,
): Promise<{ readonly stop: () => Promise<void> }> {
  const { container, signal } = run;
  // One left behind by a killed sidecar would still be writing.
  const remove = () => host.docker(containersRemove([container])).catch(ignoreFailure);
  await remove();
  if ((await readdir(run.pgdata)).length === 0)
    await host.docker(initialise(host.install, run), { timeoutMs: INIT_TIMEOUT_MS, signal });
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

/** Writes all cached data of a folder's file system to the disk. */
export async function flushFileSystem(folder: string): Promise<void> {
  await exec(['sync', '--file-system', '--', folder], { timeoutMs: FLUSH_TIMEOUT_MS });
}

/**
 * Makes an empty data directory a server's. Not by the image's entrypoint: that runs a first server on the same socket meanwhile, which
 * a caller that waits for an answer would take for the real one.
 */
function initialise(install: string, run: ScratchPostgresRun): Command {
  return hardenedRun({
    ...container(install, run),
    entrypoint: 'initdb',
    args: [
      ...['--username=postgres', '--auth=scram-sha-256'],
      ...[`--pwfile=${PASSWORD_FILE}`, '--pgdata=/var/lib/postgresql/data'],
    ],
  });
}

function serve(install: string, run: ScratchPostgresRun): Command {
  const common = container(install, run);
  return hardenedRun({
    ...common,
    isDetached: true,
    options: [...common.options, '--stop-signal=SIGINT'],
    args: [
      'postgres',
      // Odoo's queries are many and short: compiling them costs more than it saves.
      ...['listen_addresses=', 'jit=off', ...(run.settings ?? [])].flatMap((one) => ['-c', one]),
    ],
  });
}

const PASSWORD_FILE = '/run/secrets/postgres-password';

function container(install: string, run: ScratchPostgresRun) {
  const { image, user } = run.postgres;
  return {
    ...{ install, kind: null, image, network: 'none', pids: 256, memory: '1g' },
    options: [
      ...[`--name=${run.container}`, '--tmpfs=/tmp', `--user=${user.uid}:${user.gid}`],
      `--volume=${run.passwordFile}:${PASSWORD_FILE}:ro`,
      `--volume=${run.pgdata}:/var/lib/postgresql/data`,
      `--volume=${run.socketDir}:/var/run/postgresql`,
      ...(run.options ?? []),
    ],
  } as const satisfies HardenedRun;
}
