import { TerminalError } from '../../src/errors.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import type { Archives } from '../../src/interfaces.ts';

/** Archives in memory: only existing data can be archived, and nothing is purged without a complete archive. */
export class FakeArchives implements Archives {
  readonly written = new Map<number, string>();
  /** Instances whose archive somebody has damaged. */
  readonly damaged = new Set<number>();
  /** Why archives cannot be written; null: they can. */
  refusal: Error | null = null;
  readonly #hasData: (id: number) => boolean;

  constructor(hasData: (id: number) => boolean) {
    this.#hasData = hasData;
  }

  async write({ id }: DesiredInstance) {
    if (!this.#hasData(id)) throw new Error(`instance ${id} has no data to archive`);
    if (this.refusal) throw this.refusal;
    this.written.set(id, `${id}-archive`);
    return { name: `${id}-archive`, leftOut: 0 };
  }

  async verify({ id }: DesiredInstance): Promise<void> {
    if (!this.written.has(id) || this.damaged.has(id))
      throw new TerminalError('ArchiveDamaged', 'The archive cannot be used. Nothing was removed.');
  }
}
