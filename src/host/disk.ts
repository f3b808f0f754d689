import { readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError, notEnoughDisk } from '../errors.ts';
import type { Disk as DiskGuard, Shortage } from '../interfaces.ts';
import { exec } from './exec.ts';

const MB = 2 ** 20;

/** How long the files of one instance, and those of all, are counted at most, in milliseconds. */
const COUNT_ONE_MS = 10_000;
const COUNT_ALL_MS = 60_000;

/** What is available on a file system to users other than root. */
export interface FreeSpace {
  readonly bytes: number;
  readonly inodes: number;
  /** 0 … 1 of all bytes. */
  readonly share: number;
}

export interface DiskLimits {
  /** In MB; 0: no limit. */
  readonly freeDiskMb: number;
  /** 0: no limit, as on a file system that does not count them (btrfs says 0). */
  readonly freeInodes: number;
}

/**
 * The free space on dataDir's file system, and how much of it must stay free: a full disk stops the customers' Postgres, and with it
 * every instance. A check costs one system call.
 */
export class Disk implements DiskGuard {
  readonly #dataDir: string;
  readonly #limits: DiskLimits;
  readonly #measure: (path: string) => Promise<FreeSpace>;

  constructor(dataDir: string, limits: DiskLimits, measure = measureFreeSpace) {
    this.#dataDir = dataDir;
    this.#limits = limits;
    this.#measure = measure;
  }

  /** What is free. Costs one system call. */
  free(): Promise<FreeSpace> {
    return this.#measure(this.#dataDir);
  }

  /**
   * What there is too little of; null when there is enough.
   * @param bytes are about to be written
   * @param keptShare how much of the whole disk is to stay free, 0 … 1, where that is more than what stays free always
   */
  async shortage(bytes = 0, keptShare = 0): Promise<Shortage | null> {
    const { freeDiskMb, freeInodes } = this.#limits;
    const room = await this.#measure(this.#dataDir);
    const left = Math.max(0, room.bytes - bytes);
    const total = room.share > 0 ? room.bytes / room.share : MB;
    const keptBytes = Math.max(freeDiskMb * MB, keptShare * total);
    if (left < keptBytes) {
      const [free, needed] = [megabytes(room.bytes), megabytes(bytes)];
      const kept = keptBytes > freeDiskMb * MB ? megabytes(keptBytes) : `${freeDiskMb} MB`;
      const reason = 'NotEnoughDisk';
      return bytes > 0
        ? {
            reason,
            detail: [free, kept, needed],
            message: `About ${needed} are needed and ${free} are free, of which ${kept} are kept.`,
          }
        : { reason, detail: [free, kept], message: `Only ${free} are free; ${kept} are kept.` };
    }
    if (freeInodes > 0 && room.inodes < freeInodes)
      return {
        reason: 'NotEnoughInodes',
        detail: [String(room.inodes), String(freeInodes)],
        message: `Only ${room.inodes} more files can be made; ${freeInodes} are kept.`,
      };
    return null;
  }

  async largest(): Promise<{ id: number; bytes: number }[]> {
    const folder = join(this.#dataDir, 'instances');
    const ids = (await readdir(folder).catch(() => [])).map(Number).filter((id) => id > 0);
    const end = performance.now() + COUNT_ALL_MS;
    const found: { id: number; bytes: number }[] = [];
    for (const id of ids) {
      if (performance.now() > end) break;
      found.push({ id, bytes: await occupied(join(folder, String(id))) });
    }
    return found.sort((one, other) => other.bytes - one.bytes);
  }

  /** What an instance's directory takes on the disk, in bytes; null when it cannot be counted in ten seconds, or changes meanwhile. */
  async occupiedBy(id: number): Promise<number | null> {
    const bytes = await occupied(join(this.#dataDir, 'instances', String(id)));
    return Number.isFinite(bytes) && bytes > 0 ? bytes : null;
  }

  /** @throws RetryableError('NotEnoughDisk') unless so many bytes may be written; see shortage() */
  async checkRoom(bytes = 0, keptShare = 0): Promise<void> {
    const shortage = await this.shortage(bytes, keptShare);
    if (shortage) throw notEnoughDisk(shortage);
  }
}

/** What a directory takes on the disk, in bytes; infinite when its files cannot be counted in ten seconds. */
async function occupied(directory: string): Promise<number> {
  const du = ['--summarize', '--one-file-system', '--block-size=1', '--', directory];
  const output = await exec(['du', ...du], { timeoutMs: COUNT_ONE_MS }).catch((error: unknown) => {
    if (error instanceof CommandError) return error.exitCode === null ? 'Infinity' : '0';
    throw error;
  });
  return Number.parseFloat(output);
}

export async function measureFreeSpace(path: string): Promise<FreeSpace> {
  const { bavail, blocks, bsize, ffree, files } = await statfs(path);
  return {
    bytes: bavail * bsize,
    inodes: files === 0 ? Number.POSITIVE_INFINITY : ffree,
    share: blocks === 0 ? 1 : bavail / blocks,
  };
}

function megabytes(bytes: number): string {
  return bytes < 10 * 1024 * MB
    ? `${Math.floor(bytes / MB)} MB`
    : `${Math.floor(bytes / 1024 / MB)} GB`;
}
