import { TerminalError } from '../../src/errors.ts';
import type { DesiredInstance, Job } from '../../src/instance/types.ts';
import type { Clock, RestoreSource, Restores } from '../../src/interfaces.ts';

/** Restores in memory: what an instance's data come from is the snapshot of the last job that was carried out; '' is its own. */
export class FakeRestores implements Restores {
  readonly dataOf = new Map<number, string>();
  /** What came beside the database where nothing was before. */
  readonly secretsOf = new Map<number, string>();
  readonly filesOf = new Map<number, string>();
  /** What happens while data are dropped that were replaced long ago. */
  whileDropped: () => void = () => {};
  /** Snapshots that cannot be restored. */
  readonly damaged = new Set<string>();
  readonly #prepared = new Map<number, Job & { readonly data: string }>();
  readonly #before = new Map<
    number,
    { readonly job: string; readonly data: string; readonly at: Date }
  >();
  readonly #now: Clock;

  constructor(now: Clock) {
    this.#now = now;
  }

  async prepare(
    { id }: DesiredInstance,
    job: Job,
    progress: (reason: 'FetchingBackup' | 'RestoringDatabase') => Promise<void>,
  ): Promise<void> {
    if (this.#prepared.get(id)?.identity === job.identity) return;
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

  async prepared({ id }: Pick<DesiredInstance, 'id'>): Promise<string> {
    return this.#prepared.get(id)?.identity ?? '';
  }

  async carryOut({ id }: DesiredInstance, job: Job): Promise<void> {
    const prepared = this.#prepared.get(id);
    if (prepared?.identity !== job.identity)
      throw new Error(`nothing is prepared for job ${job.id}`);
    const data = this.dataOf.get(id) ?? '';
    this.#before.set(id, { job: job.identity, data, at: this.#now() });
    this.dataOf.set(id, prepared.data);
    this.#prepared.delete(id);
  }

  async isCarriedOut({ id }: DesiredInstance, job: Job): Promise<boolean> {
    return this.#before.get(id)?.job === job.identity;
  }

  async replacedAt({ id }: Pick<DesiredInstance, 'id'>): Promise<Date | null> {
    return this.#before.get(id)?.at ?? null;
  }

  async dropReplaced(): Promise<void> {
    this.whileDropped();
  }

  async fetched<T>(
    owner: { readonly id: number; readonly identity: string },
    snapshot: string,
    signal: AbortSignal,
    work: (source: RestoreSource, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.damaged.has(snapshot)) throw new TerminalError('BackupDamaged', 'damaged');
    let target = 0;
    const source: RestoreSource = {
      ...{ name: snapshot, owner, template: 'odoo', url: '' },
      placeSecrets: async ({ id }) => void this.secretsOf.set(id, snapshot),
      placeFiles: async ({ id }) => {
        target = id;
        this.filesOf.set(id, snapshot);
      },
      fill: async () => void this.dataOf.set(target, snapshot),
    };
    return work(source, signal);
  }
}
