import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ArchiveStore } from '../../../src/backups/archives.ts';
import { BackupKeys } from '../../../src/backups/backup-keys.ts';
import { Erasure } from '../../../src/backups/erasure.ts';
import { ExportFiles } from '../../../src/backups/export-files.ts';
import { TerminalError } from '../../../src/errors.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import type { Job } from '../../../src/instance/types.ts';
import { Restic } from '../../../src/restic/restic.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { anInstance, identityOf } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const never = new AbortController().signal;

describe('the erasure of an instance', () => {
  const folder = temporaryFolder();
  const theirs = anInstance({ id: 7, name: 'Luna' });
  const others = anInstance({ id: 8, identity: identityOf(8) });
  const job: Job = {
    ...{ id: 5, identity: identityOf(5), snapshot: '', askedBy: 'Ana <ana@example.com>' },
    kind: 'erase',
  };
  let keys: BackupKeys;
  let replaced: Error | null;
  const base = () => join(folder(), 'backups', 'repositories');
  const record = () => join(folder(), 'backups', 'erased.jsonl');
  const zip = (id: number) => `${id}-${'a'.repeat(64)}.zip`;
  const erasure = (over: { readonly restic?: Pick<Restic, 'erase'> } = {}) => {
    const dirs = new InstanceDirs(folder());
    const place = { base: base(), environmentFile: '', sshFolder: '' };
    return new Erasure({
      keys,
      restic: new Restic('k3x9ab', 'an-image', new FakeDocker().cli, place),
      exports: new ExportFiles({
        ...{ folder: join(folder(), 'exports'), now: () => new Date() },
        exporter: { write: async () => {} },
        store: { list: async () => [] },
      }),
      archives: new ArchiveStore({
        ...{ install: 'k3x9ab', dataDir: folder(), dirs },
        tools: { restore: async () => {} },
      }),
      requireHost: async () => {
        if (replaced) throw replaced;
      },
      record: record(),
      now: () => new Date('2026-11-27T12:00:00Z'),
      ...over,
    });
  };
  const left = async () => ({
    repositories: await readdir(base()),
    keys: await readdir(join(folder(), 'backups', 'keys')),
    escrow: Object.keys(
      JSON.parse(await readFile(join(folder(), 'backups', 'escrow.json'), 'utf8')).keys,
    ),
    exports: await readdir(join(folder(), 'exports')),
    archives: await readdir(join(folder(), 'archives')),
  });
  const entries = async () =>
    (await readFile(record(), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  const OTHERS = {
    ...{ repositories: ['k3x9ab-8-00000000'], keys: ['k3x9ab-8-00000000'] },
    ...{ escrow: ['k3x9ab-8-00000000'], exports: [zip(8)] },
    archives: ['7-20240101T000000Z'],
  };

  beforeEach(async () => {
    replaced = null;
    await mkdir(base(), { recursive: true });
    keys = new BackupKeys('k3x9ab', base(), join(folder(), 'backups'));
    for (const one of [theirs, others])
      await keys.make(one, async ({ name }) => {
        await mkdir(join(base(), name, 'data'), { recursive: true });
      });
    await mkdir(join(folder(), 'exports'));
    for (const name of [zip(7), '.7-draft', zip(8)])
      await writeFile(join(folder(), 'exports', name), '');
    for (const [time, identity] of [
      ['20261124T101500Z', theirs.identity],
      // Of one that had its number before.
      ['20240101T000000Z', identityOf(70)],
    ]) {
      const archive = join(folder(), 'archives', `7-${time}`);
      await mkdir(archive, { recursive: true });
      await writeFile(join(archive, 'manifest.json'), JSON.stringify({ identity }));
    }
  });

  it('removes repository, key, escrow entry, downloads and old archives, and nothing of anybody else', async () => {
    await erasure().erase(theirs, job, never);
    expect(await left()).to.deep.equal(OTHERS);
    expect(await keys.has(theirs)).to.equal(false);
    expect(await keys.has(others)).to.equal(true);
  });

  it('leaves an entry of who asked, and when, once', async () => {
    for (let time = 0; time < 2; time++) await erasure().erase(theirs, job, never);
    expect(await entries()).to.deep.equal([
      {
        ...{ at: '2026-11-27T12:00:00.000Z', instance: 7, identity: theirs.identity },
        ...{ name: 'Luna', askedBy: 'Ana <ana@example.com>', job: job.identity },
      },
    ]);
    expect((await stat(record())).mode & 0o777).to.equal(0o600);
  });

  it('goes on where it was cut off, and the key goes last', async () => {
    const cut = { erase: () => Promise.reject(new Error('killed')) };
    await erasure({ restic: cut })
      .erase(theirs, job, never)
      .catch(() => {});
    expect(await keys.has(theirs), 'nothing could be removed without it').to.equal(true);
    await erasure().erase(theirs, job, never);
    expect(await left()).to.deep.equal(OTHERS);
    expect(await entries()).to.have.length(1);
  });

  it('is not begun on a host that another has replaced, nor ended while the repositories are away', async () => {
    replaced = new TerminalError('HostReplaced', 'another');
    const reasonOf = (work: Promise<void>) =>
      work.then(
        () => 'done',
        ({ reason }) => reason,
      );
    expect(await reasonOf(erasure().erase(theirs, job, never))).to.equal('HostReplaced');
    expect((await left()).exports).to.have.length(3);
    replaced = null;
    const away = new Restic('k3x9ab', 'an-image', new FakeDocker().cli, {
      ...{ base: join(folder(), 'not-mounted'), environmentFile: '', sshFolder: '' },
    });
    expect(await reasonOf(erasure({ restic: away }).erase(theirs, job, never))).to.equal(
      'BackupServerAway',
    );
    expect(await keys.has(theirs)).to.equal(true);
    // It is there, and what it had on it is not.
    await rename(base(), join(folder(), 'unmounted'));
    await mkdir(base());
    expect(await reasonOf(erasure().erase(theirs, job, never))).to.equal('BackupServerAway');
    expect(await keys.has(theirs)).to.equal(true);
    await mkdir(join(base(), keys.repositoryOf(others).name));
    expect(await reasonOf(erasure().erase(theirs, job, never)), 'removed by hand').to.equal('done');
  });
});
