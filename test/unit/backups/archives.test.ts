import { mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ArchiveStore } from '../../../src/backups/archives.ts';
import { TerminalError } from '../../../src/errors.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import { makeOddFiles } from '../../support/hostile-files.ts';
import { writeOldArchive } from '../../support/old-archive.ts';
import { anInstance, aSubscription } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const NAME = '7-20261124T101500Z';
const never = new AbortController().signal;

/** That its database is restored too, the end-to-end tests see. */
describe('an archive that an earlier version has written', () => {
  const folder = temporaryFolder();
  let dataDir: string;
  let store: ArchiveStore;
  let dirs: InstanceDirs;
  beforeEach(async () => {
    dataDir = folder();
    dirs = new InstanceDirs(dataDir);
    store = new ArchiveStore({
      ...{ install: 'abc123', dataDir, dirs },
      tools: { restore: async () => {} },
    });
    const { directory } = dirs.paths(7);
    for (const folder of ['etc', 'filestore/ms_abc123_7', 'secrets', 'sessions'])
      await mkdir(join(directory, folder), { recursive: true });
    await writeFile(join(directory, 'docker-compose.yml'), 'services: {}\n');
    await writeFile(join(directory, 'filestore/ms_abc123_7/file'), 'theirs\n');
    await makeOddFiles(join(directory, 'filestore/ms_abc123_7'));
    for (const name of ['admin-password', 'db-password'])
      await writeFile(join(directory, 'secrets', name), name);
    await writeOldArchive({ dataDir, install: 'abc123' }, NAME, directory, Buffer.from('dump'));
  });

  const reasonOf = async (work: () => Promise<unknown>) =>
    Promise.resolve()
      .then(work)
      .then(
        () => '',
        (error: unknown) => (error instanceof TerminalError ? error.reason : String(error)),
      );

  it('is read where it is what was written, and no other file is', async () => {
    expect(await store.read(NAME)).to.include({ instance: 7, template: 'odoo', name: 'Luna' });
    for (const name of ['../7', '7', `${NAME}.unfinished`, ''])
      expect(await reasonOf(() => store.read(name))).to.equal('ArchiveNameInvalid');
    expect(await reasonOf(() => store.read('8-20261124T101500Z'))).to.equal('ArchiveUnreadable');
    for (const file of ['files.tar', 'database.dump']) {
      await writeFile(join(dataDir, 'archives', NAME, file), 'rubbish');
      expect(await reasonOf(() => store.read(NAME)), file).to.equal('ArchiveDamaged');
    }
  });

  it('counts as the last copy of the end that it is of, as long as it is whole', async () => {
    const ends = (removedAt: string) =>
      anInstance({ id: 7, subscription: aSubscription({ removedAt: new Date(removedAt) }) });
    expect(await store.has(ends('2026-11-24T10:15:00Z'))).to.equal(true);
    expect(await store.has(ends('2026-12-24T10:15:00Z')), 'another end').to.equal(false);
    await writeFile(join(dataDir, 'archives', NAME, 'files.tar'), 'rubbish');
    expect(await store.has(ends('2026-11-24T10:15:00Z')), 'damaged').to.equal(false);
  });

  it('is unpacked under its own number as it was: names of every kind, links and modes', async () => {
    await dirs.remove(7);
    await store.unpack(await store.read(NAME), 7, never);
    const { filestore, secrets } = dirs.paths(7);
    const files = join(filestore, 'ms_abc123_7');
    expect(await readFile(join(files, 'new\nline'), 'utf8')).to.equal('new\nline');
    expect((await stat(join(files, 'setuid'))).mode & 0o7777).to.equal(0o4755);
    expect(await readlink(join(files, 'link'))).to.equal('/etc/passwd');
    expect((await readdir(secrets)).sort()).to.deep.equal(['admin-password', 'db-password']);
  });

  it('can be unpacked repeatedly under another number, with secrets of its own', async () => {
    const archive = await store.read(NAME);
    for (let time = 0; time < 2; time++) await store.unpack(archive, 12, never);
    const { filestore, secrets } = dirs.paths(12);
    expect(await readFile(join(filestore, 'ms_abc123_12/file'), 'utf8')).to.equal('theirs\n');
    expect(await readdir(filestore)).to.deep.equal(['ms_abc123_12']);
    expect(await readdir(secrets)).to.deep.equal(['admin-password']);
  });

  it('is what an instance of which nothing is here can be made from', async () => {
    const source = store.sourceOf(NAME, await store.read(NAME));
    expect(source).to.deep.include({ name: NAME, owner: { id: 7, identity: '' } });
    await source.placeSecrets(anInstance({ id: 12 }), never);
    await source.placeFiles(anInstance({ id: 12 }), never);
    expect(await readdir(dirs.paths(12).filestore)).to.deep.equal(['ms_abc123_12']);
  });
});
