import { freemem, totalmem } from 'node:os';
import type { Disk } from '../host/disk.ts';
import type { HostUse, ShortOf } from '../instance/use.ts';

/**
 * How the machine does that all instances share, and what there is too little of for one more.
 * @param hasMemory whether there is memory for one more
 */
export async function hostUse(
  disk: Pick<Disk, 'free' | 'shortage'>,
  hasMemory: () => boolean,
): Promise<HostUse> {
  const [free, shortage] = await Promise.all([disk.free(), disk.shortage()]);
  const shortOf: ShortOf[] = [];
  if (!hasMemory()) shortOf.push('memory');
  if (shortage) shortOf.push('disk');
  const inMb = (bytes: number) => Math.round(bytes / 2 ** 20);
  return {
    ...{ memoryMb: inMb(totalmem()), freeMemoryMb: inMb(freemem()) },
    ...{ diskMb: inMb(free.share > 0 ? free.bytes / free.share : 0), freeDiskMb: inMb(free.bytes) },
    shortOf,
  };
}
