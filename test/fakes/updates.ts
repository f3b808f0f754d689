import { TerminalError } from '../../src/errors.ts';
import type { DesiredInstance, Job, Pins } from '../../src/instance/types.ts';
import type { Updates } from '../../src/interfaces.ts';
import type { FakeRestores } from './restores.ts';

interface Prepared {
  readonly job: Job;
  readonly mine: Pins;
  readonly others: Pins;
  isMade: boolean;
}

/** Updates in memory: updated data are called after the image that they were updated to. */
export class FakeUpdates implements Updates {
  /** The update of a backup fails, or only that of the present data. */
  fails: 'never' | 'rehearsed' | 'made' = 'never';
  /** Runs while the present data are being updated. */
  whileMade: () => void = () => {};
  readonly #restores: FakeRestores;
  readonly #newestImage: () => string;
  readonly #prepared = new Map<number, Prepared>();
  /** What goes with the data that an update has replaced. */
  readonly #before = new Map<number, { readonly mine: Pins; readonly others: Pins }>();

  constructor(restores: FakeRestores, newestImage: () => string) {
    this.#restores = restores;
    this.#newestImage = newestImage;
  }

  async rehearse(
    desired: DesiredInstance,
    job: Job,
    snapshot: string,
    progress: (reason: 'FetchingBackup' | 'Rehearsing') => Promise<void>,
  ): Promise<void> {
    if (!snapshot) throw new Error('nothing to rehearse on');
    const mine = { imageDigest: this.#newestImage(), commits: [] };
    const others = { imageDigest: desired.imageDigest, commits: [] };
    if (mine.imageDigest === others.imageDigest)
      throw new TerminalError('NothingToUpdate', 'nothing is newer');
    await progress('FetchingBackup');
    await progress('Rehearsing');
    if (this.fails === 'rehearsed') throw new TerminalError('UpdateFailed', 'raises at import');
    this.#prepared.set(desired.id, { job, mine, others, isMade: false });
    this.#restores.prepareData(desired.id, job, 'half updated');
  }

  async make({ id }: DesiredInstance): Promise<void> {
    const prepared = this.#prepared.get(id);
    if (!prepared) throw new Error('not rehearsed');
    this.whileMade();
    if (this.fails === 'made') throw new TerminalError('UpdateFailed', 'fails half-way');
    prepared.isMade = true;
    this.#restores.prepareData(id, prepared.job, `updated to ${prepared.mine.imageDigest}`);
  }

  async abandon({ id }: DesiredInstance): Promise<void> {
    this.#prepared.delete(id);
    this.#restores.dropPrepared(id);
  }

  async prepareUndo({ id }: DesiredInstance, job: Job): Promise<void> {
    const before = this.#before.get(id);
    if (before) {
      const swapped = { mine: before.others, others: before.mine };
      this.#prepared.set(id, { job, ...swapped, isMade: true });
    } else if (job.kind === 'undo_update')
      throw new TerminalError('NothingToUndo', 'nothing is kept');
  }

  async pins({ id }: DesiredInstance): Promise<Pins | null> {
    const prepared = this.#prepared.get(id);
    if (!prepared || (await this.#restores.prepared({ id })) === '') return null;
    this.#before.set(id, { mine: prepared.mine, others: prepared.others });
    return prepared.mine;
  }
}
