import { RetryableError } from '../../src/errors.ts';
import type { DesiredInstance, ObservedInstance } from '../../src/instance/types.ts';
import type { Databases } from '../../src/interfaces.ts';
import { hasOwnDatabase } from './engine.ts';

/**
 * The customers' databases, in memory. A database is either wholly there or not at all; making one over another is the
 * one thing that must never happen, so it is an error here. The first database of a module set waits for its template.
 */
export class FakeDatabases implements Databases {
  readonly present = new Set<number>();
  /** Module sets that have a template database. */
  readonly templates = new Set<string>();
  changes = 0;
  isAway = false;

  readonly #isDatabaseUp: (id: number) => boolean;

  /** @param isDatabaseUp whether an instance's own Postgres is up */
  constructor(isDatabaseUp: (id: number) => boolean) {
    this.#isDatabaseUp = isDatabaseUp;
  }

  async observe(desired: DesiredInstance): Promise<ObservedInstance['database']> {
    if (hasOwnDatabase(desired)) {
      if (!this.#isDatabaseUp(desired.id)) return 'offline';
    } else this.#checkHere();
    return this.present.has(desired.id) ? 'ready' : 'absent';
  }

  async create(desired: DesiredInstance, progress: (reason: string) => void): Promise<void> {
    this.#checkHere();
    const modules = JSON.stringify(desired.modules);
    if (!this.templates.has(modules)) {
      progress('PreparingTemplate');
      this.templates.add(modules);
    }
    progress('CreatingDatabase');
    if (this.present.has(desired.id))
      throw new Error(`database ${desired.id} would be overwritten`);
    this.present.add(desired.id);
    this.changes += 1;
  }

  #checkHere(): void {
    if (this.isAway)
      throw new RetryableError('PostgresUnavailable', 'The database server does not answer.');
  }
}
