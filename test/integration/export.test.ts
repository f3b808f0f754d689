import { chown, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { BackupStore } from '../../src/backups/backup-store.ts';
import { Exporter } from '../../src/backups/export.ts';
import { hardenedRun } from '../../src/docker/helpers.ts';
import type { Images } from '../../src/docker/images.ts';
import { makeDirectory, type UnixUser } from '../../src/host/files.ts';
import { databaseName } from '../../src/instance/name.ts';
import { runServer } from '../../src/postgres/scratch-postgres.ts';
import { images } from '../../stack/images.ts';
import { withSql } from '../../stack/sql.ts';
import { until } from '../../stack/until.ts';
import { backupStore } from '../support/backup-store.ts';
import { anInstance } from '../support/samples.ts';
import {
  docker,
  makeDatabase,
  sqlAsTenant,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';
import { filesInZip } from '../support/zip-reader.ts';

describe('an export, loaded into a fresh Odoo', function () {
  this.timeout(600_000);
  const customer = { ...anInstance().customer, lang: 'en_US', countryCode: '' };
  const instance = anInstance({ id: 1, customer, modules: [], wasReady: true });
  const never = new AbortController().signal;
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;
  let store: BackupStore;
  let exporter: Exporter;
  let here: Images;
  let stopFresh = async () => {};

  const asTenant = (text: string) => sqlAsTenant(postgres, sidecar, instance.id, text);

  before(async () => {
    postgres = await startTenantPostgres('export-test');
    sidecar = await tenantDatabases(postgres);
    await makeDatabase(sidecar.databases, { ...instance, wasReady: false });
    const parts = backupStore(postgres, sidecar);
    ({ here, store } = parts);
    const { disk, tools } = parts;
    exporter = new Exporter({ store, disk, tools });
  });
  after(async () => {
    await stopFresh();
    await postgres?.remove();
  });

  /** A Postgres as somebody else would have it, with a role that may make databases and is no superuser. @returns its socket's folder */
  async function freshPostgres(): Promise<string> {
    const user = await here.user(images.postgres, 'postgres');
    const folder = join(postgres.dataDir, 'fresh');
    const [pgdata, socketDir] = [join(folder, 'pgdata'), join(folder, 'run')];
    const passwordFile = join(folder, 'password');
    await mkdir(folder);
    await makeDirectory(pgdata, 0o700, user);
    await makeDirectory(socketDir, 0o755, user);
    await writeFile(passwordFile, 'fresh', { mode: 0o600 });
    await chown(passwordFile, user.uid, user.gid);
    const { stop } = await runServer(
      { install: postgres.install, docker },
      {
        ...{
          container: `ms-${postgres.install}-fresh`,
          postgres: { image: images.postgres, user },
        },
        ...{ pgdata, socketDir, passwordFile, signal: never },
      },
    );
    stopFresh = stop;
    const server = { socketDir, user: 'postgres', password: 'fresh' };
    const answers = () =>
      withSql(server, 'postgres', (sql) => sql('SELECT 1')).then(
        () => true,
        () => false,
      );
    expect(await until(answers, 60, 200)).to.equal(true);
    await withSql(server, 'postgres', (sql) =>
      sql(`CREATE ROLE odoo LOGIN CREATEDB PASSWORD 'fresh'`),
    );
    return socketDir;
  }

  /** Runs `odoo db load` in a container of Odoo's image; psql stops at the first error, which Odoo alone would not notice. */
  async function load(zip: string, socketDir: string, files: string, owner: UnixUser) {
    const psqlrc = join(postgres.dataDir, 'psqlrc');
    await writeFile(psqlrc, '\\set ON_ERROR_STOP on\n');
    const database = ['--db_host=/run/postgresql', '--db_user=odoo', '--db_password=fresh'];
    await docker(
      hardenedRun({
        ...{ install: postgres.install, kind: 'odoo-init', image: images.odoo, network: 'none' },
        ...{ pids: 256, memory: '3g', entrypoint: 'odoo' },
        options: [
          ...['--tmpfs=/tmp', '--env=PSQLRC=/psqlrc', `--volume=${psqlrc}:/psqlrc:ro`],
          `--user=${owner.uid}:${owner.gid}`,
          ...[`--volume=${files}:/var/lib/odoo`, `--volume=${socketDir}:/run/postgresql:ro`],
          `--volume=${zip}:/export.zip:ro`,
        ],
        args: ['db', '--data-dir=/var/lib/odoo', ...database, 'load', 'loaded', '/export.zip'],
      }),
      { timeoutMs: 240_000 },
    );
  }

  it('has the customer’s data and files, and nothing of the host', async () => {
    const name = databaseName(postgres.install, instance.id);
    const filestore = join(sidecar.dirs.paths(instance.id).filestore, name);
    await asTenant(`UPDATE public.res_company SET name = 'Áçme & Søns' WHERE id = 1;
      UPDATE public.res_partner SET comment = E'\\\\! touch /tmp/here\\n\\\\restrict x\\nSET transaction_timeout = 0;\\n' WHERE id = 1;
      CREATE FUNCTION public.later() RETURNS text LANGUAGE sql AS $$
SELECT '
\\! touch /tmp/here
\\unrestrict x
SET transaction_timeout = 0;
' $$`);
    const [folder = ''] = (await readdir(filestore)).filter((one) => /^[0-9a-f]{2}$/.test(one));
    const [file = ''] = await readdir(join(filestore, folder));
    const content = await readFile(join(filestore, folder, file));
    await symlink('/etc/shadow', join(filestore, folder, folder.padEnd(40, '0')));
    await store.take(instance, { isByHand: true }, never);
    const [backup] = await store.list(instance, never);
    if (!backup) return expect.fail('no backup');

    const zip = join(postgres.dataDir, 'acme.zip');
    const said: string[] = [];
    await exporter.write(
      instance,
      backup,
      { file: zip, isForced: false },
      (step) => void said.push(step),
      never,
    );
    expect(said).to.have.length(3);
    const files = filesInZip(await readFile(zip));
    expect(String(files.get(`filestore/${folder}/${file}`))).to.equal(String(content));
    expect(files.has(`filestore/${folder}/${folder.padEnd(40, '0')}`)).to.equal(false);
    const dump = String(files.get('dump.sql'));
    expect(dump.match(/^\\(un)?restrict \w{20,}$|^SET transaction_timeout/gm)).to.deep.equal([
      'SET transaction_timeout',
    ]);
    expect(dump).not.to.match(/^(GRANT|ALTER .* OWNER)/m);
    const manifest = JSON.parse(String(files.get('manifest.json')));
    expect(manifest).to.include({ odoo_dump: '1', db_name: name, major_version: '19.0' });
    expect(manifest.modules)
      .to.have.property('base')
      .that.matches(/^19\.0\./);
    const left = await readdir(join(postgres.dataDir, 'backups'));
    expect(left).not.to.include('proof');
    expect(await readdir(join(postgres.dataDir, 'backups', 'work'))).to.deep.equal([]);

    const owner = await here.user(images.odoo);
    const loaded = join(postgres.dataDir, 'loaded');
    await makeDirectory(loaded, 0o700, owner);
    await chown(zip, owner.uid, owner.gid);
    const socketDir = await freshPostgres();
    await load(zip, socketDir, loaded, owner);
    const fresh = { socketDir, user: 'odoo', password: 'fresh' };
    const [row] = await withSql(fresh, 'loaded', (sql) =>
      sql(`SELECT c.name, p.comment, public.later() AS text
             FROM public.res_company c, public.res_partner p WHERE c.id = 1 AND p.id = 1`),
    );
    const lines = '\\! touch /tmp/here\n';
    expect(row).to.deep.equal({
      name: 'Áçme & Søns',
      comment: `${lines}\\restrict x\nSET transaction_timeout = 0;\n`,
      text: `\n${lines}\\unrestrict x\nSET transaction_timeout = 0;\n`,
    });
    const there = join(loaded, 'filestore', 'loaded', folder, file);
    expect((await readFile(there)).equals(content)).to.equal(true);
    await rm(zip);
  });
});
