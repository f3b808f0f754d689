import { setTimeout as pause } from 'node:timers/promises';
import { RetryableError } from '../errors.ts';
import type { Disk } from '../host/disk.ts';

const MINUTE_MS = 60_000;
const GB = 1024 ** 3;

/** What the smallest of backups may take, in milliseconds: on a host that has much else to do too. */
const LEAST_MS = 15 * MINUTE_MS;

/** How fast data are written and read at least, in bytes a second. */
const SLOWEST = 1024 ** 2;

/**
 * How much more a dump may be than its database. Postgres compresses large values, a dump has them as text: of text three times as much is
 * usual. What a tenant has made to be compressed can be a hundred times as much.
 */
const MOST_TIMES = 5;

/** How often it is looked at what is written, in milliseconds. */
const LOOK_MS = 500;

export interface Bounds {
  readonly disk: Pick<Disk, 'checkRoom'>;
  /** How long the work may take, in milliseconds; without it, as long as it takes. */
  readonly timeMs?: number;
  /** How much may be written, and how much has been, in bytes. */
  readonly size?: { readonly most: number; readonly of: () => Promise<number> };
}

/** How long one step with a tenant's backup may take, in milliseconds. @param bytes of their database and files */
export function timeLimitMs(bytes: number): number {
  return LEAST_MS + (bytes / SLOWEST) * 1000;
}

/** How large a dump of a database, or a database restored from a dump, may be. @param bytes of the one that is known */
export function sizeLimit(bytes: number): number {
  return MOST_TIMES * bytes + GB;
}

/**
 * Runs work with a tenant's data, which may be there to take all time and all room, and ends it where it takes more than it may.
 * @param work is to end soon after its signal
 * @throws RetryableError('BackupTooSlow'), ('BackupTooLarge'), or ('NotEnoughDisk') as soon as what the host keeps free is touched
 */
export async function withinBounds<T>(
  bounds: Bounds,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const [over, ended] = [new AbortController(), new AbortController()];
  const bounded = AbortSignal.any([signal, over.signal]);
  const { timeMs } = bounds;
  const timer =
    timeMs === undefined ? undefined : setTimeout(() => over.abort(tooSlow(timeMs)), timeMs);
  // A limit alone keeps no process alive.
  timer?.unref();
  const watched = watch(bounds, ended.signal).catch((error) => over.abort(error));
  try {
    const result = await work(bounded);
    // It may all have been written between two looks.
    await check(bounds);
    return result;
  } catch (error) {
    bounded.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    ended.abort();
    await watched;
  }
}

/** @throws as soon as a bound is passed */
async function watch(bounds: Bounds, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    await pause(LOOK_MS, undefined, { signal: ended, ref: false }).catch(() => {}); // the work has ended
    if (!ended.aborted) await check(bounds);
  }
}

async function check({ disk, size }: Bounds): Promise<void> {
  await disk.checkRoom();
  if (size && (await size.of()) > size.most) throw tooLarge(size.most);
}

function tooSlow(limitMs: number): RetryableError {
  const detail = String(Math.round(limitMs / MINUTE_MS));
  return new RetryableError('BackupTooSlow', `it took more than ${detail} minutes`, { detail });
}

function tooLarge(limit: number): RetryableError {
  const detail = `${Math.round(limit / 1024 ** 2)} MB`;
  return new RetryableError('BackupTooLarge', `it became larger than ${detail}`, { detail });
}
