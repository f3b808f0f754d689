import { chown, cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupKeys, MANAGER } from '../../src/backups/backup-keys.ts';
import { BackupStore } from '../../src/backups/backup-store.ts';
import { HostClaim } from '../../src/backups/host-claim.ts';
import { ManagerBackups } from '../../src/backups/manager-backups.ts';
import { restoreManager } from '../../src/backups/manager-restore.ts';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { heldDockerCli } from '../../src/docker/docker-cli.ts';
import { LABELS } from '../../src/docker/labels.ts';
import { findManager, managerFiles } from '../../src/docker/manager-container.ts';
import { databaseName } from '../../src/instance/name.ts';
import { holdDatabase } from '../../src/postgres/held-database.ts';
import { PgTools } from '../../src/postgres/pg-tools.ts';
import type { ProofServer } from '../../src/postgres/proof-server.ts';
import { Restic } from '../../src/restic/restic.ts';
import { images } from '../../stack/images.ts';
import { withSql } from '../../stack/sql.ts';
import { backupStore } from '../support/backup-store.ts';
import { anInstance } from '../support/samples.ts';
import {
  docker,
  makeDatabase,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

const SOCKET = '/var/run/docker.sock';
const HOST = '11111111-0000-4000-8000-000000000001';
const OTHER = '22222222-0000-4000-8000-000000000002';
const NIGHTLY = { isByHand: false };

/** The database of an Odoo on its own Postgres, and a container that mounts its files and its socket as the manager's does. */
describe('backups of the manager, with a real Postgres and restic', function () {
  this.timeout(600_000);
  const customer = { ...anInstance().customer, lang: 'en_US', countryCode: '' };
  const instance = anInstance({ id: 1, customer, modules: [], wasReady: true });
  const never = new AbortController().signal;
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;
  let claim: HostClaim;
  let store: BackupStore;
  let keys: BackupKeys;
  let restic: Restic;
  let proofServer: ProofServer;
  let backups: ManagerBackups;
  let database: string;
  let folder: string;
  let conf: string;
  let hold: ReturnType<typeof holdDatabase>;

  const filestore = () => join(sidecar.dirs.paths(instance.id).filestore, database);
  const asOdoo = async (text: string) => {
    const { dbPassword: password } = await sidecar.dirs.secrets(instance.id);
    return withSql({ ...postgres.server, user: database, password }, database, (sql) => sql(text));
  };
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => error.reason ?? error,
    );

  before(async () => {
    postgres = await startTenantPostgres('manager-backups-test');
    const { dataDir, install, server } = postgres;
    sidecar = await tenantDatabases(postgres);
    await makeDatabase(sidecar.databases, { ...instance, wasReady: false });
    database = databaseName(install, instance.id);
    folder = join(dataDir, 'backups');
    const parts = backupStore(postgres, sidecar, {
      requireHost: (signal) => claim.require(signal),
      heldForBackup: () => Promise.reject(new Error('the manager is no instance')),
    });
    ({ keys, proofServer, restic, store } = parts);
    const { disk, tools } = parts;
    claim = hostClaim(HOST);
    const api = new DockerApi(SOCKET);
    const configuration = join(dataDir, 'microsaas.yaml');
    await writeFile(configuration, 'dataDir: /srv\n');
    hold = holdDatabase({ install, image: images.postgres, held: heldDockerCli(SOCKET) });
    backups = new ManagerBackups({
      ...{ install, database, url: 'http://127.0.0.1:8069', disk, keys, restic, store, tools },
      claim: {
        require: (signal) => claim.require(signal),
        claim: (signal) => claim.claim(signal),
        claimedBy: (signal) => claim.claimedBy(signal),
        requireStill: (signal) => claim.requireStill(signal),
      },
      host: HOST,
      folder: join(folder, 'work'),
      files: [configuration, join(dataDir, 'install-id'), keys.escrowFile, '/not/there'],
      place: (signal) => findManager({ install, api, docker, image: images.base }, signal),
      hold: (...args) => hold(...args),
    });
    // Only made, for Docker to say what it has mounted: Odoo itself is not needed.
    const { dbPassword } = await sidecar.dirs.secrets(instance.id);
    const odoo = join(dataDir, 'manager');
    await mkdir(odoo);
    conf = join(odoo, 'odoo.conf');
    const options = { db_host: '/run/postgresql', db_user: database, db_password: dbPassword };
    const lines = Object.entries(options).map(([name, value]) => `${name} = ${value}\n`);
    await writeFile(conf, `[options]\n${lines.join('')}`, { mode: 0o600 });
    const data = join(odoo, 'data');
    await mkdir(data);
    await docker([
      ...(['docker', 'create', `--name=ms-${install}-manager`, '--network=none'] as const),
      ...[`--label=${LABELS.install}=${install}`, `--label=${LABELS.part}=manager`],
      `--volume=${sidecar.dirs.paths(instance.id).filestore}:/var/lib/odoo/filestore`,
      ...[`--volume=${server.socketDir}:/run/postgresql`, `--volume=${conf}:/etc/odoo/odoo.conf`],
      ...['--', images.postgres],
    ]);
  });
  after(async () => {
    await proofServer?.close();
    await postgres?.remove();
  });

  /** A host's word in the manager's repository. */
  const hostClaim = (host: string) =>
    new HostClaim({ host, keys, restic, folder: join(folder, 'work'), now: () => new Date() });

  const take = async () => {
    await backups.take(NIGHTLY, never);
    return (await backups.list(never)).at(-1)?.snapshot ?? '';
  };

  it('hold its database, its files and this host’s configuration with all keys, and are proven by restoring them', async () => {
    await keys.make(instance, (repository) => restic.init(repository, never));
    const snapshot = await take();
    await backups.prove(snapshot, never);
    const [backup] = await backups.list(never);
    expect(backup).to.include({ snapshot, proof: 'data', reason: '' });
    await store.inRestored(MANAGER, snapshot, never, async (restored) => {
      expect(await readdir(join(restored, 'filestores'))).to.deep.equal([database]);
      const file = (name: string) => readFile(join(restored, 'configuration', name), 'utf8');
      expect(await file(join(postgres.dataDir, 'microsaas.yaml'))).to.include('dataDir');
      expect((await file(join(postgres.dataDir, 'install-id'))).trim()).to.equal(postgres.install);
      const escrow = JSON.parse(await file(keys.escrowFile));
      expect(Object.keys(escrow.keys), 'every key').to.deep.equal([
        ...[`${postgres.install}-1-00000000`, `${postgres.install}-manager`],
      ]);
    });
    expect(await readdir(join(folder, 'work')), 'no password is left').to.deep.equal([]);
  });

  it('keep what the database names from being removed while its files are copied', async () => {
    const locked = async () => {
      const lock = 'BEGIN; SET LOCAL lock_timeout = 200; LOCK TABLE ir_attachment IN SHARE MODE';
      return asOdoo(lock).then(
        () => 'free',
        (error) => error.code,
      );
    };
    let during = '';
    const usual = hold;
    hold = (login, place, counted, work, signal) =>
      usual(
        ...[login, place, counted],
        async (seen) => {
          during = await locked();
          return work(seen);
        },
        signal,
      );
    await take();
    hold = usual;
    expect(during).to.equal('55P03');
    expect(await locked()).to.equal('free');
  });

  it('that lost hold of the database are no backups', async () => {
    const before = (await backups.list(never)).length;
    const usual = hold;
    hold = (login, place, counted, work, signal) =>
      usual(
        ...[login, place, counted],
        async (seen) => {
          const result = await work(seen);
          await withSql(postgres.server, 'postgres', (sql) =>
            sql(
              `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`,
            ),
          );
          return result;
        },
        signal,
      );
    expect(await reasonOf(backups.take(NIGHTLY, never))).to.equal('BackupFailed');
    hold = usual;
    expect(await backups.list(never)).to.have.length(before);
  });

  it('that miss a file say so', async () => {
    const [sub = ''] = (await readdir(filestore())).filter((name) => /^[0-9a-f]{2}$/.test(name));
    const [name = ''] = await readdir(join(filestore(), sub));
    const file = join(filestore(), sub, name);
    const content = await readFile(file);
    await rm(file);
    const snapshot = await take();
    expect(await reasonOf(backups.prove(snapshot, never))).to.equal('ProofFileMissing');
    await writeFile(file, content);
  });

  it('restore the manager on an empty machine, from the repositories and the escrow file alone', async () => {
    const snapshot = await take();
    await backups.prove(snapshot, never);
    const rows = await asOdoo('SELECT count(*) AS n FROM public.res_partner');
    const files = (await readdir(filestore(), { recursive: true })).sort();
    const there = await startTenantPostgres('manager-restore-test');
    try {
      await rename(join(folder, 'repositories'), join(there.dataDir, 'repositories'));
      const folderThere = join(there.dataDir, 'backups');
      await mkdir(folderThere);
      await cp(keys.escrowFile, join(folderThere, 'escrow.json'));
      const base = join(there.dataDir, 'repositories');
      const place = { base, environmentFile: '', sshFolder: '' };
      const keysThere = new BackupKeys(postgres.install, base, folderThere);
      const resticThere = new Restic(postgres.install, images.base, docker, place);
      const tools = new PgTools(there.install, images.postgres, docker);
      const storeThere = new BackupStore({
        ...{ install: postgres.install, keys: keysThere, proofServer, tools, dirs: sidecar.dirs },
        ...{ disk: { checkRoom: async () => {} }, restic: resticThere },
        requireHost: async () => {},
        bootCopy: async () => false,
        folder: join(folderThere, 'work'),
        heldForBackup: () => Promise.reject(new Error('the manager is no instance')),
      });
      // The new machine's own manager, as `npm run deploy` leaves it.
      await withSql(there.server, 'postgres', async (sql) => {
        await sql(`CREATE ROLE odoo LOGIN PASSWORD 'there'`);
        await sql(`CREATE DATABASE "${database}" OWNER odoo TEMPLATE template0`);
        // This server lets a role only into a database of its name, or of a role that it is a member of.
        for (const name of [database, `${database}_restored`])
          await sql(`CREATE ROLE "${name}" NOLOGIN ROLE odoo`);
      });
      const filestores = join(there.dataDir, 'filestore');
      await mkdir(join(filestores, database), { recursive: true });
      await writeFile(join(filestores, database, 'of-before'), '');
      await chown(filestores, 4711, 4712);
      const host = {
        ...{ install: there.install, docker, image: images.base },
        api: new DockerApi(SOCKET),
      };
      const done: string[] = [];
      const { socketDir, user: role, password } = there.server;
      const restored = await restoreManager(
        {
          ...{ database, store: storeThere, tools, folder: folderThere, now: () => new Date() },
          place: async () => ({
            ...{ container: 'm', isRunning: true, filestores, socketDir },
            ...{ role: 'odoo', password: 'there' },
          }),
          admin: async () => ({ role, password }),
          files: managerFiles(host, folderThere),
          stop: async () => void done.push('stop'),
          start: async () => void done.push('start'),
        },
        snapshot,
        (line) => done.push(line),
        never,
      );
      expect(done.slice(-3)).to.deep.equal([
        ...['putting them in the place of those of now', 'stop', 'start'],
      ]);
      const as = { socketDir, user: 'odoo', password: 'there' };
      const count = 'SELECT count(*) AS n FROM public.res_partner';
      expect(await withSql(as, database, (sql) => sql(count))).to.deep.equal(rows);
      expect((await readdir(join(filestores, database), { recursive: true })).sort()).to.deep.equal(
        files,
      );
      const { gid, uid } = await stat(join(filestores, database, files[0] ?? ''));
      expect({ uid, gid }, 'the files are its Odoo’s').to.deep.equal({ uid: 4711, gid: 4712 });
      expect(await readdir(join(filestores, restored.before)), 'what was there').to.deep.equal([
        'of-before',
      ]);
      await withSql(there.server, restored.before, (sql) => sql('SELECT 1'));
      const file = join(restored.configuration, postgres.dataDir, 'microsaas.yaml');
      expect(await readFile(file, 'utf8')).to.include('dataDir');
    } finally {
      await rename(join(there.dataDir, 'repositories'), join(folder, 'repositories'));
      await there.remove();
    }
  });

  it('are no more made by a host that another has replaced, which writes, forgets and unlocks nothing', async () => {
    expect((await claim.claimedBy(never))?.host).to.equal(HOST);
    const other = hostClaim(OTHER);
    expect((await other.replaced(never))?.detail, 'the newcomer, before it takes over').to.equal(
      HOST,
    );
    await other.claim(never);
    expect(await other.replaced(never)).to.equal(null);
    const written = async () => {
      const repository = join(folder, 'repositories', `${postgres.install}-manager`);
      return (await readdir(repository, { recursive: true })).sort();
    };
    const [before, [backup]] = [await written(), await backups.list(never)];
    claim = hostClaim(HOST); // started again: it has asked nothing yet
    for (const work of [
      () => backups.take(NIGHTLY, never),
      () => backups.prove(backup?.snapshot ?? '', never),
      () => backups.forgetOld(new Date(), never),
      () => store.prove(instance, 'a'.repeat(64), { boots: false }, never),
    ])
      expect(await reasonOf(work())).to.equal('HostReplaced');
    expect(await written()).to.deep.equal(before);
    await claim.claim(never);
    await backups.prove(backup?.snapshot ?? '', never);
  });

  it('make no folder where the manager’s files are not, and say why there is no backup', async () => {
    await writeFile(
      conf,
      (await readFile(conf, 'utf8')).replace(/db_user = .*/, 'db_user = nobody'),
    );
    expect(await reasonOf(backups.take(NIGHTLY, never)), 'no login').to.equal('BackupFailed');
    await docker(['docker', 'rm', '--', `ms-${postgres.install}-manager`]);
    expect(await reasonOf(backups.take(NIGHTLY, never))).to.equal('ManagerOutOfReach');
  });
});
