import { mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ArchiveStore } from '../../../src/backups/archives.ts';
import { RetryableError, TerminalError } from '../../../src/errors.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import { Disk, type FreeSpace } from '../../../src/host/disk.ts';
import { listFiles } from '../../../src/host/file-list.ts';
import { databaseName } from '../../../src/instance/name.ts';
import { makeDeepTree, makeOddFiles, makeSparseFile } from '../../support/hostile-files.ts';
import { anInstance, aSubscription } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const NAME = '7-20261124T101500Z';
const never = new AbortController().signal;

/** The dump itself is made by Docker, and tested there; these are about what becomes of it. */
describe('ArchiveStore', () => {
  const folder = temporaryFolder();
  let dataDir: string;
  let store: ArchiveStore;
  let dirs: InstanceDirs;
  let dumps: number;
  let contents: string;
  let room: FreeSpace;
  beforeEach(async () => {
    dataDir = folder();
    dirs = new InstanceDirs(dataDir);
    dumps = 0;
    contents = '1; 0 0 TABLE DATA public res_users ms_abc123_7';
    room = { bytes: 1e12, inodes: 1e9, share: 1 };
    const disk = new Disk(dataDir, { freeDiskMb: 100, freeInodes: 0 }, async () => room);
    store = new ArchiveStore({
      install: 'abc123',
      dataDir,
      dirs,
      disk,
      loginOf: async (desired) => {
        const name = databaseName('abc123', desired.id);
        return { socketDir: '/run', database: name, role: name, password: '' };
      },
      tools: {
        dump: async ({ database }, file) => {
          dumps += 1;
          await writeFile(file, `dump of ${database}`);
        },
        check: async () => contents,
        restore: async () => {},
      },
    });
    const { directory } = dirs.paths(7);
    for (const folder of ['etc', 'filestore/ms_abc123_7', 'secrets', 'sessions'])
      await mkdir(join(directory, folder), { recursive: true });
    await writeFile(join(directory, 'docker-compose.yml'), 'services: {}\n');
    await writeFile(join(directory, 'filestore/ms_abc123_7/file'), 'theirs\n');
    for (const name of ['admin-password', 'db-password'])
      await writeFile(join(directory, 'secrets', name), name);
  });

  const removed = (removedAt: Date | null = new Date('2026-11-24T10:15:00Z')) =>
    anInstance({ id: 7, subscription: aSubscription({ removedAt: removedAt }) });
  const damage = (file: string) => writeFile(join(dataDir, 'archives', NAME, file), 'rubbish');
  const reasonOf = async (work: Promise<unknown>) =>
    work.then(
      () => '',
      (error: unknown) => (error instanceof TerminalError ? error.reason : String(error)),
    );

  it('is named after the suspension, and readable only by its owner', async () => {
    expect(await store.write(removed(), never)).to.deep.equal({ name: NAME, leftOut: 0 });
    const archive = join(dataDir, 'archives', NAME);
    expect((await stat(archive)).mode & 0o777).to.equal(0o700);
    const files = await readdir(archive);
    expect(files.sort()).to.deep.equal(['database.dump', 'files.tar', 'manifest.json']);
    for (const file of files)
      expect((await stat(join(archive, file))).mode & 0o777).to.equal(0o600);
  });

  it('is written once, however often it is requested', async () => {
    await store.write(removed(), never);
    await store.write(removed(), never);
    expect(dumps).to.equal(1);
  });

  it('is written again when it is damaged and the data still exist', async () => {
    await store.write(removed(), never);
    await damage('files.tar');
    expect(await reasonOf(store.verify(removed()))).to.equal('ArchiveDamaged');
    await store.write(removed(), never);
    await store.verify(removed());
    expect(dumps).to.equal(2);
  });

  it('does not exist until it is complete', async () => {
    contents = 'nothing';
    expect(await reasonOf(store.write(removed(), never))).to.equal('ArchiveEmpty');
    expect(await reasonOf(store.verify(removed()))).to.equal('ArchiveUnreadable');
    contents = 'TABLE DATA public res_users ';
    await store.write(removed(), never);
    expect(await readdir(join(dataDir, 'archives'))).to.deep.equal([NAME]);
  });

  it('is refused for data that are not due for removal, and for an invalid name', async () => {
    expect(await reasonOf(store.write(removed(null), never))).to.match(/TypeError/);
    for (const name of ['../7', '7', `${NAME}.unfinished`, ''])
      expect(await reasonOf(Promise.resolve().then(() => store.read(name)))).to.equal(
        'ArchiveNameInvalid',
      );
  });

  it('can be unpacked repeatedly under another number, with secrets of its own', async () => {
    await store.write(removed(), never);
    const archive = await store.read(NAME);
    for (let time = 0; time < 2; time++) await store.unpack(archive, 12, never);
    const { filestore, secrets } = dirs.paths(12);
    expect(await readFile(join(filestore, 'ms_abc123_12/file'), 'utf8')).to.equal('theirs\n');
    expect(await readdir(filestore)).to.deep.equal(['ms_abc123_12']);
    expect(await readdir(secrets)).to.deep.equal(['admin-password']);
  });

  describe('of obstructive files', () => {
    const filestore = () => join(dirs.paths(7).filestore, 'ms_abc123_7');
    const manifest = async () =>
      JSON.parse(await readFile(join(dataDir, 'archives', NAME, 'manifest.json'), 'utf8'));
    // A tree this deep is more than the test's own folder can be cleared of.
    afterEach(() => dirs.remove(7));

    it('has everything with a usable path, counts and names the rest, and removal completes', async () => {
      await makeDeepTree(filestore(), 20);
      for (let time = 0; time < 2; time++)
        expect(await store.write(removed(), never)).to.deep.equal({ name: NAME, leftOut: 1 });
      const { leftOut } = await manifest();
      expect(leftOut.count).to.equal(1);
      expect(leftOut.paths[0]).to.match(/^filestore\/ms_abc123_7\/ddd/);
      await store.verify(removed());
      await dirs.remove(7);
      expect(await dirs.exists(7)).to.equal(false);
    });

    it('keeps names of every kind, pipes, links and modes', async () => {
      await makeOddFiles(filestore());
      await store.write(removed(), never);
      expect((await manifest()).leftOut).to.deep.equal({ count: 0, paths: [] });
      await store.unpack(await store.read(NAME), 12, never);
      const copy = join(dirs.paths(12).filestore, 'ms_abc123_12');
      const names = async (path: string) =>
        (await readdir(path, { encoding: 'buffer' })).map((name) => name.toString('hex')).sort();
      const socket = Buffer.from('socket').toString('hex');
      expect(await names(copy)).to.deep.equal(
        (await names(filestore())).filter((name) => name !== socket),
      );
      expect(await readFile(join(copy, 'new\nline'), 'utf8')).to.equal('new\nline');
      expect((await stat(join(copy, 'setuid'))).mode & 0o7777).to.equal(0o4755);
      expect(await readlink(join(copy, 'link'))).to.equal('/etc/passwd');
    });

    it('takes no more space than the files: sparse files stay sparse', async () => {
      await makeSparseFile(join(filestore(), 'sparse'), 300 * 2 ** 20);
      await store.write(removed(), never);
      const { size } = await stat(join(dataDir, 'archives', NAME, 'files.tar'));
      expect(size).to.be.lessThan(2 ** 20);
    });

    it('is not begun without enough disk space, and leaves nothing behind', async () => {
      await writeFile(join(filestore(), 'large'), Buffer.alloc(3 * 2 ** 20, 1));
      room = { ...room, bytes: 102 * 2 ** 20 };
      const error = await store.write(removed(), never).catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(RetryableError).with.property('reason', 'NotEnoughDisk');
      expect(dumps).to.equal(0);
      expect(await readdir(join(dataDir, 'archives'))).to.deep.equal([]);
      room = { ...room, bytes: 104 * 2 ** 20 };
      await store.write(removed(), never);
    });

    it('fails with a reason when its files cannot be read, and leaves nothing behind', async () => {
      await makeSparseFile(join(filestore(), 'endless'), 501 * 2 ** 30);
      expect(await reasonOf(store.write(removed(), never))).to.equal('ArchiveTooSparse');
      expect(await readdir(join(dataDir, 'archives'))).to.deep.equal([]);
    });

    it('has an upper bound for the size of a tar of a thousand files', async () => {
      for (let file = 0; file < 1000; file++)
        await writeFile(join(filestore(), `${'x'.repeat(file % 250)}${file}`), 'y'.repeat(file));
      const list = join(dataDir, 'list');
      const { tarBytes } = await listFiles(dirs.paths(7).directory, ['filestore', 'etc'], list);
      await store.write(removed(), never);
      const { size } = await stat(join(dataDir, 'archives', NAME, 'files.tar'));
      expect(size).to.be.within(tarBytes / 2, tarBytes + 10_240);
    });
  });
});
