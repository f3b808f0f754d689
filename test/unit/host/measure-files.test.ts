import { link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { measureFiles } from '../../../src/host/measure-files.ts';
import { removeTree } from '../../../src/host/trees.ts';
import { makeDeepTree, makeOddFiles, makeSparseFile } from '../../support/hostile-files.ts';
import { temporaryFolder } from '../../support/temporary.ts';

describe('what is below a directory', () => {
  const folder = temporaryFolder();
  const MB = 2 ** 20;
  it('is what its files occupy, each once however many names it has, and nothing that a link leads to', async () => {
    await mkdir(join(folder(), 'a', 'b'), { recursive: true });
    await writeFile(join(folder(), 'a', 'b', 'file'), Buffer.alloc(MB, 1));
    await link(join(folder(), 'a', 'b', 'file'), join(folder(), 'again'));
    await symlink('/usr', join(folder(), 'link'));
    const { bytes, holeBytes, leftOut } = await measureFiles(folder());
    expect(bytes).to.be.within(MB, MB + 100_000);
    expect(holeBytes).to.equal(0);
    expect(leftOut).to.deep.equal({ count: 0, paths: [] });
  });

  it('says how much of its files are holes', async () => {
    await makeSparseFile(join(folder(), 'sparse'), 300 * MB);
    const { bytes, holeBytes } = await measureFiles(folder());
    expect(bytes).to.be.below(MB);
    expect(holeBytes).to.be.within(299 * MB, 300 * MB);
  });

  it('is named as far as it lies too deep', async () => {
    await mkdir(join(folder(), 'a', 'b', 'c'), { recursive: true });
    await writeFile(join(folder(), 'a', 'b', 'file'), '');
    await writeFile(join(folder(), 'a', 'file'), '');
    const { leftOut } = await measureFiles(folder(), 2);
    expect([...leftOut.paths].sort()).to.deep.equal(['a/b/c', 'a/b/file']);
    expect(leftOut.count).to.equal(2);
  });

  describe('whose paths are longer than any program can address', () => {
    // It is more than the test's own folder can be cleared of.
    afterEach(() => removeTree(folder()));

    it('is counted and named, and not gone into', async () => {
      await makeDeepTree(folder(), 20);
      const { leftOut } = await measureFiles(folder());
      expect(leftOut.count).to.equal(1);
      expect(leftOut.paths[0]).to.match(/^d{200}$/);
    });
  });

  it('has names of every kind', async () => {
    await makeOddFiles(folder());
    expect((await measureFiles(folder())).leftOut.count).to.equal(0);
  });

  it('is unknown where the directory is missing', async () => {
    const error = await measureFiles(join(folder(), 'none')).catch((thrown) => thrown);
    expect(error).to.have.property('code', 'ENOENT');
  });
});
