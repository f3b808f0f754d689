import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  watch,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { TerminalError } from '../../../src/errors.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import { digestOf, renderInstance } from '../../../src/files/render.ts';
import { redact } from '../../../src/log.ts';
import { anInput, aTemplate, SECRETS } from './instances.ts';

/** Only root can chown; the user who runs the tests owns their own files. */
const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const users = { odoo: me, postgres: null, isNew: true };

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

  it('creates the directories for the shared Postgres, idempotently', async () => {
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

  it('gets another database password, and loses the configuration that has the old one', async () => {
    const { dbPassword } = await dirs.makeSecrets(7);
    await dirs.prepare(7, users);
    const { conf } = dirs.paths(7);
    await writeFile(conf, dbPassword);
    const renewed = await dirs.renewDbPassword(7);
    expect(renewed).not.to.equal(dbPassword);
    expect((await dirs.secrets(7)).dbPassword).to.equal(renewed);
    expect(await readFile(conf).catch(({ code }) => code)).to.equal('ENOENT');
    expect(redact(renewed)).to.equal('[redacted]');
    expect(await dirs.renewDbPassword(8), 'without a directory too').to.be.a('string');
    expect(await dirs.exists(8)).to.equal(false);
  });

  it('is removed with its mark last, so that half of it is still somebody’s', async () => {
    await dirs.prepare(7, users);
    const { directory, mark } = dirs.paths(7);
    for (const name of ['a', 'z', '0']) await writeFile(join(directory, name), '');
    await writeFile(mark, '{}');
    const names = await readdir(directory);
    const stop = new AbortController();
    const removed: string[] = [];
    const watching = (async () => {
      for await (const { filename } of watch(directory, { signal: stop.signal })) {
        if (filename && names.includes(filename)) removed.push(filename);
        if (removed.length === names.length) return;
      }
    })();
    await dirs.remove(7);
    await watching;
    stop.abort();
    expect(removed.at(-1)).to.equal('identity.json');
    expect(await dirs.exists(7)).to.equal(false);
    await dirs.remove(7);
  });

  it('creates those of an own Postgres, and its password', async () => {
    await dirs.prepare(7, { odoo: me, postgres: me, isNew: true });
    const { pgdata, postgresPassword, socket } = dirs.paths(7);
    expect(await Promise.all([pgdata, postgresPassword, socket].map(mode))).to.deep.equal([
      '700',
      '600',
      '755',
    ]);
    expect(await readFile(postgresPassword, 'utf8')).to.equal(
      (await dirs.makeSecrets(7)).postgresPassword,
    );
  });

  it('follows no symbolic link out', async () => {
    await mkdir(join(dataDir, 'instances'));
    await mkdir(join(dataDir, 'elsewhere'));
    await symlink(join(dataDir, 'elsewhere'), join(dataDir, 'instances/7'));
    const error = await dirs.prepare(7, users).catch((it) => it);
    expect(error.message).to.contain('is not a directory');
    expect(await readdir(join(dataDir, 'elsewhere'))).to.deep.equal([]);
  });

  it('generates secrets once for concurrent callers, and redacts them', async () => {
    const [first, second] = await Promise.all([dirs.makeSecrets(7), dirs.makeSecrets(7)]);
    expect(second).to.deep.equal(first);
    expect(await new InstanceDirs(dataDir).makeSecrets(7)).to.deep.equal(first);
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
    expect((await dirs.makeSecrets(8)).dbPassword).not.to.equal(first.dbPassword);
    expect(redact(`x${first.adminPassword}y`)).to.equal('x[redacted]y');
    const { secrets } = dirs.paths(7);
    const names = await readdir(secrets);
    expect(names, 'no drafts are left').to.have.length(5);
    for (const name of names) expect(await mode(join(secrets, name))).to.equal('600');
  });

  describe('of an instance that has run', () => {
    const DATABASE = 'ms_k3x9ab_7';
    const state = (own = false) => dirs.dataState(7, DATABASE, own);

    async function haveRun(postgres: typeof me | null = null): Promise<void> {
      await dirs.makeSecrets(7);
      await dirs.prepare(7, { odoo: me, postgres, isNew: true });
      const { filestore, pgdata } = dirs.paths(7);
      await mkdir(join(filestore, DATABASE, '0a'), { recursive: true });
      if (postgres) await writeFile(join(pgdata, 'PG_VERSION'), '17');
    }

    it('is complete without the files that can be recreated', async () => {
      expect(await state()).to.equal('absent');
      await haveRun();
      const { conf, compose, sessions } = dirs.paths(7);
      for (const path of [conf, compose, sessions])
        await rm(path, { recursive: true, force: true });
      expect(await state()).to.equal('whole');
    });

    it('returns its existing secrets', async () => {
      await haveRun();
      expect(await dirs.secrets(7)).to.deep.equal(await dirs.makeSecrets(7));
    });

    for (const [what, path] of [
      ['a secret', 'secrets/db-password'],
      ['the secrets', 'secrets'],
      ['the filestore', 'filestore'],
      ["its database's folder in it", `filestore/${DATABASE}`],
      ['what is in that', `filestore/${DATABASE}/0a`],
      ['the files of its Postgres', 'pgdata/PG_VERSION'],
      ['everything', ''],
    ] as const)
      it(`is incomplete without ${what}, which is not recreated`, async () => {
        await haveRun(me);
        expect(await state(true)).to.equal('whole');
        await rm(join(dirs.paths(7).directory, path), { recursive: true });
        const lost = path === '' ? 'absent' : 'partial';
        expect(await state(true)).to.equal(lost);
        const old = { odoo: me, postgres: me, isNew: false };
        await dirs.prepare(7, old).catch(() => {}); // it may find nowhere to begin
        expect(await state(true)).to.equal(lost);
      });

    for (const name of ['admin-password', 'master-password-hash', 'postgres-password'])
      it(`gets no new secret in place of ${name}`, async () => {
        await haveRun();
        await rm(join(dirs.paths(7).secrets, name));
        const error = await dirs.secrets(7).catch((it) => it);
        expect(error).to.be.instanceOf(TerminalError).with.property('reason', 'FilesMissing');
      });
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

    it('are absent, then current, then stale when the desired state changes', async () => {
      expect(await dirs.filesState(7, digest, false)).to.equal('absent');
      await write();
      expect(await dirs.filesState(7, digest, false)).to.equal('current');
      const other = digestOf(anInput({ restartCount: 1 }));
      expect(await dirs.filesState(7, other, true)).to.equal('stale');
    });

    it('are stale under other limits only while it is stopped, so that no user is interrupted', async () => {
      await write();
      for (const change of [{ memoryMb: 2048 }, { cpus: 2 }]) {
        const other = digestOf(anInput(change));
        expect(await dirs.filesState(7, other, true)).to.equal('current');
        expect(await dirs.filesState(7, other, false)).to.equal('stale');
      }
    });

    it('keep the image that they name by id, not by tag', async () => {
      expect(await dirs.imageId(7)).to.equal(null);
      await write();
      expect(await dirs.imageId(7)).to.equal(null);
      const image = `sha256:${'a'.repeat(64)}`;
      const template = { ...(await aTemplate('odoo')), image };
      await dirs.write(7, renderInstance(template, input, SECRETS), me);
      expect(await dirs.imageId(7)).to.equal(image);
      await writeFile(dirs.paths(7).compose, ': : :');
      expect(await dirs.imageId(7)).to.equal(null);
    });

    it('are readable only by their owner, and leave no temporary files', async () => {
      await write();
      await write();
      const { compose, conf, directory, etc } = dirs.paths(7);
      expect(await Promise.all([compose, conf].map(mode))).to.deep.equal(['600', '600']);
      expect(await readdir(etc)).to.deep.equal(['odoo.conf']);
      expect(await readdir(directory)).to.have.length(5);
    });

    it('are absent when one of the two is missing', async () => {
      await write();
      await rm(dirs.paths(7).conf);
      expect(await dirs.filesState(7, digest, false)).to.equal('absent');
    });

    for (const text of ['', ': : :', 'services: {}', 'services:\n  odoo:\n    labels: []\n'])
      it(`are stale when damaged: ${JSON.stringify(text)}`, async () => {
        await write();
        await writeFile(dirs.paths(7).compose, text);
        expect(await dirs.filesState(7, digest, false)).to.equal('stale');
      });
  });
});
