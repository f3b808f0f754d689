import { getgid, getuid } from 'node:process';
import { RetryableError, TerminalError } from '../errors.ts';
import type { DockerApi, Mount } from './docker-api.ts';
import type { DockerCli } from './docker-cli.ts';
import { hardenedRun } from './helpers.ts';
import { LABELS } from './labels.ts';

/** Where `deploy/` has the manager's odoo.conf in its container. */
const CONF = '/etc/odoo/odoo.conf';

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

/**
 * Finds the manager's Odoo: the container that `deploy/docker-compose.yml` labels so. What it has mounted says where its files and its
 * Postgres' socket are, its odoo.conf how it logs in.
 * @throws TerminalError('ManagerOutOfReach') where it is no container of this host, or its Postgres has no socket here
 */
export async function findManager(
  host: {
    readonly install: string;
    readonly api: Pick<DockerApi, 'containers' | 'mounts'>;
    readonly docker: DockerCli;
    /** Has `cat`. */
    readonly image: string;
  },
  signal: AbortSignal,
): Promise<ManagerPlace> {
  const { api, install } = host;
  const labels = [`${LABELS.install}=${install}`, `${LABELS.part}=manager`];
  const [container, another] = await api.containers(labels);
  if (!container || another)
    throw outOfReach(`${another ? 'several containers' : 'no container'} with ${labels.join(' ')}`);
  const mounts = await api.mounts(container.id);
  const conf = optionsIn(await readConf(host, hostPath(mounts, CONF), signal));
  const socket = conf.get('db_host') ?? '';
  if (!socket.startsWith('/')) throw outOfReach(`db_host in its ${CONF} is no socket's folder`);
  return {
    container: container.id,
    isRunning: container.state === 'running',
    filestores: `${hostPath(mounts, conf.get('data_dir') ?? DATA_DIR)}/filestore`,
    socketDir: hostPath(mounts, socket),
    role: conf.get('db_user') ?? '',
    password: conf.get('db_password') ?? '',
  };
}

/** It belongs to the image's user, and has a password: a helper reads it that may do nothing else. */
async function readConf(
  {
    docker,
    image,
    install,
  }: { readonly docker: DockerCli; readonly image: string; readonly install: string },
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const command = hardenedRun({
    ...{ install, kind: 'manager-conf', image, network: 'none', pids: 16, memory: '64m' },
    capabilities: ['DAC_READ_SEARCH'],
    options: [
      `--user=${getuid?.() ?? 0}:${getgid?.() ?? 0}`,
      `--mount=type=bind,source=${path},target=/odoo.conf,readonly`,
    ],
    ...{ entrypoint: 'cat', args: ['--', '/odoo.conf'] },
  });
  return docker(command, { signal, timeoutMs: 60_000 }).catch((cause) => {
    signal.throwIfAborted();
    const detail = `its ${CONF} cannot be read`;
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
