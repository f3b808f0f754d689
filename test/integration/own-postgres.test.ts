import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { OdooDatabases } from '../../src/databases/databases.ts';
import type { InstanceDirs } from '../../src/files/instance-dir.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { runServer } from '../../src/postgres/scratch-postgres.ts';
import { images } from '../../stack/images.ts';
import { run } from '../../stack/run.ts';
import { withSql } from '../../stack/sql.ts';
import { anInstance, aPlan } from '../support/samples.ts';
import { docker, makeDatabase, tenantDatabases } from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

/** The user "postgres" in the image. */
const POSTGRES = { uid: 999, gid: 999 };

const signal = new AbortController().signal;

describe('an instance with a Postgres of its own, from a prepared data directory', function () {
  this.timeout(600_000);
  const [one, other, third] = [1, 2, 3].map((id) => anInstance({ id, wasReady: false })) as [
    DesiredInstance,
    DesiredInstance,
    DesiredInstance,
  ];
  const plan = aPlan({ modules: [], languages: [one.customer.lang], countryCode: '' });
  const running: Array<{ stop: () => Promise<void> }> = [];
  let postgres: TenantPostgres;
  let databases: OdooDatabases;
  let dirs: InstanceDirs;
  let templates: string;
  let builds = 0;

  const nameOf = ({ id }: DesiredInstance) => databaseName(postgres.install, id);
  const prepareFor = (desired: DesiredInstance) => databases.prepareFor(desired, () => {}, signal);
  const create = (desired: DesiredInstance) => makeDatabase(databases, desired);
  const superuser = async (desired: DesiredInstance) => {
    const { postgresPassword: password } = await dirs.makeSecrets(desired.id);
    return { socketDir: dirs.paths(desired.id).socket, user: 'postgres', password };
  };
  const tenant = async (desired: DesiredInstance) => {
    const { dbPassword: password } = await dirs.makeSecrets(desired.id);
    return { socketDir: dirs.paths(desired.id).socket, user: nameOf(desired), password };
  };
  const refusal = (server: Awaited<ReturnType<typeof tenant>>, database: string) =>
    withSql(server, database, (sql) => sql('SELECT 1')).then(
      () => 'let in',
      (error) => error.code,
    );

  /** Starts it as Compose does with the template's file. */
  async function start(desired: DesiredInstance): Promise<void> {
    const { pgdata, postgresPassword, socket } = dirs.paths(desired.id);
    const server = await runServer(
      { install: postgres.install, docker },
      {
        container: `ms-${postgres.install}-${desired.id}-db`,
        postgres: { image: images.postgres, user: POSTGRES },
        ...{ pgdata, signal, socketDir: socket, passwordFile: postgresPassword },
      },
    );
    running.push(server);
  }

  before(async () => {
    postgres = await startTenantPostgres('own-postgres-test');
    templates = join(postgres.dataDir, 'templates-own');
    const imageId = await run('docker', ['image', 'inspect', '-f', '{{.Id}}', images.postgres]);
    const ofImage = { image: images.postgres, imageId, user: POSTGRES };
    const made = await tenantDatabases(postgres, (usual) => ({
      init: (asked) => {
        builds += 1;
        return usual.init(asked);
      },
      specs: {
        ...usual.specs,
        source: async (code) => ({ ...(await usual.specs.source(code)), postgres: ofImage }),
        of: async (desired) => {
          const spec = await usual.specs.of(desired);
          const odoo = await usual.specs.imageOf(desired);
          const { directory, pgdata } = dirs.paths(desired.id);
          const own = { ...(await superuser(desired)), postgres: ofImage, directory, pgdata };
          await dirs.prepare(desired.id, { odoo: odoo.owner, postgres: POSTGRES, isNew: true });
          return { ...spec, own };
        },
      },
    }));
    ({ databases, dirs } = made);
    await databases.prepare({ ...plan, countryCode: one.customer.countryCode }, signal);
  });

  after(async () => {
    for (const server of running) await server.stop().catch(() => {});
    await postgres?.remove();
  });

  it('is prepared for its plan: a stopped server, and a spare copy for the next customer', async () => {
    expect(builds).to.equal(1);
    const [hash = ''] = (await readdir(templates)).filter((it) => /^[0-9a-f]{16}$/.test(it));
    expect((await readdir(join(templates, hash))).sort()).to.deep.equal(
      ['filestore', 'note.json', 'pgdata', 'spare'].sort(),
    );
    expect(await readdir(join(templates, hash, 'pgdata'))).not.to.include('postmaster.pid');
    expect((await stat(templates)).mode & 0o777).to.equal(0o700);
  });

  it('begins with a complete copy that Postgres owns, also after an interrupted attempt', async () => {
    const { directory, filestore, pgdata } = dirs.paths(one.id);
    await databases.observe(one, 'running'); // creates its directories
    await mkdir(join(directory, 'server_new', 'pgdata'), { recursive: true });
    await writeFile(join(directory, 'server_new', 'pgdata', 'PG_VERSION'), 'half');
    await mkdir(join(filestore, nameOf(one), 'half'), { recursive: true });
    await prepareFor(one);
    expect(await readdir(directory)).not.to.include('server_new');
    expect(await readdir(join(filestore, nameOf(one)))).not.to.include('half');
    const { gid, mode, uid } = await stat(pgdata);
    expect({ uid, gid, mode: mode & 0o777 }).to.deep.equal({ ...POSTGRES, mode: 0o700 });
    expect(await readFile(join(pgdata, 'pg_hba.conf'), 'utf8')).to.match(
      /^local +all +all +reject$/m,
    );
    expect(builds).to.equal(1);
  });

  it('gets its own passwords before its tenant can connect, also after a kill in between', async () => {
    await start(one);
    const template = await readFile(join(templates, 'postgres-password'), 'utf8');
    const asTemplate = { ...(await superuser(one)), password: template };
    // It still has the template's password: to the sidecar that is a server to be started.
    while ((await refusal(asTemplate, 'postgres')) !== 'let in')
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await databases.observe(one, 'running')).to.equal('offline');
    await databases.awaitServer(one, signal);
    expect(await databases.observe(one, 'running')).to.equal('absent');
    expect(await refusal(asTemplate, 'postgres')).to.equal('28P01');
  });

  it('belongs to its tenant, who can enter no other database', async () => {
    await create(one);
    expect(await databases.observe(one, 'running')).to.equal('ready');
    const login = await tenant(one);
    expect(await refusal(login, nameOf(one))).to.equal('let in');
    for (const database of ['microsaas_admin', 'microsaas_empty', 'template1'])
      expect([database, await refusal(login, database)]).to.deep.equal([database, '28000']);
    const [role] = await withSql(login, nameOf(one), (sql) =>
      sql('SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user'),
    );
    expect(role).to.deep.equal({ rolsuper: false, rolcreaterole: false, rolcreatedb: false });
    expect(builds).to.equal(1);
  });

  it('shares no secret with the next one, which needs no spare copy', async () => {
    await prepareFor(other); // the spare was taken, and not replaced yet
    await start(other);
    await databases.awaitServer(other, signal);
    await create(other);
    const uuids = await Promise.all(
      [one, other].map(async (desired) => {
        const [row] = await withSql(await tenant(desired), nameOf(desired), (sql) =>
          sql(`SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'`),
        );
        return row?.['value'];
      }),
    );
    expect(new Set(uuids).size).to.equal(2);
    expect(
      await refusal({ ...(await superuser(one)), ...(await passwordOf(other)) }, 'postgres'),
    ).to.equal('28P01');
  });

  const passwordOf = async (desired: DesiredInstance) => {
    const { password } = await superuser(desired);
    return { password };
  };

  it('completes an interrupted creation of its database', async () => {
    await databases.restock();
    await prepareFor(third);
    await start(third);
    await databases.awaitServer(third, signal);
    await databases.clone(third, () => {}, signal); // and is killed then
    expect(await databases.observe(third, 'running')).to.equal('absent');
    await create(third);
    expect(await databases.observe(third, 'running')).to.equal('ready');
  });

  it('never replaces an existing data directory, nor a lost one', async () => {
    const before = await stat(dirs.paths(one.id).pgdata);
    await prepareFor(one);
    expect((await stat(dirs.paths(one.id).pgdata)).ino).to.equal(before.ino);
    const lost = anInstance({ id: 4, wasReady: true });
    await databases.observe(lost, 'running');
    await prepareFor(lost);
    expect(await readdir(dirs.paths(lost.id).pgdata)).to.deep.equal([]);
  });

  it('removes the leftovers of killed builds and removals', async () => {
    const half = join(templates, '0123456789abcdef_new');
    await mkdir(join(half, 'pgdata'), { recursive: true });
    await databases.trim([]);
    expect(await readdir(templates)).not.to.include('0123456789abcdef_new');
    expect((await readdir(templates)).filter((it) => /^[0-9a-f]{16}$/.test(it))).to.have.lengthOf(
      1,
    );
  });
});
