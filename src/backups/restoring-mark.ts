import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DirectoryMarks } from '../files/directory-mark.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import { readIfThere, replaceFile } from '../host/files.ts';
import type { DesiredInstance } from '../instance/types.ts';

/** A file in an instance's directory while its data come from elsewhere: what is there is no customer's data yet. */
const RESTORING = 'restoring';

/** Says of an instance's directory that its data are being restored, and from what. */
export class RestoringMark {
  readonly #dirs: InstanceDirs;
  readonly #marks: Pick<DirectoryMarks, 'claim'>;

  constructor(dirs: InstanceDirs, marks: Pick<DirectoryMarks, 'claim'>) {
    this.#dirs = dirs;
    this.#marks = marks;
  }

  /** @throws TerminalError('ForeignData') where the directory is another's */
  async begin(desired: DesiredInstance, name: string): Promise<void> {
    // Files without an identity mark count as foreign.
    await this.#marks.claim(desired);
    await replaceFile(this.#file(desired), `${name}\n`);
  }

  /** What begin() was given, while end() has not followed; '' where an earlier version began it; null: nothing was begun. */
  async begun(desired: Pick<DesiredInstance, 'id'>): Promise<string | null> {
    const text = await readIfThere(this.#file(desired));
    return text === null ? null : text.trim();
  }

  /** The instance has all of its data: from now on they are the customer's. */
  async end(desired: Pick<DesiredInstance, 'id'>): Promise<void> {
    await rm(this.#file(desired), { force: true });
  }

  #file({ id }: Pick<DesiredInstance, 'id'>): string {
    return join(this.#dirs.paths(id).directory, RESTORING);
  }
}
