import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { Cgroups } from '../../../src/docker/cgroups.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const ID = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const UNKNOWN = { memoryBytes: null, cpuSeconds: null };

describe('What containers use', () => {
  const root = temporaryFolder();
  const write = async (files: Readonly<Record<string, string>>) => {
    for (const [name, content] of Object.entries(files)) {
      const path = join(root(), name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
    }
  };
  const version2 = (group: string) => ({
    [`${group}/memory.current`]: '300000\n',
    [`${group}/memory.stat`]: 'anon 100\ninactive_file 100000\nslab 7\n',
    [`${group}/cpu.stat`]: 'usage_usec 2500000\nuser_usec 1\n',
  });
  const version1 = (group: string) => ({
    [`memory/${group}/memory.usage_in_bytes`]: '300000\n',
    [`memory/${group}/memory.stat`]: 'inactive_file 1\ntotal_inactive_file 100000\n',
    [`cpuacct/${group}/cpuacct.usage`]: '2500000000\n',
  });
  const of = (...ids: string[]) => new Cgroups([join(root(), 'none'), root()]).of(ids);

  for (const [version, files] of [
    ['2', version2],
    ['1', version1],
  ] as const)
    for (const group of [`docker/${ID}`, `system.slice/docker-${ID}.scope`])
      it(`is read from control groups of version ${version}, at ${group.slice(0, 13)}…`, async () => {
        await write(files(group));
        expect(await of(ID)).to.deep.equal({ memoryBytes: 200_000, cpuSeconds: 2.5 });
      });

  it('is the sum over the containers of an instance', async () => {
    await write({ ...version2(`docker/${ID}`), ...version2(`docker/${OTHER}`) });
    expect(await of(ID, OTHER)).to.deep.equal({ memoryBytes: 400_000, cpuSeconds: 5 });
  });

  it('is not known where one of them has ended, or where there is none', async () => {
    await write(version2(`docker/${ID}`));
    expect(await of(ID, OTHER)).to.deep.equal(UNKNOWN);
    expect(await of()).to.deep.equal(UNKNOWN);
  });

  it('is not known where the kernel says something else', async () => {
    await write({ [`docker/${ID}/memory.current`]: 'max\n', [`docker/${ID}/cpu.stat`]: 'x\n' });
    expect(await of(ID)).to.deep.equal(UNKNOWN);
  });
});
