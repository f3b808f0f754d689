import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { run } from '../../stack/run.ts';

/** The longest file name on Linux. */
const LONG_NAME = 'd'.repeat(255);

/** Makes nested directories, each with a name of 255 bytes, and a file in the innermost: its path is longer than Linux allows. */
export async function makeDeepTree(directory: string, levels: number): Promise<void> {
  let here: FileHandle = await open(directory, constants.O_DIRECTORY);
  // Relative to the open directory, as after chdir(): no call has the whole path.
  const inside = (name: string) => `/proc/self/fd/${here.fd}/${name}`;
  for (let level = 0; level < levels; level++) {
    await mkdir(inside(LONG_NAME));
    const next = await open(inside(LONG_NAME), constants.O_DIRECTORY);
    await here.close();
    here = next;
  }
  await writeFile(inside('deep'), 'deep');
  await here.close();
}

/** Files that a tenant can create to obstruct reading or removing their filestore. */
export async function makeOddFiles(directory: string): Promise<void> {
  for (const name of ['--checkpoint-action=exec=id', 'new\nline', '-rf', 'back\\slash', '…'])
    await writeFile(join(directory, name), name);
  const folder = Buffer.from(`${directory}/`);
  await writeFile(Buffer.concat([folder, Buffer.of(0xff, 0xfe)]), 'no text');
  await writeFile(join(directory, 'n'.repeat(255)), 'a long name');
  await run('mkfifo', ['--', join(directory, 'fifo')]);
  await run('ln', ['--', join(directory, '-rf'), join(directory, 'hard')]);
  await writeFile(join(directory, 'setuid'), '', { mode: 0o4755 });
  await symlink('/etc/passwd', join(directory, 'link'));
  await symlink('nowhere/at/all', join(directory, 'dangling'));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(directory, 's'), resolve));
  // Not closed: that would remove the socket, while a killed process leaves it.
  await run('ln', ['--', join(directory, 's'), join(directory, 'socket')]);
  await new Promise((resolve) => server.close(resolve));
}

/** Makes a file of this size that occupies one block. */
export async function makeSparseFile(path: string, bytes: number): Promise<void> {
  await writeFile(path, 'begins');
  await truncate(path, bytes);
}
