import { expect } from 'chai';
import { workersFor } from '../../../src/files/workers.ts';

describe('worker processes of an instance', () => {
  for (const [cpus, memoryMb, workers] of [
    [0.5, 512, 0],
    [1, 1024, 0],
    [1.9, 8192, 0],
    [2, 2048, 4],
    [2, 1280, 3],
    [2, 1024, 2],
    [2, 1023, 0],
    [2.5, 4096, 4],
    [4, 2048, 6],
    [4, 4096, 8],
  ] as const)
    it(`${cpus} processors and ${memoryMb} MB: ${workers || 'threads'}`, () => {
      expect(workersFor(cpus, memoryMb)).to.equal(workers);
    });
});
