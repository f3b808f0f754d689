import { chown, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { containerLogs, containersRemove } from '../docker/commands.ts';
import { type DockerCli, ignoreFailure } from '../docker/docker-cli.ts';
import type { Images } from '../docker/images.ts';
import {
  awaitLogin,
  BOOT_SECONDS,
  EXIT_NO_LOGIN,
  isRunning,
  odooBoot,
} from '../docker/odoo-boot.ts';
import { accessTo, odooOptions } from '../docker/postgres-access.ts';
import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import { unlessAbsent } from '../host/files.ts';
import { projectName } from '../instance/name.ts';
import type { DesiredInstance, PostgresServer } from '../instance/types.ts';
import { mountsOf } from '../repositories/checkout-layout.ts';
import type { Repositories } from '../repositories/repositories.ts';
import type { InstanceFiles } from './instance-files.ts';

/** How much of a line of Odoo's log people read, in characters, and how many lines are looked at. */
const MAX_LINE = 200;
const LOG_LINES = 200;

/** A tenant's data, restored where nothing else is. */
export interface Copy {
  /** Whose only tenant it is, and the way in. */
  readonly server: PostgresServer;
  readonly database: string;
  readonly role: string;
  readonly password: string;
  readonly filestore: string;
  /** For odoo.conf; only the sidecar can enter it. */
  readonly folder: string;
}

export interface BootCopyHost {
  readonly install: string;
  readonly docker: DockerCli;
  readonly images: Images;
  readonly dirs: Pick<InstanceDirs, 'paths'>;
  readonly files: Pick<InstanceFiles, 'hasCheckouts' | 'imageOf'>;
  readonly repositories: Repositories;
}

/**
 * Starts an instance's Odoo on a copy of its data, with its image, addons and configuration, without a network and without scheduled
 * actions, until it shows its login page.
 * @returns false where it cannot be tried here: the instance's addons, its configuration or its image are not on this host now
 * @throws TerminalError('ProofBoot') where it ended, answered with an error or not at all, with what it said last
 */
export async function bootCopy(
  { dirs, docker, files, images, install, repositories }: BootCopyHost,
  desired: DesiredInstance,
  copy: Copy,
  signal: AbortSignal,
): Promise<boolean> {
  if (!(await files.hasCheckouts(desired))) return false;
  const usual = await readFile(dirs.paths(desired.id).conf, 'utf8').catch(unlessAbsent);
  if (usual === false) return false;
  const image = await files.imageOf(desired).catch(unlessNoImage);
  if (image === null) return false;
  const owner = await images.user(image);
  const addons = mountsOf(
    await Promise.all(desired.repositories.map((it) => repositories.checkout(it))),
  );
  const conf = join(copy.folder, 'odoo.conf');
  const folders = addons.flatMap(({ addonsFolders }) => addonsFolders);
  await writeFile(conf, confOfCopy(usual, copy, folders), { mode: 0o600 });
  await chown(conf, owner.uid, owner.gid);
  const container = `${projectName(install, desired.id)}-boot`;
  const remove = () => docker(containersRemove([container])).catch(ignoreFailure);
  // One whose sidecar was killed.
  await remove();
  try {
    const access = await accessTo({ install, docker }, copy.server);
    const boot = { ...copy, install, container, image, owner, conf, addons, access };
    await docker(odooBoot(boot), { signal });
    const timeoutMs = (BOOT_SECONDS + 120) * 1000;
    await docker(awaitLogin(container), { timeoutMs, signal }).catch(async (error) => {
      signal.throwIfAborted();
      throw error instanceof CommandError ? await whyNot(docker, container, error) : error;
    });
    return true;
  } finally {
    await remove();
  }
}

/** Options that a copy has only where its own server needs them. */
const NOT_A_COPYS: ReadonlySet<string> = new Set(['logfile', 'db_port', 'db_sslmode']);

/** What is another one in a copy. Odoo listens where only what is in its container can ask. */
function confOfCopy(
  usual: string,
  { database, password, role, server }: Copy,
  addonsFolders: readonly string[],
): string {
  const others: Record<string, string> = {
    ...{ db_name: database, db_user: role, db_password: password },
    ...odooOptions(server),
    ...{ http_interface: '127.0.0.1', http_port: '8069', workers: '0', max_cron_threads: '0' },
    ...(addonsFolders.length > 0 ? { addons_path: addonsFolders.join(',') } : {}),
  };
  const kept = usual.split('\n').filter((line) => {
    const [name = ''] = line.split(/\s*[=:]/);
    return !(name in others) && !NOT_A_COPYS.has(name);
  });
  const lines = Object.entries(others).map(([name, value]) => `${name} = ${value}`);
  kept.splice(kept.indexOf('[options]') + 1, 0, ...lines);
  return kept.join('\n');
}

/** @returns what the copy's Odoo has to say; the error itself where Docker failed, which says nothing of the copy */
async function whyNot(docker: DockerCli, container: string, cause: CommandError): Promise<unknown> {
  const running = await docker(isRunning(container)).catch(() => 'gone');
  const hasEnded = running.trim() === 'false';
  if (!hasEnded && cause.exitCode !== EXIT_NO_LOGIN) return cause;
  const log = await docker(containerLogs(container, { tail: LOG_LINES, follow: false }), {
    mixed: true,
  }).catch(() => '');
  const lines = log.trim().split('\n');
  const worst = lines.findLast((line) => / (CRITICAL|ERROR) /.test(line)) ?? lines.at(-1) ?? '';
  const detail = worst.trim().slice(0, MAX_LINE) || 'no answer';
  return new TerminalError('ProofBoot', `Odoo does not start with it: ${detail}`, {
    cause,
    detail,
  });
}

/** The data are no worse for an image that is not there. @throws anything else */
function unlessNoImage(error: unknown): null {
  const isReasoned = error instanceof TerminalError || error instanceof RetryableError;
  if (isReasoned && (error.reason === 'ImageGone' || error.reason === 'ImageMissing')) return null;
  throw error;
}
