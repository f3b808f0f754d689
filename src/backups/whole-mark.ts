import type { Repository, Restic } from '../restic/restic.ts';
import { addNote } from './note.ts';
import { wholeTags } from './snapshot-tags.ts';

/**
 * Writes beside a backup that it is whole: before that it counts as none. A snapshot appears too where a file could not be read, where the
 * tenant has let the database go meanwhile, and where the sidecar was killed and restic's container went on; and a server may keep it.
 * @param folder where a small file is written
 */
export async function markWhole(
  restic: Pick<Restic, 'backup'>,
  repository: Repository,
  snapshot: string,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const note = { name: 'whole', text: `${snapshot}\n`, tags: wholeTags(snapshot) };
  await addNote(restic, repository, folder, note, signal);
}
