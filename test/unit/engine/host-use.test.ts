import { expect } from 'chai';
import { hostUse } from '../../../src/engine/host-use.ts';

const GB = 2 ** 30;

describe('how the machine does', () => {
  const disk = {
    free: async () => ({ bytes: 25 * GB, share: 0.25, inodes: 1_000 }),
    shortage: async () => null,
  };

  it('is told in megabytes, of the disk the whole and what is free', async () => {
    const use = await hostUse(disk, () => true);
    expect(use).to.include({ diskMb: 102_400, freeDiskMb: 25_600 });
    expect(use.freeMemoryMb).to.be.within(1, use.memoryMb);
    expect(use.shortOf).to.deep.equal([]);
  });

  it('names what there is too little of for one more instance', async () => {
    const shortage = async () => ({ reason: 'NotEnoughDisk', detail: [], message: '' }) as const;
    expect((await hostUse({ ...disk, shortage }, () => false)).shortOf).to.deep.equal([
      'memory',
      'disk',
    ]);
  });

  it('has a disk of no known size where nothing is free', async () => {
    const free = async () => ({ bytes: 0, share: 0, inodes: 0 });
    expect(await hostUse({ ...disk, free }, () => true)).to.include({ diskMb: 0, freeDiskMb: 0 });
  });
});
