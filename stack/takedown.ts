import { readdir, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { nft } from '../src/docker/commands.ts';
import { LABELS } from '../src/docker/labels.ts';
import { firewallTable } from '../src/docker/names.ts';
import { images } from './images.ts';
import { run, succeeds } from './run.ts';
import { until } from './until.ts';

/**
 * Removes what carries this install id (the stack's own and its customers' alike) and the stack's folder.
 * @param dir absolute path of the stack's folder, e.g. `var/demo`
 * @returns a line for each kind of thing that was removed
 */
export async function takeDown(install: string, dir: string): Promise<string[]> {
  const label = `label=${LABELS.install}=${install}`;
  const sidecar = `ms-${install}-sidecar`;
  const removed: string[] = [];
  const containers = await list(['container', 'ls', '--all', '--filter', label], '{{.Names}}');
  // The sidecar first of all, or it would bring back what is removed.
  containers.sort((one, other) => Number(other === sidecar) - Number(one === sidecar));
  for (const name of containers) {
    await removeContainer(name);
    removed.push(`container ${name}`);
  }
  for (const name of await list(['network', 'ls', '--filter', label], '{{.Name}}')) {
    await run('docker', ['network', 'rm', name]);
    removed.push(`network ${name}`);
  }
  for (const name of await list(['volume', 'ls', '--filter', label], '{{.Name}}')) {
    await run('docker', ['volume', 'rm', '--', name]);
    removed.push(`volume ${name}`);
  }
  const table = firewallTable(install);
  // There is none where netfilter cannot be used, or when the sidecar never ran.
  const [docker, ...args] = nft(install, images.base, ['delete', 'table', 'inet', table]);
  if (await succeeds(docker, args)) removed.push(`firewall rules ${table}`);
  if (await removeFolder(dir)) removed.push(`folder ${dir}`);
  return removed;
}

/** One that ends by itself at that moment is being removed already: that is waited for. */
async function removeContainer(name: string): Promise<void> {
  await run('docker', ['container', 'rm', '--force', '--volumes', '--', name]).catch((error) => {
    if (!/is already in progress|No such container/.test(String(error))) throw error;
  });
  const isGone = async () => !(await succeeds('docker', ['container', 'inspect', '--', name]));
  if (!(await until(isGone, 60))) throw new Error(`${name} is still there`);
}

async function list(args: string[], format: string): Promise<string[]> {
  const text = await run('docker', [...args, '--format', format]);
  return text.split('\n').filter((line) => line !== '');
}

/** Containers leave files of other users behind, and customers paths too long for Node: `rm` as root in a container removes these. */
async function removeFolder(dir: string): Promise<boolean> {
  if ((await readdir(dir).catch(() => undefined)) === undefined) return false;
  try {
    await rm(dir, { recursive: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (!['EACCES', 'EPERM', 'ENAMETOOLONG'].includes(code ?? '')) throw error;
    const mount = `type=bind,source=${dirname(dir)},target=/parent`;
    const asRoot = ['run', '--rm', '--network', 'none', '--user', '0', '--mount', mount];
    const remove = [
      '--entrypoint',
      'rm',
      '--',
      images.postgres,
      '-rf',
      '--',
      `/parent/${basename(dir)}`,
    ];
    await run('docker', [...asRoot, ...remove]);
  }
  return true;
}
