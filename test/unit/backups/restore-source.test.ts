import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { BackupManifest } from '../../../src/backups/backup-manifest.ts';
import { BackupSource } from '../../../src/backups/restore-source.ts';
import { RestoringMark } from '../../../src/backups/restoring-mark.ts';
import { DirectoryMarks } from '../../../src/files/directory-mark.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import { anInstance, identityOf } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const install = 'abc123';

describe('BackupSource', () => {
  const dataDir = temporaryFolder();
  const instance = anInstance({ id: 7, identity: identityOf(7) });
  const copy = anInstance({ id: 12, identity: identityOf(12) });
  let dirs: InstanceDirs;
  let folder: string;

  const source = () => {
    const manifest: BackupManifest = {
      ...{ format: 1, install, instance: 7, identity: identityOf(7), name: 'Seven' },
      ...{ template: 'odoo', modules: [], image: 'odoo:19.0', database: 'ms_abc123_7' },
      ...{ url: 'http://seven', writtenAt: new Date().toISOString(), rows: {} },
    };
    const tools = { restore: async () => {} };
    return new BackupSource('a'.repeat(64), folder, manifest, { install, dirs, tools });
  };
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => error.reason ?? error,
    );

  beforeEach(async () => {
    dirs = new InstanceDirs(dataDir());
    folder = join(dataDir(), 'restored');
    await mkdir(join(folder, 'filestores', 'ms_abc123_7', 'aa'), { recursive: true });
    await writeFile(join(folder, 'filestores', 'ms_abc123_7', 'aa', 'file'), 'theirs');
    await mkdir(join(folder, 'secrets'));
    for (const name of ['admin-password', 'db-password'])
      await writeFile(join(folder, 'secrets', name), `old ${name}`, { mode: 0o600 });
    for (const id of [7, 12]) {
      const { filestore, secrets } = dirs.paths(id);
      await mkdir(filestore, { recursive: true });
      // Of an attempt that was cut off.
      await mkdir(secrets);
      await writeFile(join(secrets, 'db-password'), 'of the attempt');
    }
  });

  it('gives an instance its files and all its secrets back', async () => {
    await source().placeSecrets(instance);
    await source().placeFiles(instance);
    const { filestore, secrets } = dirs.paths(7);
    expect(await readFile(join(secrets, 'db-password'), 'utf8')).to.equal('old db-password');
    expect(await readFile(join(filestore, 'ms_abc123_7/aa/file'), 'utf8')).to.equal('theirs');
  });

  it('gives another instance the files and the first password, and keeps its own secrets', async () => {
    await source().placeSecrets(copy);
    await source().placeFiles(copy);
    const { filestore, secrets } = dirs.paths(12);
    expect((await readdir(secrets)).sort()).to.deep.equal(['admin-password', 'db-password']);
    expect(await readFile(join(secrets, 'db-password'), 'utf8')).to.equal('of the attempt');
    const first = join(secrets, 'admin-password');
    expect(await readFile(first, 'utf8')).to.equal('old admin-password');
    expect((await stat(first)).mode & 0o777).to.equal(0o600);
    expect(await readdir(filestore)).to.deep.equal(['ms_abc123_12']);
  });

  it('gives a copy the files, none too, where nothing of it is on the disk yet', async () => {
    await rm(dirs.paths(12).directory, { recursive: true });
    await rm(join(folder, 'filestores', 'ms_abc123_7', 'aa'), { recursive: true });
    await source().placeFiles(copy);
    expect(await readdir(join(dirs.paths(12).filestore, 'ms_abc123_12'))).to.deep.equal([]);
  });

  it('takes nothing that is a link in their place', async () => {
    for (const [what, to] of [
      ['secrets', '/etc'],
      ['filestores/ms_abc123_7', '/etc'],
    ] as const) {
      await rm(join(folder, what), { recursive: true });
      await symlink(to, join(folder, what));
    }
    expect(await reasonOf(source().placeSecrets(instance))).to.equal('BackupDamaged');
    expect(await reasonOf(source().placeFiles(instance))).to.equal('BackupDamaged');
    await rm(join(folder, 'secrets'));
    await mkdir(join(folder, 'secrets'));
    await symlink('/etc/shadow', join(folder, 'secrets', 'admin-password'));
    expect(await reasonOf(source().placeSecrets(copy))).to.equal('BackupDamaged');
    expect(await readdir(dirs.paths(12).secrets)).to.deep.equal(['db-password']);
  });

  it('is begun and ended by a mark in a directory that is the instance’s', async () => {
    const marks = new DirectoryMarks(dataDir(), install);
    const restoring = new RestoringMark(dirs, marks);
    await rm(dirs.paths(7).directory, { recursive: true });
    expect(await restoring.begun(instance)).to.equal(null);
    await restoring.begin(instance, source().name);
    expect(await marks.ownerOf(instance)).to.equal('own');
    expect(await restoring.begun(instance)).to.equal('a'.repeat(64));
    const other = { ...instance, identity: identityOf(8) };
    expect(await reasonOf(restoring.begin(other, 'b'))).to.equal('ForeignData');
    await restoring.end(instance);
    expect(await restoring.begun(instance)).to.equal(null);
  });
});
