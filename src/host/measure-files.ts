import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';

/** The longest path that Linux takes, its closing zero not counted (limits.h, PATH_MAX). */
const MAX_PATH_LENGTH = 4095;

/** What stat() counts blocks in, in bytes; as much is counted for each entry, empty ones too. */
const BLOCK = 512;

/** How many of the paths that are left out are named. */
const MAX_NAMED = 20;

/** What is below a directory, as far as a program can address it. */
export interface MeasuredFiles {
  /** What it occupies, in bytes: files with holes count with what is in them, and each file once, however many names it has. */
  readonly bytes: number;
  /** How many bytes the files' holes would be, if they were read. */
  readonly holeBytes: number;
  /**
   * What is not counted, with all below it: what no program can address, since the path is longer than Linux takes, and what lies too
   * deep. How many files and folders, and how the first of their paths begin. Odoo, too, opens files by whole paths, so none of them is
   * its own.
   */
  readonly leftOut: { readonly count: number; readonly paths: readonly string[] };
}

/**
 * Measures what is below a directory; reads no file and follows no link. Names are bytes: a customer's need not be text.
 * @param deepest how many folders deep it goes
 * @throws Error with code ENOENT when the directory is missing
 */
export async function measureFiles(
  directory: string,
  deepest = Number.POSITIVE_INFINITY,
): Promise<MeasuredFiles> {
  const root = Buffer.from(`${directory}/`);
  const linked = new Set<string>();
  const leftOut = { count: 0, paths: [] as string[] };
  let bytes = 0;
  let holeBytes = 0;

  const leaveOut = (path: Buffer) => {
    leftOut.count += 1;
    if (leftOut.paths.length < MAX_NAMED) leftOut.paths.push(beginningOf(path));
  };
  const count = (stats: Stats) => {
    bytes += BLOCK;
    const name = `${stats.dev}:${stats.ino}`;
    if (!stats.isFile() || linked.has(name)) return;
    if (stats.nlink > 1) linked.add(name);
    const allocated = stats.blocks * BLOCK;
    bytes += Math.min(allocated, Math.ceil(stats.size / BLOCK) * BLOCK);
    holeBytes += Math.max(0, stats.size - allocated);
  };

  const folders = [{ path: Buffer.alloc(0), depth: 0 }];
  for (let at = folders.pop(); at !== undefined; at = folders.pop())
    for (const name of await readdir(Buffer.concat([root, at.path]), { encoding: 'buffer' })) {
      const path = at.depth === 0 ? name : Buffer.concat([at.path, Buffer.from('/'), name]);
      const place = Buffer.concat([root, path]);
      const depth = at.depth + 1;
      if (place.length > MAX_PATH_LENGTH || depth > deepest) {
        leaveOut(path);
        continue;
      }
      const stats = await lstat(place);
      count(stats);
      if (stats.isDirectory()) folders.push({ path, depth });
    }
  return { bytes, holeBytes, leftOut };
}

/** For people: without what a terminal would obey. */
function beginningOf(path: Buffer): string {
  return path.toString('utf8', 0, 200).replaceAll(/\p{Cc}/gu, '?');
}
