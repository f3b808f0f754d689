import type { Backup, Clock, ManagerBackups } from '../../src/interfaces.ts';
import { anInstance } from '../support/samples.ts';
import { FakeBackups } from './backups.ts';

/** Backups of the manager in memory: those of an instance that nobody has. */
export class FakeManagerBackups implements ManagerBackups {
  readonly kept: FakeBackups;
  readonly #owner = anInstance({ id: 0 });

  constructor(now: Clock) {
    this.kept = new FakeBackups(now);
  }

  take(options: { readonly isByHand: boolean }): Promise<void> {
    return this.kept.take(this.#owner, options);
  }

  list(): Promise<Backup[]> {
    return this.kept.list(this.#owner);
  }

  prove(snapshot: string): Promise<void> {
    return this.kept.prove(this.#owner, snapshot, { boots: false });
  }

  forgetOld(): Promise<Backup[]> {
    return this.kept.forgetOld(this.#owner);
  }
}
