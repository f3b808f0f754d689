import { TerminalError } from '../../src/errors.ts';
import type { ProgressReason } from '../../src/instance/reasons.ts';
import type { CopyOf, DesiredInstance } from '../../src/instance/types.ts';
import type { Copies } from '../../src/interfaces.ts';
import type { FakeDatabases } from './databases.ts';

/** Staging copies in memory: of each its database, and the snapshot that it was made from. */
export class FakeCopies implements Copies {
  /** By the copy's number. */
  readonly madeOf = new Map<number, string>();
  /** Snapshots that cannot be neutralised. */
  readonly hostile = new Set<string>();
  /** How often one was begun. */
  begun = 0;
  readonly #databases: FakeDatabases;

  constructor(databases: FakeDatabases) {
    this.#databases = databases;
  }

  async make(
    { id, identity }: DesiredInstance,
    { snapshot }: CopyOf,
    progress: (reason: ProgressReason) => void,
  ): Promise<void> {
    this.begun += 1;
    progress('FetchingBackup');
    progress('RestoringDatabase');
    if (this.#databases.present.has(id)) throw new Error(`database ${id} would be overwritten`);
    progress('Neutralising');
    await Promise.resolve(); // what goes on beside it begins
    if (this.hostile.has(snapshot))
      throw new TerminalError('NeutraliseFailed', 'it raises an error', { detail: 'no' });
    this.#databases.present.add(id);
    this.#databases.marks.set(id, identity);
    this.#databases.changes += 1;
    this.madeOf.set(id, snapshot);
  }
}
