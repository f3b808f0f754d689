import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ArchiveStore } from '../../../src/engine/archives.ts';
import { InstanceDirs } from '../../../src/engine/instance-dir.ts';
import { TerminalError } from '../../../src/errors.ts';
import { databaseName } from '../../../src/instance/name.ts';
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
  beforeEach(async () => {
    dataDir = folder();
    dirs = new InstanceDirs(dataDir);
    dumps = 0;
    contents = '1; 0 0 TABLE DATA public res_users ms_abc123_7';
    store = new ArchiveStore({
      install: 'abc123',
      dataDir,
      dirs,
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
      },
    });
    const { directory } = dirs.paths(7);
    for (const folder of ['etc', 'filestore/ms_abc123_7', 'secrets', 'sessions'])
      await mkdir(join(directory, folder), { recursive: true });
    await writeFile(join(directory, 'docker-compose.yml'), 'services: {}\n');
    await writeFile(join(directory, 'filestore/ms_abc123_7/file'), 'hers\n');
    for (const name of ['admin-password', 'db-password'])
      await writeFile(join(directory, 'secrets', name), name);
  });

  const removed = (hiddenAt: Date | null = new Date('2026-11-24T10:15:00Z')) =>
    anInstance({ id: 7, subscription: aSubscription({ hiddenAt }) });
  const damage = (file: string) => writeFile(join(dataDir, 'archives', NAME, file), 'rubbish');
  const reasonOf = async (work: Promise<unknown>) =>
    work.then(
      () => '',
      (error: unknown) => (error instanceof TerminalError ? error.reason : String(error)),
    );

  it('has the name of the moment the data began to go, and only its owner reads it', async () => {
    expect(await store.write(removed(), never)).to.equal(NAME);
    const archive = join(dataDir, 'archives', NAME);
    expect((await stat(archive)).mode & 0o777).to.equal(0o700);
    const files = await readdir(archive);
    expect(files.sort()).to.deep.equal(['database.dump', 'files.tar', 'manifest.json']);
    for (const file of files)
      expect((await stat(join(archive, file))).mode & 0o777).to.equal(0o600);
  });

  it('is written once, however often it is asked for', async () => {
    await store.write(removed(), never);
    await store.write(removed(), never);
    expect(dumps).to.equal(1);
  });

  it('is written anew when it is damaged and the data are still there', async () => {
    await store.write(removed(), never);
    await damage('files.tar');
    expect(await reasonOf(store.verify(removed()))).to.equal('ArchiveDamaged');
    await store.write(removed(), never);
    await store.verify(removed());
    expect(dumps).to.equal(2);
  });

  it('does not exist while it is not whole', async () => {
    contents = 'nothing';
    expect(await reasonOf(store.write(removed(), never))).to.equal('ArchiveDamaged');
    expect(await reasonOf(store.verify(removed()))).to.equal('ArchiveDamaged');
    contents = 'TABLE DATA public res_users ';
    await store.write(removed(), never);
    expect(await readdir(join(dataDir, 'archives'))).to.deep.equal([NAME]);
  });

  it('says no for data that are not on their way out, and for a name that is none', async () => {
    expect(await reasonOf(store.write(removed(null), never))).to.match(/TypeError/);
    for (const name of ['../7', '7', `${NAME}.unfinished`, ''])
      expect(await reasonOf(Promise.resolve().then(() => store.read(name)))).to.equal(
        'ArchiveDamaged',
      );
  });

  it('is unpacked under another number with secrets of its own, as often as need be', async () => {
    await store.write(removed(), never);
    const archive = await store.read(NAME);
    for (let time = 0; time < 2; time++) await store.unpack(archive, 12, never);
    const { filestore, secrets } = dirs.paths(12);
    expect(await readFile(join(filestore, 'ms_abc123_12/file'), 'utf8')).to.equal('hers\n');
    expect(await readdir(filestore)).to.deep.equal(['ms_abc123_12']);
    expect(await readdir(secrets)).to.deep.equal(['admin-password']);
    expect(await store.isRestoring(12), 'until somebody says that it is complete').to.equal(true);
    await store.endRestore(12);
    expect(await store.isRestoring(12)).to.equal(false);
  });
});
