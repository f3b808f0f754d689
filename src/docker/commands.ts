import type { Command } from '../host/exec.ts';
import type { UnixUser } from '../host/files.ts';
import { hardenedRun } from './helpers.ts';
import { LABELS } from './labels.ts';
import { bridgeOf } from './names.ts';

/** Makes the containers of `services` (all when none is given) match the file. Does not wait until they answer. */
export function composeUp(
  project: string,
  file: string,
  services: readonly string[] = [],
): Command {
  const up = ['up', '--detach', '--no-build', '--quiet-pull', '--remove-orphans'];
  return [...compose(project, file), ...up, '--', ...services];
}

/** A network whose containers reach the outside but not each other. */
export function networkCreate(install: string, name: string): Command {
  return [
    ...['docker', 'network', 'create', '--driver', 'bridge'],
    ...['--opt', 'com.docker.network.bridge.enable_icc=false'],
    ...['--opt', `com.docker.network.bridge.name=${bridgeOf(name)}`],
    ...['--label', `${LABELS.install}=${install}`, '--', name],
  ] as const as Command;
}

/** Docker refuses while a container is on it. */
export function networkRemove(name: string): Command {
  return ['docker', 'network', 'rm', '--', name];
}

/** Removes containers, running or not; their data are outside them. */
export function containersRemove(names: readonly string[]): Command {
  return ['docker', 'rm', '--force', '--', ...names];
}

/** Runs `nft` on the host's network: with the right to change its rules, and no other. A script is read from standard input. */
export function nft(install: string, image: string, args: readonly string[]): Command {
  return hardenedRun({
    ...{ install, kind: 'firewall', image, network: 'host', pids: 16, memory: '128m' },
    ...{ capabilities: ['NET_ADMIN'], isInteractive: true, entrypoint: 'nft', args },
  });
}

/**
 * Starts the door: Caddy on the host's network, which may bind ports below 1024 and nothing else. It begins with what it had loaded
 * last (`--resume`), so that it serves while the sidecar is away.
 * @param digest changes with everything here that a running container would not have
 */
export function doorRun(door: DoorContainer): Command {
  const { install, name, image, runDirectory, dataDirectory, digest } = door;
  return hardenedRun({
    ...{ install, kind: null, image, mayPull: true, network: 'host', pids: 256, memory: '1g' },
    ...{ capabilities: ['NET_BIND_SERVICE'], isDetached: true },
    options: [
      ...[`--name=${name}`, '--restart=unless-stopped', '--user=0:0', '--cpu-shares=4096'],
      ...[`--label=${LABELS.part}=door`, `--label=${LABELS.digest}=${digest}`],
      ...['--log-opt=max-size=10m', '--log-opt=max-file=3'],
      // Where Caddy listens when it has lost its configuration; its own default is a TCP port that anybody may use.
      '--env=CADDY_ADMIN=unix//run/door/admin.sock|0600',
      ...['--env=XDG_CONFIG_HOME=/data/config', '--env=XDG_DATA_HOME=/data', '--tmpfs=/tmp'],
      ...[`--volume=${runDirectory}:/run/door`, `--volume=${dataDirectory}:/data`],
    ],
    entrypoint: 'caddy',
    args: ['run', '--resume', '--config', '/run/door/begin.json'],
  });
}

/** What the door's container is made from. */
export interface DoorContainer {
  readonly install: string;
  readonly name: string;
  readonly image: string;
  /** On the host: shared with the sidecar, and the door's own, with its certificates. */
  readonly runDirectory: string;
  readonly dataDirectory: string;
  readonly digest: string;
}

/** The resolv.conf of a container on Docker's default bridge. */
export function resolvConf(install: string, image: string): Command {
  return hardenedRun({
    ...{ install, kind: 'resolv-conf', image, network: 'bridge', pids: 16, memory: '64m' },
    ...{ entrypoint: 'cat', args: ['/etc/resolv.conf'] },
  });
}

export function imagePull(image: string): Command {
  return ['docker', 'pull', '--quiet', '--', image];
}

/**
 * Asks an image for a user; parseImageUser() reads the answer.
 * @param name by default the one that it runs as
 */
export function imageUser(install: string, image: string, name?: string): Command {
  return hardenedRun({
    ...{ install, kind: 'image-user', image, network: 'none', pids: 16, memory: '64m' },
    ...{ entrypoint: 'id', args: name ? ['--', name] : [] },
  });
}

/** Reads `uid=100(odoo) gid=101(odoo) …`. @throws TypeError on anything else. */
export function parseImageUser(output: string): UnixUser {
  const [, uid, gid] = /^uid=(\d+)\S* gid=(\d+)/.exec(output) ?? [];
  if (uid === undefined || gid === undefined) throw new TypeError(`not an answer of id: ${output}`);
  return { uid: Number(uid), gid: Number(gid) };
}

/** Asks an image which Odoo it has; parseOdooVersion() reads the answer. */
export function odooVersion(install: string, image: string): Command {
  return hardenedRun({
    ...{ install, kind: 'odoo-version', image, network: 'none', pids: 64, memory: '512m' },
    ...{ options: ['--tmpfs=/tmp'], entrypoint: 'odoo', args: ['--version'] },
  });
}

/** Reads `Odoo Server 19.0-20251101`, or `saas~18.2` in its place. @returns the major version; null of anything else */
export function parseOdooVersion(output: string): number | null {
  const [, major] = /^Odoo\b.*?\b(?:saas[~-])?(\d+)\.\d/m.exec(output) ?? [];
  return major === undefined ? null : Number(major);
}

/** How long compiling a checkout may take, in seconds; what is not compiled by then is compiled at each start. */
const COMPILE_SECONDS = 120;

/**
 * Compiles a checkout's Python for all who mount it read-only. The tree never changes, so the compiled files are never compared
 * with their sources (`unchecked-hash`). Nothing in it is run. Ends with 1 when a file is not valid Python; the others are compiled.
 */
export function compileCheckout(install: string, image: string, tree: string): Command {
  const compile = ['-m', 'compileall', '-q', '-f', '--invalidation-mode', 'unchecked-hash'];
  return hardenedRun({
    ...{ install, kind: 'compile', image, network: 'none', pids: 64, memory: '512m' },
    options: ['--user=0:0', `--volume=${tree}:/checkout`],
    entrypoint: 'timeout',
    args: [String(COMPILE_SECONDS), 'python3', ...compile, '/checkout'],
  });
}

/** How much of a log is wanted, and whether what follows is too. */
export interface LogOptions {
  /** Lines. */
  readonly tail: number;
  readonly follow: boolean;
}

/** The last `tail` lines a container wrote, and with `follow` whatever it writes from now on. */
export function containerLogs(container: string, options: LogOptions): Command {
  return ['docker', 'logs', ...logArguments(options), '--', container];
}

/** The same of a swarm's service, wherever it runs; asked of a manager. */
export function serviceLogs(service: string, options: LogOptions): Command {
  return ['docker', 'service', 'logs', '--raw', ...logArguments(options), '--', service];
}

function logArguments({ follow, tail }: LogOptions): string[] {
  return ['--tail', String(tail), ...(follow ? ['--follow'] : [])];
}

/** `--env-file`: a file named .env in the directory would otherwise be read and filled in. */
function compose(project: string, file: string): Command {
  if (!project) throw new TypeError('Compose would take the directory for the project name');
  return [
    ...['docker', 'compose', '--ansi', 'never', '--project-name', project],
    ...['--file', file, '--env-file', '/dev/null'],
  ] as const as Command;
}
