import type { ManagerMemory, MemoryStore } from '../../src/interfaces.ts';

/** What a host remembers of its manager, in memory: it outlives the sidecar as the file does. */
export class FakeMemory implements MemoryStore {
  memory: ManagerMemory | null = null;

  async read(): Promise<ManagerMemory | null> {
    return this.memory;
  }

  async write(memory: ManagerMemory): Promise<void> {
    this.memory = memory;
  }

  /** A person has looked and says that the manager as it is now is the one. */
  confirm(): void {
    this.memory = null;
  }
}
