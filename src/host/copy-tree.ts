import { constants } from 'node:fs';
import { chmod, chown, copyFile, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Owner, unless } from './files.ts';

export type { Owner } from './files.ts';

/**
 * Copies a folder, by reference where the file system can, and gives the copy to `owner`. A folder that is not there is an
 * empty one: Odoo makes none when it stored no file. Anything but files and folders is left out; the copy must not exist yet.
 * Folders keep their modes, as Postgres wants it of its data directory.
 *
 * All at once, because Node's own cp() takes one file after the other: 0.7 s for the 870 files of 70 modules, where this takes 0.1 s.
 */
export async function copyTree(from: string, to: string, owner: Owner): Promise<void> {
  await mkdir(to, { recursive: true });
  const entries = await readdir(from, { withFileTypes: true }).catch(unless('ENOENT', []));
  const copies = entries.map(async (entry) => {
    const target = join(to, entry.name);
    if (entry.isDirectory()) return copyTree(join(from, entry.name), target, owner);
    if (!entry.isFile()) return;
    await copyFile(join(from, entry.name), target, constants.COPYFILE_FICLONE);
    await chown(target, owner.uid, owner.gid);
  });
  const mode = await stat(from).then(
    ({ mode }) => mode & 0o777,
    () => null,
  );
  await Promise.all([...copies, chown(to, owner.uid, owner.gid)]);
  if (mode !== null) await chmod(to, mode);
}
