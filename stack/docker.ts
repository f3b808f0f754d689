import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { aptDownload, aptInstall, isRoot } from './apt.ts';
import { varPath } from './paths.ts';
import { type Say, timed } from './progress.ts';
import { run, succeeds } from './run.ts';
import { until } from './until.ts';

/** How often it is asked whether the daemon answers, in milliseconds. */
const DAEMON_INTERVAL = 200;

/** Suites whose `docker-compose` package is Compose v2 as one binary that needs nothing but libc. */
const COMPOSE_SUITES = ['trixie', 'sid'];

/**
 * Sees to it that a Docker daemon answers: takes the one that runs, else installs Debian's and starts it.
 * @throws Error saying what to install or start where that can't be done
 */
export async function ensureDocker(say: Say): Promise<void> {
  if (await daemonAnswers()) return;
  if (!(await succeeds('dockerd', ['--version']))) {
    if (!(isRoot() && (await succeeds('apt-get', ['--version'])))) {
      throw new Error(
        'No Docker daemon answers. Install Docker Engine 20.10 or later and start it, ' +
          'and let this user use it ("docker version" must show a server).',
      );
    }
    await timed(say, "Installing Docker from Debian's packages", async () =>
      aptInstall(['docker.io', 'iptables']),
    );
    // Where there is an init system, the package has started the daemon by itself.
    if (await until(daemonAnswers, 5, DAEMON_INTERVAL)) return;
  }
  if (!isRoot()) throw new Error('Docker is installed but not running: start its daemon.');
  await timed(say, 'Starting the Docker daemon', startDaemon);
}

async function daemonAnswers(): Promise<boolean> {
  return succeeds('docker', ['version', '--format', '{{.Server.Version}}'], 10_000);
}

async function startDaemon(): Promise<void> {
  await mkdir(varPath(), { recursive: true });
  const log = openSync(varPath('dockerd.log'), 'a', 0o600);
  // Detached: the daemon outlives this command, as one that an init system starts would.
  const daemon = spawn('dockerd', [], { detached: true, stdio: ['ignore', log, log] });
  daemon.once('error', () => undefined);
  daemon.unref();
  if (!(await until(daemonAnswers, 30, DAEMON_INTERVAL))) {
    throw new Error(`The Docker daemon did not start; its log is ${varPath('dockerd.log')}.`);
  }
}

/**
 * Sees to it that `docker compose` is Compose v2: takes the one that is there, else puts the plugin into
 * ~/.docker/cli-plugins (no root needed; the machine's package sources stay as they are).
 * @throws Error saying what to install where no Debian archive has it
 */
export async function ensureCompose(say: Say): Promise<void> {
  if (await composeAnswers()) return;
  await timed(say, 'Getting Compose v2', async () => {
    for (const suite of COMPOSE_SUITES) {
      if ((await composeFrom(suite)) && (await composeAnswers())) return;
    }
    throw new Error('Compose v2 is missing: install the plugin "docker compose" (2.20 or later).');
  });
}

async function composeAnswers(): Promise<boolean> {
  try {
    const version = await run('docker', ['compose', 'version', '--short'], { timeout: 10_000 });
    return Number.parseInt(version.replace(/^v/, ''), 10) >= 2;
  } catch {
    return false;
  }
}

async function composeFrom(suite: string): Promise<boolean> {
  await mkdir(varPath(), { recursive: true });
  const folder = await mkdtemp(varPath('compose-'));
  try {
    await aptDownload('docker-compose', suite, folder);
    const [archive] = await readdir(folder);
    if (archive === undefined) return false;
    await run('dpkg-deb', ['--extract', join(folder, archive), join(folder, 'tree')]);
    const plugins = join(homedir(), '.docker', 'cli-plugins');
    await mkdir(plugins, { recursive: true });
    const target = join(plugins, 'docker-compose');
    const packaged = join(folder, 'tree/usr/libexec/docker/cli-plugins/docker-compose');
    await copyFile(packaged, target);
    await chmod(target, 0o755);
    return true;
  } catch {
    // The next suite may still have it.
    return false;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
