import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** How often the file is looked at, in milliseconds. */
const INTERVAL_MS = 1_000;

/** How much of what is there at the beginning is read: the rest is older. */
const MAX_BACKLOG_BYTES = 8 * 2 ** 20;

/** How much is read at once, and how long a line may be; a longer one is left out. */
const CHUNK_BYTES = 64 * 1024;

export interface TailOptions {
  readonly onLine: (line: string) => void;
  /** Another one only in tests. */
  readonly intervalMs?: number;
  readonly maxBacklogBytes?: number;
}

/**
 * Follows a log file until the signal: its last megabytes first, then each new line once it is complete. A file that another program
 * has renamed is read to its end before the new one of that name; one that was cut off is read from its beginning; one that is not there
 * yet is waited for. Never throws, and holds no more than one line.
 */
export async function tailLines(
  path: string,
  options: TailOptions,
  signal: AbortSignal,
): Promise<void> {
  const { intervalMs = INTERVAL_MS, maxBacklogBytes = MAX_BACKLOG_BYTES, onLine } = options;
  let file: TailedFile | null = null;
  let isFirst = true;
  try {
    while (!signal.aborted) {
      // Whatever keeps the file from being read, as a volume that is away, passes or is found by others.
      file = await step(file, path, isFirst ? maxBacklogBytes : null, onLine).catch(() => file);
      isFirst = false;
      await sleep(intervalMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    await file?.close();
  }
}

/** Reads what is new. @param backlog how much of a file is read that is opened now; null: all. @returns the file to go on with */
async function step(
  current: TailedFile | null,
  path: string,
  backlog: number | null,
  onLine: (line: string) => void,
): Promise<TailedFile | null> {
  const there = await stat(path).catch(() => null);
  await current?.read(onLine);
  if (there === null || current?.inode === there.ino) return current;
  await current?.close();
  const opened = await TailedFile.open(path, backlog);
  await opened.read(onLine);
  return opened;
}

class TailedFile {
  readonly inode: number;
  readonly #handle: FileHandle;
  readonly #chunk = Buffer.alloc(CHUNK_BYTES);
  #position: number;
  /** The line that is not complete yet. */
  #rest = Buffer.alloc(0);
  /** Whether the rest of the present line is left out: it is too long, or its beginning was not read. */
  #isSkipping: boolean;

  private constructor(handle: FileHandle, inode: number, position: number) {
    this.#handle = handle;
    this.inode = inode;
    this.#position = position;
    this.#isSkipping = position > 0;
  }

  static async open(path: string, backlog: number | null): Promise<TailedFile> {
    const handle = await open(path, 'r');
    const { ino, size } = await handle.stat();
    return new TailedFile(handle, ino, backlog === null ? 0 : Math.max(0, size - backlog));
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async read(onLine: (line: string) => void): Promise<void> {
    const { size } = await this.#handle.stat();
    if (size < this.#position) {
      this.#position = 0;
      this.#rest = Buffer.alloc(0);
      this.#isSkipping = false;
    }
    for (;;) {
      const { bytesRead } = await this.#handle.read(this.#chunk, 0, CHUNK_BYTES, this.#position);
      if (bytesRead === 0) return;
      this.#position += bytesRead;
      this.#take(this.#chunk.subarray(0, bytesRead), onLine);
    }
  }

  #take(bytes: Buffer, onLine: (line: string) => void): void {
    let from = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
      const line = Buffer.concat([this.#rest, bytes.subarray(from, end)]);
      if (!this.#isSkipping) onLine(line.toString('utf8'));
      this.#rest = Buffer.alloc(0);
      this.#isSkipping = false;
      from = end + 1;
    }
    if (this.#isSkipping) return;
    const rest = Buffer.concat([this.#rest, bytes.subarray(from)]);
    this.#isSkipping = rest.length > CHUNK_BYTES;
    this.#rest = this.#isSkipping ? Buffer.alloc(0) : rest;
  }
}
