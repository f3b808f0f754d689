import { chmod, lstat, readdir, readlink, realpath } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { TerminalError } from '../errors.ts';
import { unless } from '../host/files.ts';

/**
 * Checks a fresh checkout and takes the right to write from its files.
 * @throws TerminalError RepositoryInvalid when a link leads out of it
 */
export async function checkTree(root: string, url: string): Promise<void> {
  const inside = await realpath(root);
  for await (const { path, kind } of walk(root)) {
    if (kind === 'link') {
      if (!(await leadsInside(path, inside)))
        throw new TerminalError(
          'RepositoryLinksOut',
          `The repository ${url} has a link that leads out of it.`,
          { detail: url },
        );
    } else {
      const mayEnter = kind === 'directory' || ((await lstat(path)).mode & 0o100) !== 0;
      await chmod(path, (kind === 'directory' ? 0o200 : 0) | (mayEnter ? 0o555 : 0o444));
    }
  }
}

/** A link to nothing is harmless where even nothing lies inside: older branches of OCA are full of them, under `setup/`. */
async function leadsInside(link: string, root: string): Promise<boolean> {
  const target = await realpath(link).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') return ''; // in a circle, or through a file
    return resolve(await realpath(dirname(link)), await readlink(link));
  });
  return `${target}${sep}`.startsWith(`${root}${sep}`);
}

/** Bytes of all files below a directory; files that vanish meanwhile count nothing. */
export async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  for await (const { path } of walk(directory))
    bytes += (await lstat(path).catch(() => null))?.size ?? 0;
  return bytes;
}

export async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null))?.isDirectory() ?? false;
}

interface Entry {
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'link';
}

/** Everything below a directory, without following links. */
async function* walk(directory: string): AsyncGenerator<Entry> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(unless('ENOENT', []));
  for (const entry of entries) {
    const path = join(directory, entry.name);
    const kind = entry.isDirectory() ? 'directory' : entry.isSymbolicLink() ? 'link' : 'file';
    yield { path, kind };
    if (kind === 'directory') yield* walk(path);
  }
}
