import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { TerminalError } from '../../../src/errors.ts';
import { DirectoryMarks } from '../../../src/files/directory-mark.ts';
import { anInstance, identityOf } from '../../support/samples.ts';

describe('the identity mark of a directory', () => {
  let dataDir: string;
  let marks: DirectoryMarks;
  const mine = anInstance({ id: 7, name: 'Luna' });
  const other = anInstance({ id: 7, identity: identityOf(7, 1) });
  const file = () => join(dataDir, 'instances', '7', 'identity.json');

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'microsaas-marks-'));
    marks = new DirectoryMarks(dataDir, 'k3x9ab');
  });
  afterEach(() => rm(dataDir, { recursive: true }));

  const refused = (work: Promise<unknown>) =>
    work.then(
      () => expect.fail('it was not refused'),
      (error: unknown) =>
        expect(error).to.be.instanceOf(TerminalError).with.property('reason', 'ForeignData'),
    );

  it('is written with the directory, readable only by the sidecar', async () => {
    expect(await marks.ownerOf(mine)).to.equal('nobody');
    await marks.claim(mine);
    await marks.claim(mine);
    expect(await marks.ownerOf(mine)).to.equal('own');
    expect((await stat(file())).mode & 0o777).to.equal(0o600);
    expect((await stat(join(dataDir, 'instances'))).mode & 0o777).to.equal(0o700);
    expect(await marks.read(7)).to.include({ id: 7, identity: mine.identity, name: 'Luna' });
    expect(await marks.numbers()).to.deep.equal([7]);
  });

  it('says of a staging copy that it is one, and is of others as it was before there were any', async () => {
    await marks.claim(mine);
    expect(await readFile(file(), 'utf8')).not.to.include('isCopy');
    expect((await marks.read(7))?.isCopy).to.equal(false);
    const copyOf = { id: 7, identity: mine.identity, snapshot: 'ab'.repeat(32) };
    await marks.claim(anInstance({ id: 8, copyOf }));
    expect((await marks.read(8))?.isCopy).to.equal(true);
  });

  it('is another’s where a spare of this number was sold to somebody else, and is not changed', async () => {
    const spare = anInstance({ id: 7, spare: 'kept', wasReady: false });
    const soldAs = (madeAt: string) => ({ lineId: 4, unit: 1, madeAt });
    const sold = (madeAt: string) =>
      anInstance({ id: 7, spare: 'sold', wasReady: false, soldAs: soldAs(madeAt) });
    await marks.claim(spare);
    expect(await marks.ownerOf(sold('10:00')), 'nobody’s yet').to.equal('own');
    await marks.renew(sold('10:00'));
    expect(await marks.ownerOf(sold('10:00'))).to.equal('own');
    for (const late of [sold('10:02'), spare]) {
      expect(await marks.ownerOf(late)).to.equal('foreign');
      await refused(marks.claim(late));
      await refused(marks.renew(late));
    }
    expect((await marks.read(7))?.soldAs?.madeAt).to.equal('10:00');
  });

  it('refuses other instances, and is not changed', async () => {
    await marks.claim(mine);
    const before = await readFile(file(), 'utf8');
    expect(await marks.ownerOf(other)).to.equal('foreign');
    await refused(marks.claim(other));
    await marks.adopt(other);
    expect(await readFile(file(), 'utf8')).to.equal(before);
  });

  it('lets one of two concurrent claims succeed', async () => {
    const outcomes = await Promise.allSettled([marks.claim(mine), marks.claim(other)]);
    expect(outcomes.map(({ status }) => status).sort()).to.deep.equal(['fulfilled', 'rejected']);
  });

  it('is not written into an unmarked directory unless it is adopted', async () => {
    await mkdir(join(dataDir, 'instances', '7', 'filestore'), { recursive: true });
    expect(await marks.ownerOf(mine)).to.equal('unmarked');
    await refused(marks.claim(mine));
    await marks.adopt(mine);
    expect(await marks.ownerOf(mine)).to.equal('own');
  });

  it('is completed after a kill while it was written', async () => {
    await mkdir(join(dataDir, 'instances', '7'), { recursive: true });
    await writeFile(`${file()}.0123456789ab`, '{');
    expect(await marks.ownerOf(mine)).to.equal('nobody');
    await marks.claim(mine);
    expect(await marks.ownerOf(mine)).to.equal('own');
  });

  for (const [what, text] of [
    ['cut off', '{'],
    ['of another install', JSON.stringify({ format: 1, install: 'zzzzzz' })],
  ])
    it(`refuses everybody when it is ${what}`, async () => {
      await marks.claim(mine);
      await writeFile(file(), text ?? '');
      expect(await marks.ownerOf(mine)).to.equal('foreign');
      await refused(marks.claim(mine));
      expect(await marks.read(7)).to.equal(null);
    });

  it('is updated with name, ports and restarts', async () => {
    await marks.claim(mine);
    await marks.renew({ ...mine, name: 'Sol', restartCount: 3 });
    expect(await marks.read(7)).to.include({ name: 'Sol', restartCount: 3 });
    expect((await stat(file())).mode & 0o777).to.equal(0o600);
  });
});
