import type { Disk } from '../../src/interfaces.ts';

/** A disk with enough space, until the test says what is short. */
export class FakeDisk implements Disk {
  tooLittle = '';
  readonly sizes = new Map<number, number>();

  async shortage(): Promise<string> {
    return this.tooLittle;
  }

  async largest() {
    return [...this.sizes]
      .map(([id, bytes]) => ({ id, bytes }))
      .sort((one, other) => other.bytes - one.bytes);
  }
}
