import { expect } from 'chai';
import { fakeHost } from './fake-host.ts';

/** MB, and processors. */
type Size = readonly [memoryMb: number, cpus: number];

describe('limits of an instance that runs', () => {
  const { host } = fakeHost();

  const wish = ([memoryMb, cpus]: Size) => host().wish({ memoryMb, cpus });
  const now = (): Size => {
    const { memoryBytes, nanoCpus } = host().container(7).limits;
    return [memoryBytes / 2 ** 20, nanoCpus / 1e9];
  };
  /** What the next look finds, and once what it asks for has been done. */
  const looks = async (size: Size) => {
    const first = (await host().observe(wish(size))).limits;
    if (first === 'other') await host().engine.applyLimits(wish(size));
    return [first, (await host().observe(wish(size))).limits];
  };

  for (const [what, size, given] of [
    ['more of both', [2048, 2], [2048, 2]],
    ['fewer processors', [1024, 0.5], [1024, 0.5]],
    ['more memory, fewer processors', [2048, 0.5], [2048, 0.5]],
    ['the template’s own', [0, 2], [1024, 2]],
    ['less memory waits, processors do not', [512, 2], [1024, 2]],
  ] as const satisfies ReadonlyArray<readonly [string, Size, Size]>)
    it(`changes them at once, in the same container: ${what}`, async () => {
      await host().run(wish([1024, 1]));
      const { id } = host().container(7);
      expect(await looks(size)).to.deep.equal(['other', 'current']);
      expect(now()).to.deep.equal(given);
      expect(host().container(7).id).to.equal(id);
    });

  it('takes no memory from what may be using it: less of it alone waits for the next start', async () => {
    await host().run(wish([1024, 1]));
    expect(await looks([512, 1])).to.deep.equal(['current', 'current']);
    expect(now()).to.deep.equal([1024, 1]);
    await host().stop(wish([512, 1]));
    await host().run(wish([512, 1]));
    expect(now()).to.deep.equal([512, 1]);
  });

  it('goes back to what the container was made with', async () => {
    await host().run(wish([1024, 1]));
    await looks([1024, 2]);
    expect(await looks([1024, 1])).to.deep.equal(['other', 'current']);
    expect(now()).to.deep.equal([1024, 1]);
  });

  it('asks once for what this host does not have; what runs goes on as it is', async () => {
    await host().run(wish([1024, 1]));
    expect(await looks([1024, 64])).to.deep.equal(['other', 'current']);
    expect(now()).to.deep.equal([1024, 1]);
  });
});
