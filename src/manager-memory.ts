import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError } from './errors.ts';
import type { ManagerMemory, MemoryStore } from './interfaces.ts';

const schema = z.object({
  databaseUuid: z.string(),
  checkpoint: z.int(),
  highestInstance: z.int(),
  distrust: z.enum(['older', 'other']).nullable(),
});

/** `<dataDir>/manager.json`: which manager's database this host has worked for, and its last known checkpoint (ADR 12). */
export class ManagerMemoryFile implements MemoryStore {
  readonly #file: string;

  constructor(dataDir: string) {
    this.#file = join(dataDir, 'manager.json');
  }

  /** @returns null when there is none yet. @throws ConfigError when it cannot be parsed: its content must not be guessed */
  async read(): Promise<ManagerMemory | null> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (text === null) return null;
    try {
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw new ConfigError(
        `${this.#file}: expected what the sidecar wrote there, found something else. Remove the file once you are sure that the manager's database is the right one and not an older copy.`,
        { cause },
      );
    }
  }

  /** Works for no manager any more: the next one is taken for what it says. */
  async forget(): Promise<void> {
    await rm(this.#file, { force: true });
  }

  async write(memory: ManagerMemory): Promise<void> {
    const temporary = `${this.#file}.new`;
    await writeFile(temporary, `${JSON.stringify(memory)}\n`, { mode: 0o600, flush: true });
    await rename(temporary, this.#file);
  }
}
