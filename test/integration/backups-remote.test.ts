import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupKeys } from '../../src/backups/backup-keys.ts';
import { BackupStore } from '../../src/backups/backup-store.ts';
import type { HeldDatabase } from '../../src/databases/tenant-access.ts';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { Images } from '../../src/docker/images.ts';
import { InstanceDirs } from '../../src/files/instance-dir.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { PgTools } from '../../src/postgres/pg-tools.ts';
import { ProofServer } from '../../src/postgres/proof-server.ts';
import { Restic, type ResticPlace } from '../../src/restic/restic.ts';
import { images } from '../../stack/images.ts';
import { installId } from '../../stack/install-id.ts';
import { varPath } from '../../stack/paths.ts';
import { withSql } from '../../stack/sql.ts';
import { takeDown } from '../../stack/takedown.ts';
import { until } from '../../stack/until.ts';
import {
  type BackupServer,
  ensureBackupServers,
  knownHost,
  makeSshKey,
  startRestServer,
  startSshServer,
} from '../support/backup-servers.ts';
import { anInstance } from '../support/samples.ts';
import { docker } from '../support/tenant-databases.ts';

/** Of the file that is under way when a server is killed, in bytes: some seconds of a backup. */
const LARGE = 128 * 1024 * 1024;

describe('backups on another machine, with real servers', function () {
  this.timeout(300_000);
  const never = new AbortController().signal;
  const folder = varPath('backups-remote-test');
  const login = { user: 'microsaas', password: 'a password of the server' };
  let install: string;

  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => (error.reason ? `${error.reason}: ${error.detail}` : error),
    );
  const resticAt = (place: Partial<ResticPlace>) =>
    new Restic(install, images.base, docker, {
      ...{ base: '', environmentFile: '', sshFolder: '', ...place },
    });

  before(async () => {
    install = await installId(varPath('backups-remote-test-install-id'));
    await takeDown(install, folder);
    await mkdir(folder, { recursive: true });
    await ensureBackupServers();
  });
  after(async () => {
    await takeDown(install, folder);
  });

  /** A repository, and what is backed up into it. */
  const sample = async (name: string) => {
    const [keyFile, source] = [join(folder, `${name}.key`), join(folder, name)];
    await writeFile(keyFile, 'the key', { mode: 0o600 });
    await mkdir(source);
    await writeFile(join(source, 'small'), 'what matters');
    return { repository: { name, keyFile }, source, sources: [{ from: source, to: 'files' }] };
  };
  const addLarge = async (source: string) => {
    const chunk = LARGE / 4;
    const chunks = Array.from({ length: 4 }, () => randomBytes(chunk));
    await writeFile(join(source, 'large'), chunks);
  };
  /** Waits until a part of the data has arrived. */
  const isUnderWay = async (server: BackupServer) => {
    const before = await server.count('data');
    expect(await until(async () => (await server.count('data')) > before, 60, 20)).to.equal(true);
  };

  describe('on a rest-server that only takes more', () => {
    let server: BackupServer;
    let place: Pick<ResticPlace, 'base' | 'environmentFile'>;

    before(async () => {
      const environmentFile = join(folder, 'server.env');
      const variables = `RESTIC_REST_USERNAME=${login.user}\nRESTIC_REST_PASSWORD=${login.password}\n`;
      await writeFile(environmentFile, variables, { mode: 0o600 });
      server = await startRestServer(install, folder, login);
      place = { base: `rest:http://127.0.0.1:${server.port}/`, environmentFile };
    });

    it('are taken, proven and listed; nothing is forgotten there, which fails nothing and is said once', async () => {
      const kept: string[] = [];
      const { instance, proofServer, store } = await aStore(place, () => kept.push('kept'));
      try {
        for (let count = 0; count < 2; count += 1)
          await store.take(instance, { isByHand: false }, never);
        const [first, second] = await store.list(instance, never);
        await store.prove(instance, second?.snapshot ?? '', { boots: false }, never);
        for (let count = 0; count < 2; count += 1)
          await store.forgetOld(instance, new Date(), never);
        const left = await store.list(instance, never);
        expect(left.map(({ snapshot, proof }) => ({ snapshot, proof }))).to.deep.equal([
          { snapshot: first?.snapshot, proof: 'none' },
          { snapshot: second?.snapshot, proof: 'data' },
        ]);
        expect(kept).to.deep.equal(['kept']);
        await store.prove(instance, first?.snapshot ?? '', { boots: false }, never);
      } finally {
        await proofServer.close();
      }
    });

    it('are not let in with another password, and the reason says so', async () => {
      const environmentFile = join(folder, 'wrong.env');
      await writeFile(
        environmentFile,
        `RESTIC_REST_USERNAME=${login.user}\nRESTIC_REST_PASSWORD=no`,
      );
      const { repository } = await sample('refused');
      const restic = resticAt({ ...place, environmentFile });
      expect(await reasonOf(restic.init(repository, never))).to.match(
        /^BackupServerRefused: .*401 Unauthorized/,
      );
    });

    it('are whole where the server is restarted in the middle of one', async () => {
      const { repository, source, sources } = await sample('restarted');
      await addLarge(source);
      const restic = resticAt(place);
      await restic.init(repository, never);
      const taken = restic.backup(repository, sources, ['data'], never);
      let isDone = false;
      taken.then(
        () => (isDone = true),
        () => {},
      );
      await isUnderWay(server);
      await server.kill();
      expect(isDone).to.equal(false);
      await server.start();
      const target = join(folder, 'restarted-out');
      await mkdir(target);
      await restic.restore(repository, await taken, target, never);
      const [was, is] = [join(source, 'large'), join(target, 'files', 'large')];
      expect((await readFile(is)).equals(await readFile(was))).to.equal(true);
    });

    it('have their reason at once where the server is down, before and after there is a repository', async () => {
      await server.kill();
      const { repository } = await sample('down');
      const address = `BackupServerAway: 127.0.0.1:${server.port}`;
      expect(await reasonOf(resticAt(place).init(repository, never))).to.equal(address);
      expect(await reasonOf(resticAt(place).snapshots(repository, never))).to.equal(address);
      await server.start();
    });
  });

  describe('over SSH', () => {
    let server: Awaited<ReturnType<typeof startSshServer>>;
    let restic: Restic;

    before(async () => {
      server = await startSshServer(install, folder);
      restic = resticAt(server);
    });

    it('are taken, read back and forgotten', async () => {
      const { repository, sources } = await sample('over-ssh');
      await restic.init(repository, never);
      await restic.init(repository, never);
      const first = await restic.backup(repository, sources, ['data'], never);
      const second = await restic.backup(repository, sources, ['data'], never);
      const target = join(folder, 'over-ssh-out');
      await mkdir(target);
      await restic.restore(repository, first, target, never);
      expect(await readFile(join(target, 'files', 'small'), 'utf8')).to.equal('what matters');
      expect(await restic.forget(repository, [first], never)).to.deep.equal([]);
      const left = await restic.snapshots(repository, never);
      expect(left.map(({ id }) => id)).to.deep.equal([second]);
    });

    it('go to no server but the one whose key is known', async () => {
      const { repository } = await sample('another-server');
      const known = join(server.sshFolder, 'known_hosts');
      const right = await readFile(known, 'utf8');
      await makeSshKey(folder, 'another');
      const another = await readFile(join(folder, 'another.pub'), 'utf8');
      try {
        for (const wrong of [knownHost(server.port, another), '']) {
          await writeFile(known, wrong);
          expect(await reasonOf(restic.init(repository, never))).to.match(
            /^BackupServerAway: .*Host key verification failed/,
          );
        }
      } finally {
        await writeFile(known, right);
      }
    });

    it('are not let in with a key that the server does not know, and the reason says so', async () => {
      const { repository } = await sample('another-key');
      const sshFolder = join(folder, 'another-ssh');
      await mkdir(sshFolder);
      await makeSshKey(sshFolder, 'id');
      const known = await readFile(join(server.sshFolder, 'known_hosts'));
      await writeFile(join(sshFolder, 'known_hosts'), known);
      expect(await reasonOf(resticAt({ ...server, sshFolder }).init(repository, never))).to.match(
        /^BackupServerRefused: .*Permission denied \(publickey/,
      );
    });

    it('are left as they were by a server that dies in the middle of one; the next is whole', async () => {
      const { repository, source, sources } = await sample('killed');
      await restic.init(repository, never);
      const first = await restic.backup(repository, sources, ['data'], never);
      await addLarge(source);
      const cut = reasonOf(restic.backup(repository, sources, ['data'], never));
      await isUnderWay(server);
      await server.kill();
      expect(await cut).to.match(/^BackupServerAway: /);
      expect(await reasonOf(restic.snapshots(repository, never))).to.match(/^BackupServerAway: /);
      await server.start();
      expect((await restic.snapshots(repository, never)).map(({ id }) => id)).to.deep.equal([
        first,
      ]);
      const next = await restic.backup(repository, sources, ['data'], never);
      // Wants the repository to itself: the lock of the one that was cut off is in its way.
      expect(await restic.forget(repository, [first], never)).to.deep.equal([]);
      const target = join(folder, 'killed-out');
      await mkdir(target);
      await restic.restore(repository, next, target, never);
      expect(await readFile(join(target, 'files', 'small'), 'utf8')).to.equal('what matters');
      await rm(target, { recursive: true });
    });
  });

  /** The backups of an instance whose database and files are as small as they can be. */
  async function aStore(
    place: Pick<ResticPlace, 'base' | 'environmentFile'>,
    onKept: () => void,
  ): Promise<{ instance: DesiredInstance; proofServer: ProofServer; store: BackupStore }> {
    const instance = anInstance({ id: 1, modules: [], wasReady: true });
    const dataDir = join(folder, 'data');
    const dirs = new InstanceDirs(dataDir, () => 'unused');
    const { filestore, secrets } = dirs.paths(instance.id);
    const content = 'a file of the customer’s';
    const hash = createHash('sha1').update(content).digest('hex');
    const stored = `${hash.slice(0, 2)}/${hash}`;
    const files = join(filestore, databaseName(install, instance.id));
    await mkdir(join(files, hash.slice(0, 2)), { recursive: true });
    await mkdir(secrets, { recursive: true });
    await writeFile(join(files, stored), content);
    const here = new Images(install, new DockerApi('/var/run/docker.sock'), docker);
    const proofServer = new ProofServer({
      ...{ install, docker, name: 'proof', image: images.postgres, folder: join(dataDir, 'proof') },
      user: () => here.user(images.postgres, 'postgres'),
    });
    const tenant = { database: 'tenant', role: 'tenant', password: 'of the tenant' };
    const heldForBackup = <T>(_: DesiredInstance, work: (held: HeldDatabase) => Promise<T>) =>
      proofServer.using(async (cluster) => {
        if (!(await cluster.has(tenant.database))) {
          await cluster.ensureRole(tenant.role, tenant.password);
          await cluster.create(tenant.database, tenant.role);
          const socketDir = join(dataDir, 'proof', 'run');
          const asTenant = { socketDir, user: tenant.role, password: tenant.password };
          await withSql(asTenant, tenant.database, (sql) =>
            sql(`CREATE TABLE public.res_users (id int);
              CREATE TABLE public.ir_module_module (state text);
              CREATE TABLE public.ir_attachment (store_fname text);
              INSERT INTO public.res_users VALUES (1), (2);
              INSERT INTO public.ir_attachment VALUES ('${stored}')`),
          );
        }
        return work({
          login: { ...tenant, ...cluster.server },
          ...{ snapshot: '', bytes: 1, image: images.odoo, odoo: 19, url: 'http://127.0.0.1:1' },
          rows: { res_users: 2, ir_attachment: 1 },
        });
      }, never);
    const store = new BackupStore({
      requireHost: async () => {},
      ...{ install, dirs, heldForBackup, onKept, proofServer },
      bootCopy: async () => false,
      folder: join(dataDir, 'work'),
      disk: { checkRoom: async () => {} },
      keys: new BackupKeys(install, place.base, join(dataDir, 'backups')),
      restic: resticAt(place),
      tools: new PgTools(install, images.postgres, docker),
    });
    return { instance, proofServer, store };
  }
});
