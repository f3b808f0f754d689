import { getgid, getuid } from 'node:process';
import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import type { DockerApi, Mount } from './docker-api.ts';
import type { DockerCli } from './docker-cli.ts';
import { hardenedRun } from './helpers.ts';
import { LABELS } from './labels.ts';

/** Where `deploy/` has the manager's odoo.conf in its container. */
const CONF = '/etc/odoo/odoo.conf';

/** Compose's own label. */
const ONE_OFF = 'com.docker.compose.oneoff';

/** Odoo's own, where odoo.conf says nothing (odoo/tools/config.py). */
const DATA_DIR = '/var/lib/odoo';

/** Where the manager's Odoo keeps its data, as paths of this host. */
export interface ManagerPlace {
  /** Docker's id of its container. */
  readonly container: string;
  readonly isRunning: boolean;
  /** The folder with the files of each database, each in a folder that is called as the database. */
  readonly filestores: string;
  /** Of its Postgres. */
  readonly socketDir: string;
  readonly role: string;
  readonly password: string;
}

/** What is asked to find out. */
export interface ManagerHost {
  readonly install: string;
  readonly api: Pick<DockerApi, 'containers' | 'madeWith'>;
  readonly docker: DockerCli;
  /** Has `cat`. */
  readonly image: string;
}

/**
 * Finds the manager's Odoo: the container that `deploy/docker-compose.yml` labels so. What it has mounted says where its files and its
 * Postgres' socket are, its odoo.conf how it logs in.
 * @throws TerminalError('ManagerOutOfReach') where it is no container of this host, or its Postgres has no socket here
 */
export async function findManager(host: ManagerHost, signal: AbortSignal): Promise<ManagerPlace> {
  const { container, mounts } = await findPart(host, 'manager');
  const conf = optionsIn(await readSecret(host, hostPath(mounts, CONF), signal));
  const socket = conf.get('db_host') ?? '';
  if (!socket.startsWith('/')) throw outOfReach(`db_host in its ${CONF} is no socket's folder`);
  return {
    container: container.id,
    isRunning: container.state === 'running',
    filestores: hostPath(mounts, `${conf.get('data_dir') ?? DATA_DIR}/filestore`),
    socketDir: hostPath(mounts, socket),
    role: conf.get('db_user') ?? '',
    password: conf.get('db_password') ?? '',
  };
}

/**
 * The superuser of the manager's Postgres, as `deploy/docker-compose.yml` has told its image.
 * @throws TerminalError('ManagerOutOfReach') where it is no container of this host
 */
export async function findManagerAdmin(
  host: ManagerHost,
  signal: AbortSignal,
): Promise<{ readonly role: string; readonly password: string }> {
  const { environment, mounts } = await findPart(host, 'manager-db');
  const file = hostPath(mounts, environment.get('POSTGRES_PASSWORD_FILE') ?? '');
  const password = (await readSecret(host, file, signal)).trim();
  return { role: environment.get('POSTGRES_USER') ?? 'postgres', password };
}

async function findPart({ api, install }: ManagerHost, part: string) {
  const labels = [`${LABELS.install}=${install}`, `${LABELS.part}=${part}`];
  // `docker compose run` gives the same labels to what it runs once, such as an upgrade of the addon.
  const found = await api.containers(labels);
  const [container, another] = found.filter((one) => one.labels[ONE_OFF] !== 'True');
  if (!container || another)
    throw outOfReach(`${another ? 'several containers' : 'no container'} with ${labels.join(' ')}`);
  return { container, ...(await api.madeWith(container.id)) };
}

/** It belongs to a container's user, and has a password: a helper reads it that may do nothing else. */
async function readSecret(
  { docker, image, install }: ManagerHost,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const command = hardenedRun({
    ...{ install, kind: 'manager-conf', image, network: 'none', pids: 16, memory: '64m' },
    capabilities: ['DAC_READ_SEARCH'],
    options: [
      `--user=${getuid?.() ?? 0}:${getgid?.() ?? 0}`,
      `--mount=type=bind,source=${path},target=/file,readonly`,
    ],
    ...{ entrypoint: 'cat', args: ['--', '/file'] },
  });
  return docker(command, { signal, timeoutMs: 60_000 }).catch((cause) => {
    signal.throwIfAborted();
    const detail = `${path} cannot be read`;
    throw new RetryableError('BackupFailed', detail, { cause, detail });
  });
}

