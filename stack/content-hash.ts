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
  const entries = await readdir(path, { withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      if (error.code === 'ENOTDIR') return path;
      throw error;
    },
  );
  if (typeof entries === 'string') return [entries];
  const wanted = entries.filter(
    (entry) => entry.name !== '__pycache__' && !entry.name.endsWith('.pyc'),
  );
  const nested = wanted.map(async (entry) =>
    entry.isDirectory() ? filesBelow(join(path, entry.name)) : [join(path, entry.name)],
  );
  return (await Promise.all(nested)).flat();
}
