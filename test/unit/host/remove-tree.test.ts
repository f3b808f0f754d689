import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import { RetryableError } from '../../../src/errors.ts';
import { removeTree } from '../../../src/host/trees.ts';
import { makeDeepTree, makeOddFiles } from '../../support/hostile-files.ts';
import { temporaryFolder } from '../../support/temporary.ts';

describe('removeTree', () => {
  const folder = temporaryFolder();
  let tree: string;
  beforeEach(async () => {
    tree = join(folder(), '7');
    await mkdir(tree);
  });

  it('removes paths far longer than Linux takes', async () => {
    await makeDeepTree(tree, 40);
    await removeTree(tree);
    expect(await readdir(folder())).to.deep.equal([]);
  });

  it('removes names of every kind, pipes and sockets, and nothing that a link leads to', async () => {
    const elsewhere = join(folder(), 'elsewhere');
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, 'kept'), 'kept');
    await makeOddFiles(tree);
    await symlink(elsewhere, join(tree, 'out'));
    await removeTree(tree);
    expect(await readdir(folder())).to.deep.equal(['elsewhere']);
    expect(await readFile(join(elsewhere, 'kept'), 'utf8')).to.equal('kept');
  });

  it('removes twenty thousand files', async () => {
    const names = Array.from({ length: 20_000 }, (_, index) => join(tree, `${index}`));
    await execa('touch', ['--', ...names]);
    await removeTree(tree);
    expect(await readdir(folder())).to.deep.equal([]);
  });

  it('is content with what is not there', async () => {
    await removeTree(join(folder(), 'never'));
  });

  it('ends with a reason that names the obstacle, without what a terminal would obey', async () => {
    // Nobody but the operator can do that: /proc stands for a file that cannot be removed.
    const error = await removeTree('/proc/self/fdinfo').catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(RetryableError).with.property('reason', 'RemovalBlocked');
    expect((error as Error).message).to.match(
      /^The files could not be removed: cannot remove '\/proc\/self\/fdinfo/,
    );
  });
});
