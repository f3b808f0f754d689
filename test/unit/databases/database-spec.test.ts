import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { DatabaseSpecs } from '../../../src/databases/database-spec.ts';
import { Images } from '../../../src/docker/images.ts';
import { DirectoryMarks } from '../../../src/files/directory-mark.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import { loadTemplates } from '../../../src/files/templates.ts';
import type { DesiredInstance } from '../../../src/instance/types.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { anInstance } from '../../support/samples.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const INSTALL = 'k3x9ab';
const [OLD, NEW] = [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`];
const PIN = `odoo@sha256:${'d'.repeat(64)}`;

describe('what an instance’s database is made from', () => {
  const folder = temporaryFolder();
  let docker: FakeDocker;
  let dirs: InstanceDirs;
  let marks: DirectoryMarks;
  let specs: DatabaseSpecs;
  /** The major version of each image's Odoo. */
  let versions: Map<string, string>;

  const instance = (over: Partial<DesiredInstance> = {}) =>
    anInstance({ id: 7, wasReady: true, imageDigest: '', ...over });

  beforeEach(async () => {
    docker = new FakeDocker();
    docker.images.set('odoo:19.0', NEW).set(PIN, OLD);
    docker.programs.set('id', () => 'uid=100(odoo) gid=101(odoo) groups=101(odoo)');
    versions = new Map([
      [OLD, 'Odoo Server 18.0-20250101'],
      [NEW, 'Odoo Server 19.0-20251101'],
    ]);
    docker.programs.set('odoo', ({ command }) => {
      const image = command.at(command.indexOf('--') + 1) ?? '';
      return versions.get(image) ?? '';
    });
    const images = new Images(INSTALL, docker.api, docker.cli);
    const templates = await loadTemplates('templates');
    dirs = new InstanceDirs(folder());
    marks = new DirectoryMarks(folder(), INSTALL);
    specs = new DatabaseSpecs({ templates, marks, dirs, images, urlPattern: 'http://x:{port}' });
  });

  it('is the image that it is pinned to, whatever its template’s tag is by now', async () => {
    const pinned = await specs.imageOf(instance({ imageDigest: PIN }));
    expect(pinned).to.deep.equal({ image: OLD, imageId: OLD, owner: { uid: 100, gid: 101 } });
    const copy = instance({ imageDigest: PIN, wasReady: false });
    expect((await specs.imageOf(copy)).imageId, 'a staging copy').to.equal(OLD);
    expect(await specs.runs(instance({ imageDigest: PIN }))).to.deep.equal({
      ...{ image: PIN, odoo: 18 },
    });
  });

  it('is the image that its files name where Odoo has no pin of it yet', async () => {
    const { compose } = dirs.paths(7);
    await mkdir(dirname(compose), { recursive: true });
    await writeFile(compose, `services: { odoo: { image: "${OLD}", labels: {} } }\n`);
    expect((await specs.imageOf(instance())).imageId).to.equal(OLD);
    expect(await specs.runs(instance())).to.deep.equal({ image: OLD, odoo: 18 });
  });

  it('is its template’s for one that has never run', async () => {
    const made = await specs.imageOf(instance({ wasReady: false }));
    expect(made).to.include({ image: 'odoo:19.0', imageId: NEW });
    expect(await specs.runs(instance({ wasReady: false }))).to.deep.equal({ image: NEW, odoo: 19 });
  });

  it('is none in place of one that is gone, whose data can be reached and backed up all the same', async () => {
    const gone = instance({ imageDigest: `sha256:${'c'.repeat(64)}` });
    const error = await specs.imageOf(gone).catch((thrown) => thrown);
    expect(error).to.have.property('reason', 'ImageGone');
    expect(await specs.runs(gone)).to.deep.equal({ image: gone.imageDigest, odoo: null });
    docker.images.clear();
    await marks.claim(gone);
    await dirs.makeSecrets(7);
    expect(await specs.of(gone)).to.include({ own: null });
    expect(docker.ran('pull')).to.deep.equal([]);
  });

  for (const [said, odoo] of [
    ['Odoo Server 19.0-20251101\n', 19],
    ['Odoo Server saas~18.2+e', 18],
    ['a warning\nOdoo Server 17.0', 17],
    ['', null],
    ['OpenERP', null],
  ] as const)
    it(`says which Odoo it is where its program says “${said.trim()}”: ${odoo}`, async () => {
      versions.set(OLD, said);
      expect((await specs.runs(instance({ imageDigest: PIN }))).odoo).to.equal(odoo);
      await specs.runs(instance({ imageDigest: PIN }));
      const asked = docker.runs.filter(({ command }) => command.includes('--version'));
      expect(asked, 'asked once, or until it says').to.have.length(odoo === null ? 2 : 1);
    });
});
