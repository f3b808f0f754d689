import type { DesiredInstance, Job } from '../../src/instance/types.ts';
import type { Erasures } from '../../src/interfaces.ts';
import type { FakeBackups } from './backups.ts';

/** Erasures in memory: the backups go, and who asked is noted once. */
export class FakeErasures implements Erasures {
  /** Of each instance, who had it erased. */
  readonly askedBy = new Map<number, string>();
  /** Why nothing can be erased; null: it can. */
  refusal: Error | null = null;
  readonly #backups: Pick<FakeBackups, 'taken'>;

  constructor(backups: Pick<FakeBackups, 'taken'>) {
    this.#backups = backups;
  }

  async erase({ id }: DesiredInstance, { askedBy = '' }: Job): Promise<void> {
    if (this.refusal) throw this.refusal;
    this.askedBy.set(id, askedBy);
    this.#backups.taken.delete(id);
  }
}
