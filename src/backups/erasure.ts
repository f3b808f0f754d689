import { appendFile } from 'node:fs/promises';
import { readIfThere } from '../host/files.ts';
import type { DesiredInstance, Job } from '../instance/types.ts';
import type { Clock, Erasures } from '../interfaces.ts';
import type { Restic } from '../restic/restic.ts';
import type { ArchiveStore } from './archives.ts';
import type { BackupKeys } from './backup-keys.ts';
import type { ExportFiles } from './export-files.ts';

export interface ErasureOptions {
  /** Before anything is removed. @throws TerminalError('HostReplaced') where the repositories are another host's by now */
  readonly requireHost: (signal: AbortSignal) => Promise<void>;
  readonly keys: Pick<BackupKeys, 'forget' | 'has' | 'others' | 'repositoryOf'>;
  readonly restic: Pick<Restic, 'erase'>;
  readonly exports: Pick<ExportFiles, 'dropOf'>;
  readonly archives: Pick<ArchiveStore, 'dropOf'>;
  /** Where it is written down: a line of JSON each. It is in the manager's backup too. */
  readonly record: string;
  readonly now: Clock;
}

/** What is left of an instance once its data were removed, and how that goes. */
export class Erasure implements Erasures {
  readonly #options: ErasureOptions;

  constructor(options: ErasureOptions) {
    this.#options = options;
  }

  /** The key goes last: without it nothing of the repository could be removed any more. */
  async erase(desired: DesiredInstance, job: Job, signal: AbortSignal): Promise<void> {
    const { archives, exports, keys, requireHost, restic } = this.#options;
    await requireHost(signal);
    await this.#note(desired, job);
    await exports.dropOf(desired.id);
    await archives.dropOf(desired);
    if (await keys.has(desired))
      await restic.erase(keys.repositoryOf(desired), await keys.others(desired), signal);
    await keys.forget(desired);
  }

  /** Before anything goes, so that nothing goes without it; once, however often it is repeated. */
  async #note({ id, identity, name }: DesiredInstance, job: Job): Promise<void> {
    const { now, record } = this.#options;
    if ((await readIfThere(record))?.includes(job.identity)) return;
    const at = now().toISOString();
    const entry = {
      at,
      instance: id,
      identity,
      name,
      askedBy: job.askedBy ?? '',
      job: job.identity,
    };
    await appendFile(record, `${JSON.stringify(entry)}\n`, { mode: 0o600, flush: true });
  }
}
