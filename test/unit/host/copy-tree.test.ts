import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { copyTree } from '../../../src/host/trees.ts';

describe('copyTree', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'microsaas-copy-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

  it('copies files at every depth, and none of the copies is the original', async () => {
    await mkdir(join(dir, 'from', 'ab', 'cd'), { recursive: true });
    await writeFile(join(dir, 'from', 'top'), '1');
    await writeFile(join(dir, 'from', 'ab', 'cd', 'deep'), '2');
    await copyTree(join(dir, 'from'), join(dir, 'to'), me);
    await writeFile(join(dir, 'to', 'top'), 'changed');
    expect(await readFile(join(dir, 'from', 'top'), 'utf8')).to.equal('1');
    expect(await readFile(join(dir, 'to', 'ab', 'cd', 'deep'), 'utf8')).to.equal('2');
  });

  it('gives files and folders to their owner', async function () {
    if (me.uid !== 0) this.skip(); // only root gives files away
    await mkdir(join(dir, 'from', 'ab'), { recursive: true });
    await writeFile(join(dir, 'from', 'ab', 'file'), '');
    await copyTree(join(dir, 'from'), join(dir, 'to'), { uid: 4242, gid: 4243 });
    for (const path of ['.', 'ab', 'ab/file']) {
      const { uid, gid } = await stat(join(dir, 'to', path));
      expect([path, uid, gid]).to.deep.equal([path, 4242, 4243]);
    }
  });

  it('takes a folder that is not there for an empty one, and follows no link', async () => {
    await copyTree(join(dir, 'nowhere'), join(dir, 'empty'), me);
    expect((await stat(join(dir, 'empty'))).isDirectory()).to.equal(true);
    await mkdir(join(dir, 'from'));
    await symlink('/etc/passwd', join(dir, 'from', 'link'));
    await copyTree(join(dir, 'from'), join(dir, 'to'), me);
    expect(await stat(join(dir, 'to', 'link')).catch(({ code }) => code)).to.equal('ENOENT');
  });

  it('says what is wrong with a folder that cannot be read', async () => {
    await writeFile(join(dir, 'file'), '');
    const error = await copyTree(join(dir, 'file'), join(dir, 'to'), me).catch((it) => it);
    expect(error).to.have.property('code', 'ENOTDIR');
  });
});
