import type { RestoringMarks } from '../../src/interfaces.ts';

/** Marks of unfinished restores, in memory. */
export class FakeRestoring implements RestoringMarks {
  readonly unfinished = new Map<number, string>();

  async begin({ id }: { readonly id: number }, name: string): Promise<void> {
    this.unfinished.set(id, name);
  }

  async begun({ id }: { readonly id: number }): Promise<string | null> {
    return this.unfinished.get(id) ?? null;
  }

  async end({ id }: { readonly id: number }): Promise<void> {
    this.unfinished.delete(id);
  }
}
