import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { InstanceDirs } from '../../../src/engine/instance-dir.ts';
import { digestOf, renderInstance } from '../../../src/engine/render.ts';
import { redact } from '../../../src/log.ts';
import { anInput, aTemplate, SECRETS } from './instances.ts';

/** Only root can give files away; whoever runs the tests can own hers. */
const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const users = { odoo: me, postgres: null };

describe('instance directory', function () {
  this.timeout(20_000); // password hashes are slow on purpose
  let dataDir: string;
  let dirs: InstanceDirs;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'microsaas-dirs-'));
    dirs = new InstanceDirs(dataDir);
  });
  afterEach(() => rm(dataDir, { recursive: true }));

  const mode = async (path: string) => ((await lstat(path)).mode & 0o7777).toString(8);

  for (const id of [0, -1, 1.5, Number.NaN, '../1' as never])
    it(`has no path for the id ${id}`, () => {
      expect(() => dirs.paths(id)).to.throw('not an instance id');
    });

  it('makes the directories of the shared database, and again without harm', async () => {
    await dirs.prepare(7, users);
    const { filestore, secrets } = dirs.paths(7);
    await writeFile(join(filestore, 'precious'), '');
    await chmod(filestore, 0o777);
    await dirs.prepare(7, users);
    expect(await readdir(join(dataDir, 'instances/7'))).to.have.members([
      'etc',
      'filestore',
      'secrets',
      'sessions',
    ]);
    expect(await readdir(filestore)).to.deep.equal(['precious']);
    expect(
      await Promise.all([filestore, secrets, join(dataDir, 'instances')].map(mode)),
    ).to.deep.equal(['700', '700', '700']);
  });

  it('makes those of its own Postgres, and its password', async () => {
    await dirs.prepare(7, { odoo: me, postgres: me });
    const { pgdata, postgresPassword, socket } = dirs.paths(7);
    expect(await Promise.all([pgdata, postgresPassword, socket].map(mode))).to.deep.equal([
      '700',
      '600',
      '755',
    ]);
    expect(await readFile(postgresPassword, 'utf8')).to.equal(
      (await dirs.secrets(7)).postgresPassword,
    );
  });

  it('follows no link out', async () => {
    await mkdir(join(dataDir, 'instances'));
    await mkdir(join(dataDir, 'elsewhere'));
    await symlink(join(dataDir, 'elsewhere'), join(dataDir, 'instances/7'));
    const error = await dirs.prepare(7, users).catch((it) => it);
    expect(error.message).to.contain('is not a directory');
    expect(await readdir(join(dataDir, 'elsewhere'))).to.deep.equal([]);
  });

  it('makes secrets once, whoever asks at the same time, and redacts them', async () => {
    const [first, second] = await Promise.all([dirs.secrets(7), dirs.secrets(7)]);
    expect(second).to.deep.equal(first);
    expect(await new InstanceDirs(dataDir).secrets(7)).to.deep.equal(first);
    // Few rounds are enough for what is 144 bits of chance; a customer's password has 600,000.
    expect(first.masterPasswordHash).to.match(/^\$pbkdf2-sha512\$1000\$/);
    for (const name of [
      'adminPassword',
      'masterPassword',
      'dbPassword',
      'postgresPassword',
    ] as const)
      expect(first[name]).to.match(/^[\w-]{24}$/);
    expect(new Set(Object.values(first)).size).to.equal(5);
    expect((await dirs.secrets(8)).dbPassword).not.to.equal(first.dbPassword);
    expect(redact(`x${first.adminPassword}y`)).to.equal('x[redacted]y');
    const { secrets } = dirs.paths(7);
    const names = await readdir(secrets);
    expect(names, 'no drafts are left').to.have.length(5);
    for (const name of names) expect(await mode(join(secrets, name))).to.equal('600');
  });

  describe('files', () => {
    const input = anInput();
    const digest = digestOf(input);
    beforeEach(async () => {
      await dirs.prepare(7, users);
    });

    async function write(): Promise<void> {
      await dirs.write(7, renderInstance(await aTemplate('odoo'), input, SECRETS), me);
    }

    it('are absent, then current, then stale when something else is wished', async () => {
      expect(await dirs.filesState(7, digest)).to.equal('absent');
      await write();
      expect(await dirs.filesState(7, digest)).to.equal('current');
      const other = digestOf(anInput({ restartCount: 1 }));
      expect(await dirs.filesState(7, other)).to.equal('stale');
    });

    it('are readable by their owner alone, and leave no drafts', async () => {
      await write();
      await write();
      const { compose, conf, directory, etc } = dirs.paths(7);
      expect(await Promise.all([compose, conf].map(mode))).to.deep.equal(['600', '600']);
      expect(await readdir(etc)).to.deep.equal(['odoo.conf']);
      expect(await readdir(directory)).to.have.length(5);
    });

    it('are absent when one of the two is gone', async () => {
      await write();
      await rm(dirs.paths(7).conf);
      expect(await dirs.filesState(7, digest)).to.equal('absent');
    });

    for (const text of ['', ': : :', 'services: {}', 'services:\n  odoo:\n    labels: []\n'])
      it(`are stale when damaged: ${JSON.stringify(text)}`, async () => {
        await write();
        await writeFile(dirs.paths(7).compose, text);
        expect(await dirs.filesState(7, digest)).to.equal('stale');
      });
  });
});
