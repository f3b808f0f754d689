import { expect } from 'chai';
import { makeMeasure, type UseSources } from '../../../src/engine/measure-use.ts';
import type { Listed } from '../../../src/interfaces.ts';

const IDENTITY = '11111111-1111-4111-8111-111111111111';

describe('the measure of one instance', () => {
  const listed = { containers: ['a', 'b'], hasOwnDatabase: true } as unknown as Listed;
  const read = async () => ({ identity: IDENTITY }) as never;
  const sources: UseSources = {
    marks: { read },
    disk: { occupiedBy: async (id) => id * 100 },
    databases: { use: async (id) => ({ bytes: id * 10, users: 3 }) },
    cgroups: { of: async (ids) => ({ memoryBytes: ids.length, cpuSeconds: null }) },
  };

  it('is of its own files, database and containers, under the identity of its mark', async () => {
    expect(await makeMeasure(sources)(7, listed)).to.deep.equal({
      ...{ identity: IDENTITY, fileBytes: 700, databaseBytes: 70, isDatabaseAFile: true },
      ...{ users: 3, memoryBytes: 2, cpuSeconds: null },
    });
  });

  it('is none where nothing marked is here, or the mark cannot be read', async () => {
    for (const unmarked of [
      async () => null,
      async () => {
        throw new Error('the mark is no JSON');
      },
    ])
      expect(await makeMeasure({ ...sources, marks: { read: unmarked } })(7, listed)).to.equal(
        null,
      );
  });
});
