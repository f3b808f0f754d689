import { createWriteStream, type Dirent, type Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { finished } from 'node:stream/promises';

/** The longest path that Linux takes, its closing zero not counted (limits.h, PATH_MAX). */
const MAX_PATH_LENGTH = 4095;

/** What one member takes in a tar besides its content, in bytes: its header, and those of a long name and a long target. */
const TAR_BLOCK = 512;
const LONGEST_SHORT_NAME = 100;

/** How many of the paths that are left out are named. */
const MAX_NAMED = 20;

/** What of an instance's directory can be put into an archive. */
export interface FileList {
  readonly members: number;
  /** No tar of the list is larger, in bytes: files with holes count with what they occupy. */
  readonly tarBytes: number;
  /** How many bytes the files' holes would be, if they were read. */
  readonly holeBytes: number;
  /**
   * What no program can address, since the path is longer than Linux takes: how many, and how the first of them begin.
   * Odoo, too, opens files by whole paths, so none of them is its own.
   */
  readonly leftOut: { readonly count: number; readonly paths: readonly string[] };
}

/**
 * Writes the paths of all that is below `names` in a directory to a file, each ended by a zero byte, parents first; reads no file
 * and follows no link. Names are bytes: a customer's need not be text. Sockets are no data and left out.
 * @throws Error with code ENOENT when one of the names is missing
 */
export async function listFiles(
  directory: string,
  names: readonly string[],
  output: string,
): Promise<FileList> {
  const root = Buffer.from(`${directory}/`);
  const list = createWriteStream(output, { mode: 0o600 });
  const failed = finished(list);
  failed.catch(() => {}); // it is awaited below
  const linked = new Set<string>();
  const leftOut = { count: 0, paths: [] as string[] };
  let members = 0;
  let tarBytes = 2 * TAR_BLOCK;
  let holeBytes = 0;

  const add = async (path: Buffer): Promise<Stats | null> => {
    const place = Buffer.concat([root, path]);
    if (place.length > MAX_PATH_LENGTH) {
      leftOut.count += 1;
      if (leftOut.paths.length < MAX_NAMED) leftOut.paths.push(beginningOf(path));
      return null;
    }
    const stats = await lstat(place);
    if (stats.isSocket()) return null;
    members += 1;
    tarBytes += memberBytes(path.length, stats);
    const isAgain = stats.nlink > 1 && linked.has(`${stats.dev}:${stats.ino}`);
    if (stats.isFile() && !isAgain) {
      const { content, holes } = contentOf(stats);
      tarBytes += content;
      holeBytes += holes;
      if (stats.nlink > 1) linked.add(`${stats.dev}:${stats.ino}`);
    }
    if (!list.write(Buffer.concat([path, Buffer.of(0)])))
      await Promise.race([
        new Promise<void>((resolve) => list.once('drain', () => resolve())),
        failed,
      ]);
    return stats;
  };

  try {
    const directories: Buffer[] = [];
    for (const name of names)
      if ((await add(Buffer.from(name)))?.isDirectory()) directories.push(Buffer.from(name));
    for (let path = directories.pop(); path !== undefined; path = directories.pop())
      for (const entry of await entriesOf(Buffer.concat([root, path]))) {
        const below = Buffer.concat([path, Buffer.from('/'), entry.name]);
        if ((await add(below))?.isDirectory()) directories.push(below);
      }
  } finally {
    list.end();
  }
  await failed;
  return { members, tarBytes, holeBytes, leftOut };
}

function entriesOf(place: Buffer): Promise<Dirent<Buffer>[]> {
  return readdir(place, { withFileTypes: true, encoding: 'buffer' });
}

function memberBytes(nameLength: number, stats: Stats): number {
  const long = (length: number) =>
    length > LONGEST_SHORT_NAME ? 2 * TAR_BLOCK + blocksOf(length) : 0;
  // A link's size is the length of its target; a hard link's target is a path that is listed too.
  const target = stats.isSymbolicLink() ? stats.size : stats.nlink > 1 ? MAX_PATH_LENGTH : 0;
  return TAR_BLOCK + long(nameLength) + (stats.isDirectory() ? 0 : long(target));
}

/** What a file's content takes in a tar, and what its holes would. A map says where the pieces of a file with holes are. */
function contentOf({ size, blocks }: Stats): { content: number; holes: number } {
  const allocated = blocks * 512;
  if (allocated >= size) return { content: blocksOf(size), holes: 0 };
  const map = blocksOf((allocated / 4096) * 24);
  return { content: blocksOf(allocated) + map + TAR_BLOCK, holes: size - allocated };
}

function blocksOf(bytes: number): number {
  return Math.ceil(bytes / TAR_BLOCK) * TAR_BLOCK;
}

/** For people: without what a terminal would obey. */
function beginningOf(path: Buffer): string {
  return path.toString('utf8', 0, 200).replaceAll(/\p{Cc}/gu, '?');
}
