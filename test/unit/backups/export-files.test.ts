import { mkdir, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { ExportFiles } from '../../../src/backups/export-files.ts';
import { RetryableError } from '../../../src/errors.ts';
import type { Backup } from '../../../src/interfaces.ts';
import { anInstance } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const never = new AbortController().signal;
const HOUR = 3_600_000;
const ONE = 'a1'.repeat(32);
const TWO = 'b2'.repeat(32);

const backup = (snapshot: string): Backup => ({
  ...{ snapshot, date: new Date(), bytes: 1000, isByHand: false, proof: 'data' },
  ...{ proofDate: new Date(), reason: '', detail: '' },
});

describe('the exports of instances', () => {
  const root = temporaryFolder();
  const folder = () => join(root(), 'exports');
  let now: Date;
  let written: string[];
  let fails: Error | null;
  let exports: ExportFiles;

  beforeEach(() => {
    now = new Date('2026-11-27T10:00:00Z');
    written = [];
    fails = null;
    exports = new ExportFiles({
      folder: folder(),
      now: () => now,
      store: { list: async () => [backup(ONE), backup(TWO)] },
      exporter: {
        write: async ({ id }, { snapshot }, { file }) => {
          if (fails) throw fails;
          written.push(`${id} ${snapshot.slice(0, 2)}`);
          await writeFile(file, `data of ${id}`, { mode: 0o600 });
        },
      },
    });
  });

  const write = (id = 7, snapshot = ONE) =>
    exports.write(anInstance({ id }), snapshot, async () => {}, never);
  const names = async () => (await readdir(folder())).sort();
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => error.reason,
    );

  it('are files that the sidecar alone reads, named by numbers', async () => {
    await write();
    expect(await names()).to.deep.equal([`7-${ONE}.zip`]);
    expect((await stat(folder())).mode & 0o777).to.equal(0o700);
    const opened = await exports.open(7, ONE);
    expect(opened?.bytes).to.equal(9);
    expect(opened && (await text(opened.content))).to.equal('data of 7');
  });

  it('are written once: one that is there is there for another day', async () => {
    await write();
    now = new Date(now.getTime() + 23 * HOUR);
    await write();
    expect(written).to.deep.equal(['7 a1']);
    now = new Date(now.getTime() + 23 * HOUR);
    expect(await exports.has(7, ONE)).to.equal(true);
  });

  it('are one of each instance: another takes the place of the first, with what a killed writer has left', async () => {
    await write();
    await write(70);
    await writeFile(join(folder(), `.7-${TWO}.zip.0a0a.part`), 'half');
    await write(7, TWO);
    expect(await names()).to.deep.equal([`7-${TWO}.zip`, `70-${ONE}.zip`].sort());
  });

  it('leave alone what is being written for another instance', async () => {
    const draft = `.70-${ONE}.zip.0a0a.part`;
    await write();
    await writeFile(join(folder(), draft), 'half');
    await write(7, TWO);
    expect(await names()).to.include(draft);
  });

  it('are gone after a day', async () => {
    await write();
    await write(8);
    await utimes(join(folder(), `8-${ONE}.zip`), now, new Date(now.getTime() + HOUR));
    now = new Date(now.getTime() + 24 * HOUR);
    expect(await exports.has(7, ONE)).to.equal(false);
    expect(await exports.open(7, ONE)).to.equal(null);
    await exports.dropOld();
    expect(await names()).to.deep.equal([`8-${ONE}.zip`]);
  });

  it('are twenty at once: one more is refused, and one of those is not', async () => {
    for (let id = 1; id <= 20; id++) await write(id);
    expect(await reasonOf(write(21))).to.equal('ExportsFull');
    expect(await reasonOf(write(20, TWO))).to.equal('done');
    now = new Date(now.getTime() + 24 * HOUR);
    expect(await reasonOf(write(21))).to.equal('done');
  });

  it('are refused for what is no backup of the instance, and say why the disk has no room', async () => {
    expect(await reasonOf(write(7, 'c3'.repeat(32)))).to.equal('BackupGone');
    expect(await reasonOf(write(7, '../../etc/passwd'))).to.equal('BackupGone');
    expect(await reasonOf(exports.open(7, '../../../etc/passwd'))).to.equal('BackupGone');
    fails = new RetryableError('NotEnoughDisk', 'full');
    expect(await reasonOf(write())).to.equal('NotEnoughDisk');
    expect(await exports.has(7, ONE)).to.equal(false);
  });

  it('are read from files alone, never through a link', async () => {
    await mkdir(folder());
    await writeFile(join(root(), 'secret'), 'secret');
    await symlink(join(root(), 'secret'), join(folder(), `7-${ONE}.zip`));
    expect(await exports.open(7, ONE)).to.equal(null);
  });
});
