import type { Disk, Shortage } from '../../src/interfaces.ts';

/** A disk with enough space, until the test says what is short. */
export class FakeDisk implements Disk {
  tooLittle: Shortage | null = null;
  readonly sizes = new Map<number, number>();

  async shortage(): Promise<Shortage | null> {
    return this.tooLittle;
  }

  async largest() {
    return [...this.sizes]
      .map(([id, bytes]) => ({ id, bytes }))
      .sort((one, other) => other.bytes - one.bytes);
  }
}
