import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Repository, Restic } from '../restic/restic.ts';

/** A snapshot that holds no data, and says something of the others by its tags. */
export interface Note {
  /** Of its one file. */
  readonly name: string;
  readonly text: string;
  readonly tags: readonly string[];
}

/**
 * Adds a note to a repository: servers that only take more take that too.
 * @param folder where its file is written
 */
export async function addNote(
  restic: Pick<Restic, 'backup'>,
  repository: Repository,
  folder: string,
  { name, tags, text }: Note,
  signal: AbortSignal,
): Promise<void> {
  const file = join(folder, name);
  await writeFile(file, text, { mode: 0o600 });
  const sources = [{ from: file, to: name }];
  await restic.backup(repository, sources, [...tags, `run:${randomUUID()}`], signal);
}
