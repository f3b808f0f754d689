import type { ManagerMemory, MemoryStore } from '../../src/interfaces.ts';

/** The host's memory of its manager: it outlives the sidecar as the file does. */
export class FakeMemory implements MemoryStore {
  memory: ManagerMemory | null = null;

  async read(): Promise<ManagerMemory | null> {
    return this.memory;
  }

  async write(memory: ManagerMemory): Promise<void> {
    this.memory = memory;
  }

  /** A person has confirmed that the present manager is the right one. */
  confirm(): void {
    this.memory = null;
  }
}