/** The host's path of one in the container. */
export function hostPath(mounts: readonly Mount[], path: string): string {
  const above = mounts
    .filter(({ from, to }) => from && (path === to || path.startsWith(`${to}/`)))
    .sort((one, other) => other.to.length - one.to.length);
  const [mount] = above;
  if (!mount) throw outOfReach(`${path} of its container is no folder of this host`);
  // In `--mount` a comma ends a value.
  const found = `${mount.from}${path.slice(mount.to.length)}`;
  if (/[,\n]/.test(found)) throw outOfReach(`there is a comma in ${found}`);
  return found;
}

/** The options of an odoo.conf; Odoo writes `False` for none. */
export function optionsIn(text: string): Map<string, string> {
  const lines = text.split('\n').map((line) => /^\s*([a-z_]+)\s*[=:]\s*(.*?)\s*$/.exec(line));
  const found = lines.flatMap((match) =>
    match ? [[match[1] ?? '', match[2] ?? ''] as const] : [],
  );
  return new Map(found.filter(([, value]) => value !== '' && value !== 'False'));
}

function outOfReach(detail: string): TerminalError {
  const message = `The manager's own database and files are out of reach: ${detail}.`;
  return new TerminalError('ManagerOutOfReach', message, { detail });
}

/** Where a helper has the folder with the files of all databases, and what is to be put there. */
const FILESTORES = '/filestores';
const BROUGHT = '/brought';

/** How long the files of the manager may take to be copied, in milliseconds. */
const FILES_TIMEOUT_MS = 60 * 60_000;

/**
 * Moves and copies among the manager's files, by a helper as root: they belong to the image's user.
 * @param folder any of the sidecar's own
 */
export function managerFiles(host: ManagerHost, folder: string) {
  const run = async (
    { filestores }: Pick<ManagerPlace, 'filestores'>,
    brought: string,
    [entrypoint, ...args]: readonly [program: string, ...args: string[]],
    signal: AbortSignal,
  ) => {
    const { docker, image, install } = host;
    const command = hardenedRun({
      ...{ install, kind: 'backup', image, network: 'none', pids: 16, memory: '256m' },
      capabilities: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER'],
      options: [
        '--user=0:0',
        `--mount=type=bind,source=${filestores},target=${FILESTORES}`,
        `--mount=type=bind,source=${brought},target=${BROUGHT},readonly`,
      ],
      ...{ entrypoint, args },
    });
    await docker(command, { signal, timeoutMs: FILES_TIMEOUT_MS });
  };
  return {
    async bring(place: ManagerPlace, from: string, name: string, signal: AbortSignal) {
      const to = `${FILESTORES}/${name}`;
      await run(place, from, ['rm', '--recursive', '--force', '--', to], signal);
      await run(place, from, ['cp', '--archive', '--', BROUGHT, to], signal);
      const owner = ['--recursive', '--no-dereference', `--reference=${FILESTORES}`] as const;
      await run(place, from, ['chown', ...owner, '--', to], signal);
    },
    async rename(place: ManagerPlace, from: string, to: string, signal: AbortSignal) {
      const names = [`${FILESTORES}/${from}`, `${FILESTORES}/${to}`] as const;
      await run(place, folder, ['mv', '--no-target-directory', '--', ...names], signal);
    },
    async has(place: ManagerPlace, name: string, signal: AbortSignal) {
      return run(place, folder, ['test', '-e', `${FILESTORES}/${name}`], signal).then(
        () => true,
        (error) => {
          if (error instanceof CommandError && error.exitCode === 1) return false;
          throw error;
        },
      );
    },
  };
}
