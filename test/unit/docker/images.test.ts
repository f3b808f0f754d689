import { expect } from 'chai';
import { Images } from '../../../src/docker/images.ts';
import { CommandError, RetryableError, TerminalError } from '../../../src/errors.ts';
import { FakeDocker } from '../../fakes/docker.ts';

const ODOO = 'odoo:19.0';
const ID = `sha256:${'a'.repeat(64)}`;

describe('Images', () => {
  let docker: FakeDocker;
  let images: Images;
  let asked: number;
  let answer: () => string;

  beforeEach(() => {
    docker = new FakeDocker();
    images = new Images('k3x9ab', docker.api, docker.cli);
    asked = 0;
    answer = () => 'uid=100(odoo) gid=101(odoo) groups=101(odoo)';
    docker.programs.set('id', () => {
      asked += 1;
      return answer();
    });
  });

  it('finds an image that is here, and pulls nothing', async () => {
    docker.images.set(ODOO, ID);
    docker.registry.set(ODOO, 'sha256:newer');
    expect(await images.id(ODOO)).to.equal(ID);
    expect(docker.runs).to.deep.equal([]);
  });

  it('pins what a registry has by its digest, and what was built here by its id', async () => {
    docker.images.set(ODOO, ID);
    expect(await images.pinOf(ODOO)).to.equal(ID);
    const digest = `odoo@sha256:${'d'.repeat(64)}`;
    docker.images.set(digest, ID);
    expect(await images.pinOf(ODOO)).to.equal(digest);
    expect(await images.pinOf('odoo:18.0'), 'not here').to.equal(null);
  });

  it('knows an image by each of its pins, and by the one it had before a registry got it', async () => {
    const [first, other] = [
      `odoo@sha256:${'d'.repeat(64)}`,
      `mirror/odoo@sha256:${'d'.repeat(64)}`,
    ];
    docker.images.set(ODOO, ID).set(first, ID);
    expect(await images.pinsOf(ODOO)).to.deep.equal([first, ID]);
    docker.images.set(other, ID);
    expect(await images.pinsOf(ODOO)).to.deep.equal([other, first, ID]);
    expect(await images.pinsOf('odoo:18.0'), 'not here').to.deep.equal([]);
  });

  it('finds a pinned image whose name went when its tag moved, and takes no other for one that is gone', async () => {
    docker.images.set(ODOO, 'sha256:newer').set('moby-dangling', ID);
    expect(await images.pinnedId(`odoo@${ID}`)).to.equal(ID);
    docker.images.delete('moby-dangling');
    docker.registry.set(`odoo@${ID}`, ID);
    expect(await images.pinnedId(`odoo@${ID}`), 'pulled').to.equal(ID);
    const gone = `sha256:${'b'.repeat(64)}`;
    const error = await images.pinnedId(gone).catch((thrown) => thrown);
    expect(error).to.be.instanceOf(TerminalError).with.property('reason', 'ImageGone');
    expect(error.detail).to.equal(gone);
  });

  it('pulls an image that is not here, once', async () => {
    docker.registry.set(ODOO, ID);
    expect([await images.id(ODOO), await images.id(ODOO)]).to.deep.equal([ID, ID]);
    expect(docker.ran('pull').map(({ command }) => command.slice(-2))).to.deep.equal([
      ['--', ODOO],
    ]);
  });

  it('says of an image that cannot be pulled which it is, as something that may pass, and tries again', async () => {
    const error = await images.id(ODOO).catch((thrown: unknown) => thrown);
    expect(error)
      .to.be.instanceOf(RetryableError)
      .and.include({ reason: 'ImageMissing', detail: ODOO });
    expect((error as Error).cause).to.be.instanceOf(CommandError);
    docker.registry.set(ODOO, ID);
    expect(await images.id(ODOO)).to.equal(ID);
  });

  it('believes no pull after which the image is not there', async () => {
    docker.registry.set(ODOO, ID);
    docker.images.set = () => docker.images;
    const error = await images.id(ODOO).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(Error).with.property('message').that.includes(ODOO);
  });

  it('says that Docker is away, which is no reason to pull', async () => {
    docker.isAway = true;
    const error = await images.id(ODOO).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('reason', 'DockerUnavailable');
    expect(docker.runs).to.deep.equal([]);
  });

  it('asks an image once which user it runs as, however many want to know', async () => {
    docker.images.set(ODOO, ID);
    const users = await Promise.all([images.user(ODOO), images.user(ODOO), images.user(ODOO)]);
    expect([...users, await images.user(ODOO)]).to.deep.equal(
      Array(4).fill({ uid: 100, gid: 101 }),
    );
    expect(asked).to.equal(1);
  });

  it('asks again once the tag is another image', async () => {
    docker.images.set(ODOO, ID);
    await images.user(ODOO);
    docker.images.set(ODOO, `sha256:${'b'.repeat(64)}`);
    answer = () => 'uid=999 gid=998';
    expect(await images.user(ODOO)).to.deep.equal({ uid: 999, gid: 998 });
  });

  for (const [what, wrong] of [
    [
      'did not run',
      () => {
        throw new CommandError(['docker'], 125, 'no memory');
      },
    ],
    ['said something else', () => 'root'],
  ] as const)
    it(`keeps no answer of an image that ${what}: it is asked again`, async () => {
      docker.images.set(ODOO, ID);
      const usual = answer;
      answer = wrong;
      expect(await images.user(ODOO).catch((thrown: unknown) => thrown)).to.be.instanceOf(Error);
      answer = usual;
      expect(await images.user(ODOO)).to.deep.equal({ uid: 100, gid: 101 });
    });
});
