import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { varPath } from './paths.ts';
import { RunError, run, succeeds } from './run.ts';

/** Debian's own key, wherever the suite's packages come from. */
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** How long another apt (the daily update of a fresh machine, say) is waited for, in milliseconds. */
const OTHERS_MS = 300_000;

/** Where this machine gets Debian from, by its own configuration. */
export interface DebianSites {
  /** URL of the main archive. */
  main: string;
  /** URL of the security archive, when the machine uses one. */
  security: string | undefined;
}

/** Whether this process is root. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * The archives of the machine's own apt configuration (no other is ever assumed).
 * @throws Error when the machine isn't a Debian with package lists
 */
export async function debianSites(): Promise<DebianSites> {
  let targets = await indexTargets();
  if (targets.length === 0 && isRoot()) {
    await updateLists();
    targets = await indexTargets();
  }
  const main = targets.find((target) => target.label === 'Debian')?.site;
  if (main === undefined) {
    throw new Error(
      'No image registry answers, and this machine has no Debian package lists to build images from. ' +
        'Give Docker access to a registry, or run on Debian after "apt-get update".',
    );
  }
  return { main, security: targets.find((target) => target.label === 'Debian-Security')?.site };
}

async function indexTargets(): Promise<{ site: string; label: string }[]> {
  if (!(await succeeds('apt-get', ['--version']))) return [];
  const format = '$(SITE)\t$(LABEL)\t$(CREATED_BY)';
  const text = await run('apt-get', ['indextargets', '--format', format]);
  return text
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([, , kind]) => kind === 'Packages')
    .map(([site = '', label = '']) => ({ site, label }));
}

/** Reads the package lists afresh. Unlike the lock of the packages, apt itself does not wait for that of the lists. */
async function updateLists(): Promise<void> {
  const end = Date.now() + OTHERS_MS;
  for (;;) {
    try {
      await run('apt-get', ['update'], { timeout: 300_000 });
      return;
    } catch (error) {
      const isTaken = error instanceof RunError && error.output.includes('Could not get lock');
      if (!isTaken || Date.now() > end) throw error;
      await sleep(1_000);
    }
  }
}

/** Installs packages on this machine from its own sources. Needs root on a Debian. */
export async function aptInstall(packages: string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await updateLists();
  const waiting = ['--option', `DPkg::Lock::Timeout=${OTHERS_MS / 1000}`];
  const options = [...waiting, 'install', '--yes', '--no-install-recommends', '--'];
  await run('apt-get', [...options, ...packages], { env, timeout: 600_000 });
}

/**
 * Downloads one package (without its dependencies) of any Debian suite into a folder, with an apt
 * configuration of its own: the machine's sources and lists are never touched.
 * @param suite `sid`, `trixie` …
 * @param into folder for the .deb; made when absent
 * @throws RunError when the suite lacks the package or can't be reached
 */
export async function aptDownload(name: string, suite: string, into: string): Promise<void> {
  const { main } = await debianSites();
  const root = varPath('apt', suite);
  await mkdir(join(root, 'lists', 'partial'), { recursive: true });
  await mkdir(join(root, 'cache', 'archives', 'partial'), { recursive: true });
  await mkdir(into, { recursive: true });
  // Sid's index is often older than its own valid-until date; the signature is still checked.
  const source = `deb [signed-by=${KEYRING} check-valid-until=no] ${main} ${suite} main\n`;
  await writeFile(join(root, 'sources.list'), source);
  const privately = [
    `Dir::Etc::sourcelist=${join(root, 'sources.list')}`,
    'Dir::Etc::sourceparts=/dev/null',
    'Dir::Etc::preferencesparts=/dev/null',
    `Dir::State::Lists=${join(root, 'lists')}`,
    `Dir::Cache=${join(root, 'cache')}`,
    'Acquire::Languages=none',
    // The unprivileged user apt becomes as root can't write into a checkout below /root.
    'APT::Sandbox::User=root',
  ].flatMap((setting) => ['--option', setting]);
  await run('apt-get', [...privately, 'update'], { timeout: 300_000 });
  const download = [...privately, 'download', '--', `${name}/${suite}`];
  await run('apt-get', download, { cwd: into, timeout: 600_000 });
}
