import { randomBytes } from 'node:crypto';
import {
  access,
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  rename,
  rm,
} from 'node:fs/promises';

/** A user and their group, as numbers: whom a file belongs to, or whom a container's process runs as. */
export interface UnixUser {
  readonly uid: number;
  readonly gid: number;
}

/** Readers see the old file or the whole new one, after a power cut too. Its mode is 0600. */
export async function replaceFile(path: string, text: string, owner?: UnixUser): Promise<void> {
  await rename(await writeDraft(path, text, owner), path);
}

/** Makes a file, of mode 0600, where there is none: unlike rename, link never replaces, so of two at once the first stays. */
export async function createFile(path: string, text: string): Promise<void> {
  const draft = await writeDraft(path, text);
  await link(draft, path).catch(unless('EEXIST'));
  await rm(draft);
}

/** Makes a directory where there is none, and gives it this owner and mode. */
export async function makeDirectory(path: string, mode: number, owner?: UnixUser): Promise<void> {
  await mkdir(path, { mode }).catch(unless('EEXIST'));
  // Following a link would change the owner of a directory elsewhere.
  if (!(await lstat(path)).isDirectory()) throw new Error(`${path} is not a directory`);
  if (owner) await chown(path, owner.uid, owner.gid);
  await chmod(path, mode);
}

/** The text of a file; null when there is none. */
export function readIfThere(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(unless('ENOENT', null));
}

/** For `catch`: `value` instead of the system's error of this code. */
export function unless<T = void>(code: string, value?: T) {
  return (error: NodeJS.ErrnoException): T => {
    if (error.code === code) return value as T;
    throw error;
  };
}

/** For `catch`: false for what is not there. */
export const unlessAbsent = unless('ENOENT', false as const);

/** Whether something is at a path; a link counts by what it leads to. */
export function isThere(path: string): Promise<boolean> {
  return access(path).then(() => true, unlessAbsent);
}

async function writeDraft(path: string, text: string, owner?: UnixUser): Promise<string> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    if (owner) await file.chown(owner.uid, owner.gid);
    await file.sync();
  } catch (error) {
    // On a full disk each attempt would leave one more behind.
    await rm(draft, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return draft;
}
