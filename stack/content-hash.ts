import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/**
 * A hash of what these files and folders hold, independent of times and of what Python leaves behind.
 * @param root paths are named relative to it
 * @param paths files or folders below it; an absent one counts as empty
 * @returns 12 hexadecimal digits
 */
export async function contentHash(
  root: string,
  paths: string[],
  ...more: string[]
): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) {
    for (const file of (await filesBelow(join(root, path))).sort()) {
      const content = createHash('sha256')
        .update(await readFile(file))
        .digest('hex');
      hash.update(`${relative(root, file)} ${content}\n`);
    }
  }
  for (const text of more) hash.update(`${text}\n`);
  return hash.digest('hex').slice(0, 12);
}

async function filesBelow(path: string): Promise<string[]> {
  const options = { recursive: true, withFileTypes: true } as const;
  const entries = await readdir(path, options).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') return null;
    throw error;
  });
  return entries === null
    ? [path]
    : entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name))
        .filter((file) => !/\/__pycache__\/|\.pyc$/.test(file));
}
