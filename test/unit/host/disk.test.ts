import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { RetryableError } from '../../../src/errors.ts';
import { Disk, measureFreeSpace } from '../../../src/host/disk.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const MB = 2 ** 20;
const LIMITS = { freeDiskMb: 1000, freeInodes: 500 };

describe('Disk', () => {
  const folder = temporaryFolder();
  const withRoom = (bytes: number, inodes = 1e6, limits = LIMITS) =>
    new Disk(folder(), limits, async () => ({ bytes, inodes, share: 1 }));

  it('has enough down to both limits, and names what is short below either', async () => {
    expect(await withRoom(1000 * MB, 500).shortage()).to.equal(null);
    expect(await withRoom(1000 * MB - 1).shortage()).to.deep.equal({
      reason: 'NotEnoughDisk',
      detail: ['999 MB', '1000 MB'],
      message: 'Only 999 MB are free; 1000 MB are kept.',
    });
    expect(await withRoom(5000 * MB, 499).shortage()).to.deep.equal({
      reason: 'NotEnoughInodes',
      detail: ['499', '500'],
      message: 'Only 499 more files can be made; 500 are kept.',
    });
    expect(await withRoom(0, 0, { freeDiskMb: 0, freeInodes: 0 }).shortage()).to.equal(null);
  });

  it('refuses a write that would leave too little', async () => {
    const disk = withRoom(4000 * MB);
    await disk.checkRoom(3000 * MB);
    const error = await disk.checkRoom(3001 * MB).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(RetryableError).with.property('reason', 'NotEnoughDisk');
    expect((error as Error).message).to.equal(
      "The server's disk has too little room. About 3001 MB are needed and 4000 MB are free, of which 1000 MB are kept.",
    );
  });

  it('refuses a write that would leave less than a share of the disk, where that is more than the limit', async () => {
    const half = new Disk(folder(), LIMITS, async () => ({
      ...{ bytes: 50_000 * MB, inodes: 1e6, share: 0.5 },
    }));
    await half.checkRoom(40_000 * MB, 0.1);
    const error = await half.checkRoom(40_001 * MB, 0.1).catch((thrown: unknown) => thrown);
    expect((error as Error).message).to.match(
      /About 39 GB are needed and 48 GB are free, of which 10000 MB/,
    );
    await half.checkRoom(48_000 * MB, 0.01);
    const full = new Disk(folder(), { freeDiskMb: 0, freeInodes: 0 }, async () => ({
      ...{ bytes: 0, inodes: 1e6, share: 0 },
    }));
    expect(await full.checkRoom(0, 0.1).catch(() => 'refused')).to.equal('refused');
  });

  it('measures the file system', async () => {
    const room = await measureFreeSpace(folder());
    expect(room.bytes).to.be.greaterThan(0);
    expect(room.share).to.be.within(0, 1);
  });

  it('counts what one instance occupies, its empty folders too; of one that is not there nobody knows', async () => {
    await mkdir(join(folder(), 'instances', '7', 'filestore'), { recursive: true });
    await writeFile(join(folder(), 'instances', '7', 'file'), Buffer.alloc(900_000, 1));
    const disk = withRoom(0);
    expect(await disk.occupiedBy(7)).to.be.within(900_000, 950_000);
    expect(await disk.occupiedBy(8)).to.equal(null);
  });

  it('names the instances with the largest files first', async () => {
    for (const [id, bytes] of [
      [3, 1000],
      [4, 900_000],
      [12, 100_000],
    ] as const) {
      await mkdir(join(folder(), 'instances', `${id}`), { recursive: true });
      await writeFile(join(folder(), 'instances', `${id}`, 'file'), Buffer.alloc(bytes, 1));
    }
    const found = await withRoom(0).largest();
    expect(found.map(({ id }) => id)).to.deep.equal([4, 12, 3]);
    expect(found[0]?.bytes).to.be.greaterThan(899_999);
  });
});
