import { chmod, lstat, readdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { TerminalError } from '../errors.ts';

/**
 * Checks a fresh checkout and takes the right to write from its files.
 * @throws TerminalError RepositoryInvalid when a link leads out of it, or when it holds no Odoo module.
 */
export async function checkTree(root: string, url: string): Promise<void> {
  const refuse = (why: string): never => {
    throw new TerminalError('RepositoryInvalid', `The repository ${url} ${why}.`, { detail: url });
  };
  const inside = (await realpath(root)) + sep;
  let modules = 0;
  for await (const { path, depth, kind } of walk(root)) {
    if (kind === 'link') {
      const target = await realpath(path).catch(() => '');
      if (!target.startsWith(inside)) refuse('has a link that leads out of it');
    } else {
      const mayEnter = kind === 'directory' || ((await lstat(path)).mode & 0o100) !== 0;
      await chmod(path, (kind === 'directory' ? 0o200 : 0) | (mayEnter ? 0o555 : 0o444));
    }
    if (depth === 2 && /\/__manifest__\.py$/.test(path)) modules += 1;
  }
  if (modules === 0) refuse('has no Odoo module at its top level');
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
  /** 1 for what lies in the root itself. */
  readonly depth: number;
  readonly kind: 'directory' | 'file' | 'link';
}

/** Everything below a directory, without following links. */
async function* walk(directory: string, depth = 1): AsyncGenerator<Entry> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const entry of entries) {
    const path = join(directory, entry.name);
    const kind = entry.isDirectory() ? 'directory' : entry.isSymbolicLink() ? 'link' : 'file';
    yield { path, depth, kind };
    if (kind === 'directory') yield* walk(path, depth + 1);
  }
}
