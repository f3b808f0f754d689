import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupKeys } from '../../src/backups/backup-keys.ts';
import { BackupStore } from '../../src/backups/backup-store.ts';
import { DockerApi } from '../../src/docker/docker-api.ts';
import { Images } from '../../src/docker/images.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { PgTools } from '../../src/postgres/pg-tools.ts';
import { ProofServer } from '../../src/postgres/proof-server.ts';
import { Restic } from '../../src/restic/restic.ts';
import { images } from '../../stack/images.ts';
import { withSql } from '../../stack/sql.ts';
import { anInstance } from '../support/samples.ts';
import {
  docker,
  makeDatabase,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

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

  const filestore = () =>
    join(sidecar.dirs.paths(instance.id).filestore, databaseName(postgres.install, instance.id));
  const asTenant = async (text: string) => {
    const { dbPassword: password } = await sidecar.dirs.secrets(instance.id);
    const name = databaseName(postgres.install, instance.id);
    return withSql({ ...postgres.server, user: name, password }, name, (sql) => sql(text));
  };
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => error.reason ?? error,
    );
  /** Takes one more. @returns its id */
  const take = async (of: DesiredInstance = instance) => {
    await store.take(of, never);
    return (await store.list(of, never)).at(-1)?.snapshot ?? '';
  };

  before(async () => {
    postgres = await startTenantPostgres('backups-test');
    sidecar = await tenantDatabases(postgres);
    await makeDatabase(sidecar.databases, { ...instance, wasReady: false });
    base = join(postgres.dataDir, 'backups', 'repositories');
    const { install } = postgres;
    const place = { base, environmentFile: '', sshFolder: '' };
    keys = new BackupKeys(install, base, join(postgres.dataDir, 'backups'));
    proofServer = new ProofServer({
      ...{
        install,
        docker,
        image: images.postgres,
        folder: join(postgres.dataDir, 'backups', 'proof'),
      },
      user: () =>
        new Images(install, new DockerApi('/var/run/docker.sock'), docker).user(images.postgres, 'postgres'),
    });
    store = new BackupStore({
      ...{ install, keys, proofServer },
      folder: join(postgres.dataDir, 'backups', 'work'),
      dirs: sidecar.dirs,
      disk: { checkRoom: async () => {} },
      restic: new Restic(install, images.base, docker, place),
      tools: new PgTools(install, images.postgres, docker),
      heldForBackup: (desired, work) => sidecar.databases.heldForBackup(desired, work),
    });
  });
  after(async () => {
    await proofServer?.close();
    await postgres?.remove();
  });

  it('holds database, files and secrets, and is proven by restoring it', async () => {
    const snapshot = await take();
    await store.prove(instance, snapshot, never);
    const [backup] = await store.list(instance, never);
    expect(backup).to.include({ snapshot, proof: 'data', reason: '' });
    expect(backup?.bytes).to.be.above(1_000_000);
  });
});
