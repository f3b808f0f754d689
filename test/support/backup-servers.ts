import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { LABELS } from '../../src/docker/labels.ts';
import { buildFromDebian, isOutdated } from '../../stack/debian-image.ts';
import { freePort } from '../../stack/free-port.ts';
import { run, succeeds } from '../../stack/run.ts';
import { until } from '../../stack/until.ts';

/** What `images/backup-servers` makes. */
const IMAGE = 'microsaas-test-backup-servers:1';

/** How long a server may take to answer, in seconds. */
const START_SECONDS = 30;

/** A server of repositories in a container, on a port of loopback. Its data survive that it is killed. */
export interface BackupServer {
  /** Of its container. */
  readonly name: string;
  readonly port: number;
  /** Ends it, as a power failure would. */
  readonly kill: () => Promise<void>;
  /** Starts it again, and waits until it answers. */
  readonly start: () => Promise<void>;
  /** How many files of this kind it has of all repositories: `locks`, `data`, `snapshots`. */
  readonly count: (kind: string) => Promise<number>;
  readonly remove: () => Promise<void>;
}

/** Builds the image of the servers where it is missing or another one. */
export async function ensureBackupServers(): Promise<void> {
  const isHere = await succeeds('docker', ['image', 'inspect', '--', IMAGE]);
  if (!isHere || (await isOutdated('backup-servers', IMAGE)))
    await buildFromDebian('backup-servers');
}

/** Starts restic's rest-server, which only takes more. @param folder for the file with its user */
export async function startRestServer(
  install: string,
  folder: string,
  login: { readonly user: string; readonly password: string },
): Promise<BackupServer> {
  const hash = createHash('sha1').update(login.password).digest('base64');
  const users = join(folder, 'htpasswd');
  await writeFile(users, `${login.user}:{SHA}${hash}\n`);
  return startServer(install, 'rest', {
    port: 8000,
    data: '/srv/rest',
    options: [`--volume=${users}:/etc/htpasswd:ro`],
    command: [
      ...['restic-rest-server', '--append-only', '--path=/srv/rest'],
      '--htpasswd-file=/etc/htpasswd',
    ],
    says: 'HTTP/1.',
    ask: 'GET / HTTP/1.0\r\n\r\n',
  });
}

/**
 * Starts Debian's sshd, which gives sftp and nothing else to its user `backup`.
 * @param folder gets `ssh/` with the user's `id` and the server's key in `known_hosts`
 */
export async function startSshServer(
  install: string,
  folder: string,
): Promise<BackupServer & { readonly sshFolder: string; readonly base: string }> {
  const sshFolder = join(folder, 'ssh');
  await mkdir(sshFolder, { mode: 0o700 });
  await makeSshKey(sshFolder, 'id');
  const options = ['StrictModes=no', 'AuthorizedKeysFile=/etc/ssh/known', 'AllowUsers=backup'];
  // Whom it did not let in, it turns away for a while: here these are tests.
  const lenient = 'PerSourcePenalties=no';
  const sftp = ['Subsystem=sftp internal-sftp', 'ForceCommand=internal-sftp'];
  const server = await startServer(install, 'ssh', {
    port: 22,
    data: '/var/tmp/backups',
    options: [
      `--volume=${join(sshFolder, 'id.pub')}:/etc/ssh/known:ro`,
      '--tmpfs=/run/sshd:mode=755',
    ],
    command: [
      '/usr/sbin/sshd',
      '-D',
      '-e',
      ...[...options, lenient, ...sftp].flatMap((one) => ['-o', one]),
    ],
    says: 'SSH-2.0',
    ask: '',
  });
  const key = await run('docker', [
    ...['exec', '--', nameOf(install, 'ssh'), 'cat', '/etc/ssh/ssh_host_ed25519_key.pub'],
  ]);
  await writeFile(join(sshFolder, 'known_hosts'), knownHost(server.port, key));
  const base = `sftp://backup@127.0.0.1:${server.port}//var/tmp/backups`;
  return { ...server, sshFolder, base };
}

/** A line of a known_hosts file. @param key as ssh-keygen writes a public one */
export function knownHost(port: number, key: string): string {
  return `[127.0.0.1]:${port} ${key.split(' ').slice(0, 2).join(' ')}\n`;
}

/** Makes a pair of keys, with the program of the servers' image. */
export async function makeSshKey(folder: string, name: string): Promise<void> {
  await run('docker', [
    ...['run', '--rm', '--pull=never', '--network=none', `--volume=${folder}:/keys`],
    ...[`--user=${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`, '--', IMAGE],
    ...['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', `/keys/${name}`],
  ]);
}

interface Server {
  /** That it listens on, inside. */
  readonly port: number;
  /** The folder with the repositories, inside. */
  readonly data: string;
  readonly options: readonly string[];
  readonly command: readonly string[];
  /** How its answer to `ask` begins. */
  readonly says: string;
  readonly ask: string;
}

function nameOf(install: string, kind: string): string {
  return `ms-${install}-backup-${kind}`;
}

async function startServer(install: string, kind: string, server: Server): Promise<BackupServer> {
  const name = nameOf(install, kind);
  const port = await freePort(8790);
  const remove = async () => void (await run('docker', ['rm', '--force', '--volumes', '--', name]));
  await remove();
  const answers = async () => {
    if (await until(() => greets(port, server), START_SECONDS)) return;
    throw new Error(`${name}: ${await run('docker', ['logs', '--', name], { both: true })}`);
  };
  await run('docker', [
    ...[
      'run',
      '--detach',
      '--pull=never',
      `--name=${name}`,
      `--label=${LABELS.install}=${install}`,
    ],
    ...[`--publish=127.0.0.1:${port}:${server.port}`, ...server.options, '--', IMAGE],
    ...server.command,
  ]);
  await answers();
  return {
    name,
    port,
    remove,
    kill: async () => void (await run('docker', ['kill', '--', name])),
    start: async () => {
      await run('docker', ['start', '--', name]);
      await answers();
    },
    count: async (of) => {
      const find = ['find', server.data, '-path', `*/${of}/*`, '-type', 'f'];
      const output = await run('docker', ['exec', '--', name, ...find]);
      return output === '' ? 0 : output.split('\n').length;
    },
  };
}

/** Whether it answers, and as the server that it is. */
function greets(port: number, { ask, says }: Server): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(ask));
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.once('data', (answer) => end(String(answer).startsWith(says)));
  });
}
