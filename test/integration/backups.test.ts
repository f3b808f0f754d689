import {
  chmod,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { ArchiveStore } from '../../src/backups/archives.ts';
import type { BackupKeys } from '../../src/backups/backup-keys.ts';
import type { BackupStore } from '../../src/backups/backup-store.ts';
import { EndBackups } from '../../src/backups/end-backups.ts';
import { Restores } from '../../src/backups/restores.ts';
import { RestoringMark } from '../../src/backups/restoring-mark.ts';
import { bootCopy } from '../../src/engine/boot-copy.ts';
import { TerminalError } from '../../src/errors.ts';
import { DirectoryMarks } from '../../src/files/directory-mark.ts';
import { removeTree } from '../../src/host/trees.ts';
import { withKept } from '../../src/instance/backup-retention.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance, Job } from '../../src/instance/types.ts';
import type { RestoreSource } from '../../src/interfaces.ts';
import type { PgTools } from '../../src/postgres/pg-tools.ts';
import type { ProofServer } from '../../src/postgres/proof-server.ts';
import { Repositories } from '../../src/repositories/repositories.ts';
import type { Restic } from '../../src/restic/restic.ts';
import { images } from '../../stack/images.ts';
import { withSql } from '../../stack/sql.ts';
import { until } from '../../stack/until.ts';
import { backupStore } from '../support/backup-store.ts';
import { makeDeepTree, makeOddFiles } from '../support/hostile-files.ts';
import { writeOldArchive } from '../support/old-archive.ts';
import { anInstance, aSubscription, identityOf } from '../support/samples.ts';
import {
  docker,
  makeDatabase,
  sqlAsTenant,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

const NIGHTLY = { isByHand: false };
const NO_BOOT = { boots: false };

describe('backups, with a real Postgres and restic', function () {
  this.timeout(600_000);
  const customer = { ...anInstance().customer, lang: 'en_US', countryCode: '' };
  const instance = anInstance({ id: 1, customer, modules: [], wasReady: true });
  const never = new AbortController().signal;
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;
  let store: BackupStore;
  let keys: BackupKeys;
  let proofServer: ProofServer;
  let base: string;
  let restic: Restic;
  let restores: Restores;
  let tools: PgTools;
  /** What the instance runs on. */
  /** The major version of the Odoo that is there. */
  let odoo = 19;

  const filestore = () =>
    join(sidecar.dirs.paths(instance.id).filestore, databaseName(postgres.install, instance.id));
  const asTenant = (text: string) => sqlAsTenant(postgres, sidecar, instance.id, text);
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => error.reason ?? error,
    );
  /** Takes one more. @returns its id */
  const take = async (of: DesiredInstance = instance) => {
    await store.take(of, NIGHTLY, never);
    return (await store.list(of, never)).at(-1)?.snapshot ?? '';
  };

  before(async () => {
    postgres = await startTenantPostgres('backups-test');
    sidecar = await tenantDatabases(postgres);
    await makeDatabase(sidecar.databases, { ...instance, wasReady: false });
    const { dataDir, install } = postgres;
    const parts = backupStore(postgres, sidecar, {
      bootCopy: (desired, copy, signal) =>
        bootCopy(
          {
            ...{ install, docker, images: parts.here, dirs: sidecar.dirs },
            files: { hasCheckouts: async () => true, imageOf: async () => images.odoo },
            repositories: new Repositories({ dataDir, allowedProtocols: ['https'] }),
          },
          desired,
          copy,
          signal,
        ),
    });
    ({ base, keys, proofServer, restic, store, tools } = parts);
    restores = new Restores({
      ...{ install, dirs: sidecar.dirs, tools: parts.tools },
      replacements: sidecar.databases.replacements,
      odooOf: async () => odoo,
      inRestored: (...args) => store.inRestored(...args),
    });
  });
  after(async () => {
    await proofServer?.close();
    await postgres?.remove();
  });

  /** The files of all that is stored in the repository. */
  const packs = async () => {
    const data = join(base, keys.repositoryOf(instance).name, 'data');
    const folders = await readdir(data);
    const names = await Promise.all(folders.map((one) => readdir(join(data, one))));
    return names.flatMap((some, at) => some.map((name) => join(data, folders[at] ?? '', name)));
  };
  /** Snapshots and their proofs. */
  const proofs = async () =>
    (await store.list(instance, never)).map(({ proof, reason }) => `${proof} ${reason}`.trim());
  const stored = async () => {
    const [folder = ''] = (await readdir(filestore())).filter((name) => /^[0-9a-f]{2}$/.test(name));
    const [file = ''] = await readdir(join(filestore(), folder));
    return join(filestore(), folder, file);
  };

  it('holds database, files and secrets, and is proven by restoring it', async () => {
    const snapshot = await take();
    await store.prove(instance, snapshot, NO_BOOT, never);
    const [backup] = await store.list(instance, never);
    expect(backup).to.include({ snapshot, proof: 'data', reason: '' });
    expect(backup?.bytes).to.be.above(1_000_000);
    const escrow = await readFile(join(base, '..', 'escrow.json'), 'utf8');
    expect(Object.keys(JSON.parse(escrow).keys)).to.deep.equal(await readdir(base));
  });

  describe('with which Odoo is started, without a network', () => {
    const BOOT = { boots: true };
    const container = () => `ms-${postgres.install}-${instance.id}-boot`;
    before(async () => {
      const { conf, etc } = sidecar.dirs.paths(instance.id);
      await mkdir(etc, { recursive: true });
      // As an instance has it, with what must be another's in a copy.
      const lines = ['db_name = x', 'db_user = x', 'db_password = x', 'max_cron_threads = 2'];
      const others = ['http_interface = 0.0.0.0', 'data_dir = /var/lib/odoo', 'list_db = False'];
      await writeFile(conf, ['[options]', ...lines, ...others, ''].join('\n'));
    });
    const written = async () => {
      const found = await readdir(join(postgres.dataDir, 'backups', 'work'));
      return found.filter((name) => name.startsWith(`${instance.id}-`));
    };

    it('shows its login page', async () => {
      const snapshot = await take();
      await store.prove(instance, snapshot, BOOT, never);
      expect((await proofs()).at(-1)).to.equal('boot');
      expect(await written()).to.deep.equal([]);
    });

    it('fails where Odoo does not, with what it said; the data are whole', async () => {
      await asTenant('ALTER TABLE res_users RENAME COLUMN login TO gone');
      const snapshot = await take();
      await asTenant('ALTER TABLE res_users RENAME COLUMN gone TO login');
      const error = await store.prove(instance, snapshot, BOOT, never).catch((thrown) => thrown);
      expect(error).to.include({ reason: 'ProofBoot' });
      expect(error.detail).to.match(/login|ERROR|CRITICAL/);
      expect((await proofs()).at(-1)).to.equal('failed ProofBoot');
      await store.prove(instance, snapshot, NO_BOOT, never);
      expect((await proofs()).at(-1)).to.equal('data');
      const left = await docker([
        'docker',
        'ps',
        '--all',
        '--quiet',
        `--filter=name=${container()}`,
      ]);
      expect(left).to.equal('');
    });
  });

  it('whose dump is far larger than its database fails, and the older ones stay', async () => {
    const before = await store.list(instance, never);
    await asTenant(`CREATE TABLE swollen AS
      SELECT repeat('a', 100000000) AS value FROM generate_series(1, 14)`);
    const error = await store.take(instance, NIGHTLY, never).catch((thrown) => thrown);
    await asTenant('DROP TABLE swollen');
    expect(error).to.include({ reason: 'BackupTooLarge' });
    expect(await store.list(instance, never)).to.deep.equal(before);
  });

  it('fails its proof where a file is missing that the database names', async () => {
    const file = await stored();
    const content = await readFile(file);
    await rm(file);
    const snapshot = await take();
    expect(await reasonOf(store.prove(instance, snapshot, NO_BOOT, never))).to.equal(
      'ProofFileMissing',
    );
    expect((await proofs()).at(-1)).to.equal('failed ProofFileMissing');
    await writeFile(file, `${content} and more`);
    const damaged = await take();
    expect(await reasonOf(store.prove(instance, damaged, NO_BOOT, never))).to.equal(
      'ProofFileDamaged',
    );
    await writeFile(file, content);
  });

  it('is nobody’s but the tenant’s: what lies in their database and filestore reads and runs nothing', async () => {
    await asTenant(`CREATE TABLE public.witness (who text);
      CREATE FUNCTION public.spy() RETURNS bool LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.witness VALUES (current_user || ' ' || pg_has_role('pg_read_all_data', 'member')); RETURN true; END $$;
      ALTER TABLE public.res_partner ADD CONSTRAINT spied CHECK (public.spy())`);
    await symlink('/etc/shadow', join(filestore(), 'shadow'));
    await mkdir(join(filestore(), 'aa'), { recursive: true });
    await symlink('/dev/zero', join(filestore(), 'aa', 'a'.repeat(40)));
    const snapshot = await take();
    await store.prove(instance, snapshot, NO_BOOT, never);
    const folder = join(postgres.dataDir, 'out');
    await mkdir(folder);
    await restic.restore(keys.repositoryOf(instance), snapshot, folder, never);
    const files = join(folder, 'filestores', databaseName(postgres.install, instance.id));
    expect(await readlink(join(files, 'shadow'))).to.equal('/etc/shadow');
    expect(await readFile(join(folder, 'secrets', 'admin-password'), 'utf8')).not.to.equal('');
    await asTenant(
      'ALTER TABLE public.res_partner DROP CONSTRAINT spied; DROP TABLE public.witness',
    );
    for (const name of ['shadow', join('aa', 'a'.repeat(40))]) await rm(join(filestore(), name));
  });

  it('holds no folder to which a tenant has laid a link in place of their own', async () => {
    const theirs = join(postgres.dataDir, 'of-somebody-else');
    await mkdir(theirs);
    await writeFile(join(theirs, 'secret'), 'theirs');
    await rename(filestore(), `${filestore()}-away`);
    await symlink(theirs, filestore());
    try {
      const snapshot = await take();
      expect(await reasonOf(store.prove(instance, snapshot, NO_BOOT, never))).to.equal(
        'BackupDamaged',
      );
      const folder = join(postgres.dataDir, 'out-of-link');
      await mkdir(folder);
      await restic.restore(keys.repositoryOf(instance), snapshot, folder, never);
      const link = join(folder, 'filestores', databaseName(postgres.install, instance.id));
      expect(await readlink(link)).to.equal(theirs);
    } finally {
      await rm(filestore());
      await rename(`${filestore()}-away`, filestore());
    }
  });

  it('is proven though another tenant’s functions gave the proof’s role settings before', async () => {
    await asTenant(`CREATE FUNCTION public.spoil() RETURNS bool LANGUAGE plpgsql AS $$
        BEGIN
          IF current_user LIKE 'proof%' THEN
            EXECUTE format('ALTER ROLE %I SET default_transaction_read_only = on', current_user);
          END IF;
          RETURN true;
        END $$;
      ALTER TABLE public.res_partner ADD CONSTRAINT spoilt CHECK (public.spoil())`);
    const spoiling = await take();
    await asTenant(
      'ALTER TABLE public.res_partner DROP CONSTRAINT spoilt; DROP FUNCTION public.spoil()',
    );
    const healthy = await take();
    await store.prove(instance, spoiling, NO_BOOT, never).catch(() => {});
    await store.prove(instance, healthy, NO_BOOT, never);
    expect((await proofs()).at(-1)).to.equal('data');
  });

  it('holds Odoo’s garbage collection of files off while it is taken, and its writing not', async () => {
    let error = '';
    await sidecar.databases.heldForBackup(instance, async ({ rows }) => {
      expect(rows['res_users']).to.be.above(1);
      await asTenant(`UPDATE public.res_partner SET comment = 'meanwhile' WHERE id = 1`);
      const collect = `BEGIN; SET LOCAL lock_timeout = '200ms'; LOCK public.ir_attachment IN SHARE MODE; COMMIT`;
      error = await asTenant(collect).then(String, String);
    });
    expect(error).to.match(/lock timeout/);
    await asTenant('BEGIN; LOCK public.ir_attachment IN SHARE MODE; COMMIT');
  });

  it('is none where the tenant ends what holds their files: nothing is left of it', async () => {
    const before = await proofs();
    const cut = sidecar.databases.heldForBackup(instance, async () =>
      asTenant(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle in%'`,
      ),
    );
    expect(await reasonOf(cut)).to.equal('TenantDatabase');
    expect(await proofs()).to.deep.equal(before);
  });

  it('a change of one byte in the repository is found by the next proof', async () => {
    // What the backup has added is part of it; an older pack need not be.
    const before = new Set(await packs());
    const snapshot = await take();
    let largest = { path: '', size: 0 };
    for (const path of (await packs()).filter((one) => !before.has(one))) {
      const { size } = await stat(path);
      if (size > largest.size) largest = { path, size };
    }
    const content = await readFile(largest.path);
    const middle = Math.floor(content.length / 2);
    content[middle] = (content[middle] ?? 0) ^ 1;
    await chmod(largest.path, 0o600);
    await writeFile(largest.path, content);
    expect(await reasonOf(store.prove(instance, snapshot, NO_BOOT, never))).to.equal(
      'BackupDamaged',
    );
    expect((await proofs()).at(-1)).to.equal('failed BackupDamaged');
    content[middle] = (content[middle] ?? 0) ^ 1;
    await writeFile(largest.path, content);
    await store.prove(instance, snapshot, NO_BOOT, never);
    expect((await proofs()).at(-1)).to.equal('data');
  });

  it('another key opens nothing, and a repository that is not there is not made again', async () => {
    const { keyFile } = keys.repositoryOf(instance);
    const key = await readFile(keyFile, 'utf8');
    await writeFile(keyFile, 'another key');
    expect(await reasonOf(store.take(instance, NIGHTLY, never))).to.equal('BackupKeyWrong');
    await writeFile(keyFile, key);
    const [repository = ''] = await readdir(base);
    await rename(join(base, repository), join(base, 'away'));
    expect(await reasonOf(store.take(instance, NIGHTLY, never))).to.equal('BackupServerAway');
    expect(await readdir(base)).to.deep.equal(['away']);
    await rename(join(base, 'away'), join(base, repository));
  });

  it('goes on after a sidecar that was killed in the middle of one, with no lock and no part left', async () => {
    const before = await proofs();
    const killed = new AbortController();
    const cut = store.take(instance, NIGHTLY, killed.signal);
    cut.catch(() => {});
    const locks = join(base, keys.repositoryOf(instance).name, 'locks');
    expect(await until(async () => (await readdir(locks)).length > 0, 60, 10)).to.equal(true);
    killed.abort();
    await cut.catch(() => {});
    await take();
    expect(await proofs()).to.have.length(before.length + 1);
    expect(await readdir(locks)).to.deep.equal([]);
  });

  describe('in the place of the data', () => {
    const job = (id: number, kind: Job['kind'], snapshot = ''): Job => ({
      ...{ id, kind, snapshot },
      identity: identityOf(id),
    });
    const say = async () => {};
    const comment = async () => {
      const [row] = await asTenant('SELECT comment AS text FROM public.res_partner WHERE id = 1');
      return (row as { text?: string } | undefined)?.text;
    };
    const write = (text: string) =>
      asTenant(`UPDATE public.res_partner SET comment = '${text}' WHERE id = 1`);
    /** Both parts of a restore. */
    const restore = async (wanted: Job) => {
      await restores.prepare(instance, wanted, say, never);
      expect(await restores.prepared(instance)).to.equal(wanted.identity);
      await restores.carryOut(instance, wanted);
      expect(await restores.isCarriedOut(instance, wanted)).to.equal(true);
    };

    it('database and files are what they were, those from before are kept, and undo brings them back', async () => {
      await write('as backed up');
      const file = await stored();
      const snapshot = await take();
      await write('later');
      const content = await readFile(file);
      await rm(file);
      await restore(job(1, 'restore', snapshot));
      const again = { ...job(1, 'restore', snapshot), identity: identityOf(1, 1) };
      expect(await restores.isCarriedOut(instance, again), 'of that number').to.equal(false);
      expect(await comment()).to.equal('as backed up');
      expect(await readFile(file)).to.deep.equal(content);
      const { uid } = await stat(dirname(file));
      expect(uid, 'Odoo’s own')
        .to.equal((await stat(filestore())).uid)
        .and.not.to.equal(0);
      await restore(job(2, 'undo_restore'));
      expect(await comment()).to.equal('later');
      expect(await reasonOf(stat(file))).to.have.property('code', 'ENOENT');
      await restore(job(3, 'undo_restore'));
      expect(await comment()).to.equal('as backed up');
    });

    it('repeated after a kill at whichever step, it is done once', async () => {
      const [first] = await store.list(instance, never);
      const wanted = job(4, 'restore', first?.snapshot);
      await write('present');
      await restores.prepare(instance, wanted, say, never);
      await restores.prepare(instance, wanted, say, never);
      // Killed after the databases were swapped, before the files were.
      await sidecar.databases.replacements.replace(instance);
      expect(await restores.isCarriedOut(instance, wanted)).to.equal(false);
      await restores.carryOut(instance, wanted);
      await restores.prepare(instance, wanted, say, never);
      expect(await restores.prepared(instance), 'it is not prepared again').to.equal('');
      expect(await comment()).not.to.equal('present');
      await restore(job(5, 'undo_restore'));
      expect(await comment()).to.equal('present');
    });

    it('the tenant enters nothing that was replaced or is being made', async () => {
      const { dbPassword: password } = await sidecar.dirs.secrets(instance.id);
      const name = databaseName(postgres.install, instance.id);
      const enter = withSql({ ...postgres.server, user: name, password }, `${name}_before`, (sql) =>
        sql('SELECT 1'),
      );
      expect(await enter.then(String, String)).to.match(/pg_hba.conf rejects/);
    });

    it('refuses what is of a newer Odoo, what is not there, and an undo of nothing', async () => {
      const [first] = await store.list(instance, never);
      odoo = 18;
      const older = restores.prepare(instance, job(6, 'restore', first?.snapshot), say, never);
      expect(await reasonOf(older)).to.equal('BackupOdooNewer');
      odoo = 19;
      const gone = restores.prepare(instance, job(7, 'restore', 'f'.repeat(64)), say, never);
      expect(await reasonOf(gone)).to.equal('BackupGone');
      await restores.dropReplaced(instance, Date.now() + 1_000);
      const undo = restores.prepare(instance, job(8, 'undo_restore'), say, never);
      expect(await reasonOf(undo)).to.equal('NothingToUndo');
      const names = (await sidecar.databases.numbers()).length;
      expect(names).to.equal(1);
    });
  });

  describe('where nothing is', () => {
    const marks = () => new DirectoryMarks(postgres.dataDir, postgres.install);
    const nameOf = (of: DesiredInstance) => databaseName(postgres.install, of.id);
    const parameters = async (of: DesiredInstance) => {
      const { dbPassword: password } = await sidecar.dirs.secrets(of.id);
      const rows = await withSql(
        { ...postgres.server, user: nameOf(of), password },
        nameOf(of),
        (sql) =>
          sql(`SELECT key, value FROM public.ir_config_parameter
                WHERE key IN ('database.uuid', 'web.base.url')`),
      );
      return Object.fromEntries(
        (rows as { key: string; value: string }[]).map((row) => [row.key, row.value]),
      );
    };
    /** As the controller does it, up to its reports. */
    const restoreFrom = async (target: DesiredInstance, source: RestoreSource) => {
      const restoring = new RestoringMark(sidecar.dirs, marks());
      await restoring.begin(target, source.name);
      expect(await restoring.begun(target)).to.equal(source.name);
      expect(await marks().ownerOf(target)).to.equal('own');
      await source.placeSecrets(target, never);
      await mkdir(sidecar.dirs.paths(target.id).filestore, { recursive: true });
      await source.placeFiles(target, never);
      const isCopy = source.owner.identity !== '' && target.identity !== source.owner.identity;
      await sidecar.databases.restore(target, { isCopy, url: source.url }, (server, login) =>
        source.fill(server, login, never),
      );
      await restoring.end(target);
      expect(await restoring.begun(target)).to.equal(null);
    };
    const restoreAs = (target: DesiredInstance, snapshot: string) =>
      restores.fetched(instance, snapshot, never, (source) => restoreFrom(target, source));

    it('database, role, files and secrets come from the backup, also after an attempt that was cut off', async () => {
      await asTenant(`UPDATE public.res_partner SET comment = 'saved' WHERE id = 1`);
      const file = await stored();
      const content = await readFile(file);
      const { uid } = await stat(file);
      const secrets = await sidecar.dirs.secrets(instance.id);
      const before = await parameters(instance);
      const snapshot = await take();
      await sidecar.databases.drop(instance);
      await sidecar.dirs.remove(instance.id);
      const cut = new Restores({
        ...{ install: postgres.install, dirs: sidecar.dirs },
        tools: { restore: async () => Promise.reject(new Error('cut off')) },
        replacements: sidecar.databases.replacements,
        odooOf: async () => odoo,
        inRestored: (...args) => store.inRestored(...args),
      });
      const whole = restores;
      restores = cut;
      expect(String(await reasonOf(restoreAs(instance, snapshot)))).to.match(/cut off/);
      expect(await sidecar.databases.observe(instance, 'purged')).to.equal('absent');
      restores = whole;
      await restoreAs(instance, snapshot);
      const [row] = await asTenant('SELECT comment AS text FROM public.res_partner WHERE id = 1');
      expect(row).to.include({ text: 'saved' });
      expect(await readFile(file)).to.deep.equal(content);
      expect((await stat(file)).uid).to.equal(uid);
      expect(await sidecar.dirs.secrets(instance.id)).to.deep.equal(secrets);
      expect(await parameters(instance)).to.deep.equal(before);
      expect(await sidecar.databases.observe(instance, 'purged')).to.equal('ready');
      expect(await reasonOf(restoreAs(instance, snapshot))).to.equal('DatabaseExists');
    });

    it('database, files and secrets come from an archive that an earlier version has written', async () => {
      const { dataDir, install } = postgres;
      const { directory, etc } = sidecar.dirs.paths(instance.id);
      await asTenant(`UPDATE public.res_partner SET comment = 'archived' WHERE id = 1`);
      const file = await stored();
      const [content, secrets] = [await readFile(file), await sidecar.dirs.secrets(instance.id)];
      const dump = join(dataDir, 'old-dump', 'database.dump');
      await mkdir(join(dataDir, 'old-dump'));
      await sidecar.databases.heldForBackup(instance, ({ login, snapshot }) =>
        tools.dump(login, dump, never, { snapshot }),
      );
      await mkdir(etc, { recursive: true });
      await writeFile(join(directory, 'docker-compose.yml'), 'services: {}\n');
      const name = `${instance.id}-20261124T101500Z`;
      await writeOldArchive({ dataDir, install }, name, directory, await readFile(dump));
      await sidecar.databases.drop(instance);
      await sidecar.dirs.remove(instance.id);
      const archives = new ArchiveStore({ dataDir, install, dirs: sidecar.dirs, tools });
      await restoreFrom(instance, archives.sourceOf(name, await archives.read(name)));
      const [row] = await asTenant('SELECT comment AS text FROM public.res_partner WHERE id = 1');
      expect(row).to.include({ text: 'archived' });
      expect(await readFile(file)).to.deep.equal(content);
      expect(await sidecar.dirs.secrets(instance.id)).to.deep.equal(secrets);
    });

    it('another instance has the data with an identity and secrets of its own, but the first password', async () => {
      const copy = anInstance({ ...instance, id: 2, identity: identityOf(2) });
      const snapshot = (await store.list(instance, never)).at(-1)?.snapshot ?? '';
      await restoreAs(copy, snapshot);
      const [ours, theirs] = [await sidecar.dirs.secrets(1), await sidecar.dirs.makeSecrets(2)];
      expect(theirs.adminPassword).to.equal(ours.adminPassword);
      expect(theirs.dbPassword).not.to.equal(ours.dbPassword);
      expect(theirs.masterPassword).not.to.equal(ours.masterPassword);
      const [mine, copied] = [await parameters(instance), await parameters(copy)];
      expect(copied['database.uuid']).not.to.equal(mine['database.uuid']);
      expect(copied['web.base.url']).to.equal('http://127.0.0.1:2');
      const foreign = { ...instance, identity: identityOf(3) };
      const none = restores.fetched(foreign, snapshot, never, async () => {});
      expect(await reasonOf(none), 'by its manifest').to.equal('BackupForeign');
    });
  });

  describe('the last one before the data are removed', () => {
    const ending = (removedAt: string) =>
      anInstance({ ...instance, subscription: aSubscription({ removedAt: new Date(removedAt) }) });
    const FIRST = ending('2026-11-24T10:15:00Z');
    const ended = () =>
      new EndBackups({
        ...{ store, archives: { has: async () => false }, now: () => new Date() },
        disconnect: (desired) => sidecar.databases.disconnect(desired),
      });

    it('is taken and proven once, and kept beside those of its day', async () => {
      await take(); // its repository is there
      const killed = new AbortController();
      const cut = ended().write(FIRST, killed.signal);
      cut.catch(() => {});
      const locks = join(base, keys.repositoryOf(instance).name, 'locks');
      expect(await until(async () => (await readdir(locks)).length > 0, 60, 10)).to.equal(true);
      killed.abort();
      await cut.catch(() => {});
      const { name, leftOut } = await ended().write(FIRST, never);
      expect(leftOut).to.equal(0);
      expect(await ended().write(FIRST, never)).to.deep.equal({ name, leftOut });
      await ended().verify(FIRST, never);
      await store.prove(instance, await take(), NO_BOOT, never);
      await store.forgetOld(instance, new Date(), never);
      const known = await store.list(instance, never);
      expect(known.filter((one) => one.ending).map(({ snapshot }) => snapshot)).to.deep.equal([
        name,
      ]);
      expect(withKept(known, new Date()).find((one) => one.ending)?.kept).to.equal('end');
      const second = ending('2027-01-24T10:15:00Z');
      expect(await reasonOf(ended().verify(second, never))).to.equal('BackupGone');
    });

    it('is taken though paths are longer than any program can open: those are left out and counted', async () => {
      const SECOND = ending('2027-02-24T10:15:00Z');
      const deep = join(filestore(), 'deep');
      await mkdir(deep);
      await writeFile(join(deep, 'file'), 'shallow');
      await makeDeepTree(deep, 20);
      await makeOddFiles(deep);
      try {
        const { leftOut, name } = await ended().write(SECOND, never);
        expect(leftOut).to.equal(1);
        const known = await store.list(instance, never);
        expect(known.find(({ snapshot }) => snapshot === name)).to.include({
          leftOut,
          proof: 'data',
        });
        await store.inRestored(instance, name, never, async (folder) => {
          const files = join(
            folder,
            'filestores',
            databaseName(postgres.install, instance.id),
            'deep',
          );
          expect(await readFile(join(files, 'file'), 'utf8')).to.equal('shallow');
          expect(await readFile(join(files, 'new\nline'), 'utf8')).to.equal('new\nline');
          const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
          expect(manifest.leftOut.paths[0]).to.match(/\/deep\/ddd/);
        });
      } finally {
        await removeTree(deep);
      }
    });

    it('is not taken where the tenant has seen to that no backup can be, which waits for a person', async () => {
      const THIRD = ending('2027-03-24T10:15:00Z');
      await asTenant('ALTER TABLE ir_attachment RENAME TO gone');
      try {
        const error = await ended()
          .write(THIRD, never)
          .catch((thrown: unknown) => thrown);
        expect(error).to.be.instanceOf(TerminalError).with.property('reason', 'TenantDatabase');
      } finally {
        await asTenant('ALTER TABLE gone RENAME TO ir_attachment');
      }
    });
  });

  it('of a day the last one is kept, with the newest proven', async () => {
    await store.forgetOld(instance, new Date(), never);
    const left = await store.list(instance, never);
    const kept = left.filter(({ ending }) => !ending).map(({ proof }) => proof);
    expect(kept).to.have.length(2);
    expect(kept).to.include('data');
  });
});
