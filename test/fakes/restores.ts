import { TerminalError } from '../../src/errors.ts';
import type { DesiredInstance, Job } from '../../src/instance/types.ts';
import type { Restores } from '../../src/interfaces.ts';

/** Restores in memory: what an instance's data come from is the snapshot of the last job that was carried out; '' is its own. */
export class FakeRestores implements Restores {
  readonly dataOf = new Map<number, string>();
  /** Snapshots that cannot be restored. */
  readonly damaged = new Set<string>();
  readonly #prepared = new Map<number, Job & { readonly data: string }>();
  readonly #before = new Map<number, { readonly job: number; readonly data: string }>();

  async prepare(
    { id }: DesiredInstance,
    job: Job,
    progress: (reason: 'FetchingBackup' | 'RestoringDatabase') => Promise<void>,
  ): Promise<void> {
    if (this.#prepared.get(id)?.id === job.id) return;
    if (job.kind !== 'restore') {
      const before = this.#before.get(id);
      if (!before) throw new TerminalError('NothingToUndo', 'nothing is kept');
      this.#prepared.set(id, { ...job, data: before.data });
      return;
    }
    await progress('FetchingBackup');
    if (this.damaged.has(job.snapshot)) throw new TerminalError('BackupDamaged', 'damaged');
    await progress('RestoringDatabase');
    this.#prepared.set(id, { ...job, data: job.snapshot });
  }

  /** Data of another origin wait: see FakeUpdates. */
  prepareData(id: number, job: Job, data: string): void {
    this.#prepared.set(id, { ...job, data });
  }

  dropPrepared(id: number): void {
    this.#prepared.delete(id);
  }

  async prepared({ id }: Pick<DesiredInstance, 'id'>): Promise<number> {
    return this.#prepared.get(id)?.id ?? 0;
  }

  async carryOut({ id }: DesiredInstance, job: Job): Promise<void> {
    const prepared = this.#prepared.get(id);
    if (prepared?.id !== job.id) throw new Error(`nothing is prepared for job ${job.id}`);
    this.#before.set(id, { job: job.id, data: this.dataOf.get(id) ?? '' });
    this.dataOf.set(id, prepared.data);
    this.#prepared.delete(id);
  }

  async isCarriedOut({ id }: DesiredInstance, job: Job): Promise<boolean> {
    return this.#before.get(id)?.job === job.id;
  }

  async keepsReplaced({ id }: Pick<DesiredInstance, 'id'>): Promise<boolean> {
    return this.#before.has(id);
  }

  async dropReplaced(): Promise<void> {}
}
