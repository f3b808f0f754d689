import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Client } from 'pg';
import type { OdooDatabases, OdooDatabasesOptions } from '../../src/databases/databases.ts';
import { TerminalError } from '../../src/errors.ts';
import type { InstanceDirs } from '../../src/files/instance-dir.ts';
import { databaseName, templatePrefix } from '../../src/instance/name.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { Cluster } from '../../src/postgres/cluster.ts';
import { quoted, withSql } from '../../stack/sql.ts';
import { contentOf, differing } from '../support/database-content.ts';
import { anInstance, aPlan, identityOf } from '../support/samples.ts';
import { makeDatabase, tenantDatabases } from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

/** Everything in which two clones of one template may differ, and must. */
const OWN = [
  'discuss_channel.uuid',
  'ir_config_parameter[database.create_date]',
  'ir_config_parameter[database.secret]',
  'ir_config_parameter[database.uuid]',
  'ir_config_parameter[web.base.url]',
  'ir_cron.nextcall',
  'res_company.email',
  'res_company.name',
  'res_partner.commercial_company_name',
  'res_partner.complete_name',
  'res_partner.country_id',
  'res_partner.email',
  'res_partner.email_normalized',
  'res_partner.name',
  'res_users.login',
  'res_users.password',
  'res_users.signature',
];

/** SQLSTATEs of a refusal: no right, no login, no visible schema. */
const REFUSED = ['42501', '28000', '3F000'];

const CUSTOMERS = [
  {
    name: 'Ana Ñandú',
    companyName: 'Panadería Ñandú',
    email: 'ana@example.com',
    lang: 'en_US',
    countryCode: 'ES',
  },
  {
    name: 'Bob',
    companyName: `O'Brien "& Sons"`,
    email: 'bob@example.com',
    lang: 'en_US',
    countryCode: 'IE',
  },
];

describe('the customers’ databases on a real Postgres', function () {
  this.timeout(600_000);
  const [one, other, third] = [...CUSTOMERS, CUSTOMERS[0]].map((customer, index) =>
    anInstance({ id: index + 1, ...(customer ? { customer } : {}) }),
  ) as [DesiredInstance, DesiredInstance, DesiredInstance];
  const plan = aPlan({ modules: [], languages: [one.customer.lang] });
  let postgres: TenantPostgres;
  let databases: OdooDatabases;
  let dirs: InstanceDirs;
  let inits = 0;
  let currentImageId: string;
  let spare: unknown;
  let spareFiles: number;

  const nameOf = ({ id }: DesiredInstance) => databaseName(postgres.install, id);
  const inClone = <T>(desired: DesiredInstance, query: string, values?: unknown[]) =>
    withSql(postgres.server, nameOf(desired), (sql) => sql(query, values)) as Promise<T[]>;
  const templates = () =>
    withSql(postgres.server, 'postgres', (sql) =>
      sql('SELECT datname FROM pg_database WHERE starts_with(datname, $1) ORDER BY datname', [
        templatePrefix(postgres.install),
      ]),
    );
  /** The oid of a database, whatever its name; `undefined` where there is none. */
  const oidOf = async (like: string) =>
    withSql(postgres.server, 'postgres', async (sql) => {
      const [row] = await sql('SELECT oid FROM pg_database WHERE datname ~ $1', [like]);
      return row?.['oid'];
    });
  const inodeOfSpareFiles = async () => {
    const folder = join(postgres.dataDir, 'templates');
    const found = (await readdir(folder, { recursive: true })).find((it) => it.endsWith('_spare'));
    return (await stat(join(folder, found ?? 'no spare'))).ino;
  };
  const create = (desired: DesiredInstance) => makeDatabase(databases, desired);

  before(async () => {
    postgres = await startTenantPostgres('databases-test');
    const change = (usual: OdooDatabasesOptions): Partial<OdooDatabasesOptions> => ({
      init: (asked) => {
        inits += 1;
        return usual.init(asked);
      },
      specs: { ...usual.specs, currentImageId: async () => currentImageId },
    });
    const sidecar = await tenantDatabases(postgres, change, true);
    ({ databases, dirs, imageId: currentImageId } = sidecar);
    // One is cloned at the sale, the other gets a spare: everything below must hold for both.
    await Promise.all([one, third].map(create));
    await databases.prepare(plan, new AbortController().signal);
    spare = await oidOf('_spare$');
    spareFiles = await inodeOfSpareFiles();
    await create(other);
  });
  after(() => postgres?.remove());

  const commentOn = async (database: string) =>
    withSql(postgres.server, 'postgres', async (sql) => {
      const query = `SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = $1`;
      const [row] = await sql(query, [database]);
      return row?.['comment'];
    });

  it('marks each database with its instance’s identity, also one that was a spare clone', async () => {
    for (const desired of [one, other, third]) {
      const mark = { install: postgres.install, identity: desired.identity };
      expect(JSON.parse(String(await commentOn(nameOf(desired))))).to.deep.equal(mark);
      expect(await databases.observe(desired, 'running')).to.equal('ready');
    }
    expect(await databases.numbers()).to.have.members([one.id, other.id, third.id]);
  });

  it('recognises a foreign database by its mark, and does not drop it', async () => {
    const newcomer = { ...one, identity: identityOf(one.id, 1) };
    expect(await databases.observe(newcomer, 'running')).to.equal('foreign');
    const error = await databases.drop(newcomer).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(TerminalError).with.property('reason', 'ForeignData');
    await databases.adopt(newcomer);
    expect(await databases.observe(one, 'running')).to.equal('ready');
  });

  it('adopts only a database without a mark', async () => {
    await withSql(postgres.server, 'postgres', (sql) =>
      sql(`COMMENT ON DATABASE ${quoted(nameOf(one))} IS NULL`),
    );
    expect(await databases.observe(one, 'running')).to.equal('unmarked');
    expect(await databases.drop(one).catch((thrown: unknown) => thrown)).to.be.instanceOf(
      TerminalError,
    );
    await databases.adopt(one);
    expect(await databases.observe(one, 'running')).to.equal('ready');
  });

  it('builds a template once for concurrent sales', async () => {
    expect(inits).to.equal(1);
    expect(await templates()).to.have.length(1);
  });

  it('gives the spare clone to the next customer, and to no other', async () => {
    expect(spare).to.be.a('number');
    expect(await oidOf(`^${nameOf(other)}$`)).to.equal(spare);
    expect(await oidOf('_spare$')).to.equal(undefined);
    const { ino } = await stat(join(dirs.paths(other.id).filestore, nameOf(other)));
    expect(ino, 'the folder of the spare files').to.equal(spareFiles);
  });

  it('refills the pool afterwards; of two customers one gets the spare clone, and both a database', async () => {
    await databases.restock();
    const ready = await oidOf('_spare$');
    const [fourth, fifth] = [4, 5].map((id) => anInstance({ id, customer: one.customer })) as [
      DesiredInstance,
      DesiredInstance,
    ];
    await Promise.all([fourth, fifth].map(create));
    const oids = await Promise.all([fourth, fifth].map((it) => oidOf(`^${nameOf(it)}$`)));
    expect(oids.filter((oid) => oid === ready)).to.have.length(1);
    await databases.restock();
    expect(await oidOf('_spare$'))
      .to.be.a('number')
      .that.is.not.oneOf(oids);
  });

  it('makes two clones differ in everything that must not be shared, and in nothing else', async () => {
    const mine = await contentOf(postgres, one);
    const cells = differing(mine, await contentOf(postgres, other));
    const kinds = [...new Set(cells.map((cell) => cell.replace(/#\d+/, '')))].sort();
    // Clones made within one second have the same creation date.
    const optional = 'ir_config_parameter[database.create_date]';
    expect(kinds.filter((kind) => kind !== optional)).to.deep.equal(
      OWN.filter((kind) => kind !== optional),
    );
    const crons = [...mine.keys()].filter((cell) => cell.startsWith('ir_cron.nextcall'));
    expect(crons).not.to.be.empty;
    expect(cells, 'no job of two clones runs at the same time').to.include.members(crons);
  });

  it('says in all that Odoo derives from a name whose it is: the signature, the company’s names, the normalized address', async () => {
    const rows = await inClone(
      other,
      `SELECT p.is_company, p.commercial_company_name, p.email_normalized, u.signature
         FROM res_partner p LEFT JOIN res_users u ON u.partner_id = p.id WHERE p.email = $1 ORDER BY 1`,
      [other.customer.email],
    );
    const email_normalized = 'bob@example.com';
    expect(rows).to.deep.equal([
      {
        ...{ is_company: false, commercial_company_name: null },
        ...{ email_normalized, signature: '<div>Bob</div>' },
      },
      {
        ...{ is_company: true, commercial_company_name: `O'Brien "& Sons"` },
        ...{ email_normalized, signature: null },
      },
    ]);
  });

  it('leaves nothing of the template’s name in a clone', async () => {
    for (const clone of [one, other, third]) {
      const content = await contentOf(postgres, clone);
      const named = [...content].filter(([, value]) =>
        value.includes(templatePrefix(postgres.install)),
      );
      expect(named).to.deep.equal([]);
    }
  });

  it('sets report.url to where Odoo listens, so that PDFs have styles', async () => {
    const rows = await inClone(
      one,
      "SELECT value FROM ir_config_parameter WHERE key = 'report.url'",
    );
    expect(rows).to.deep.equal([{ value: 'http://127.0.0.1:8069' }]);
  });

  it('reads the administrator’s login, and makes an invitation link to the configured address', async () => {
    expect(await databases.adminLogin(one)).to.equal(one.customer.email);
    const { isFirst, link } = await databases.invitation(one);
    expect(link).to.match(/^http:\/\/127\.0\.0\.1:1\/web\/reset_password\?token=[\w-]+$/);
    expect(isFirst, 'nobody has logged in').to.equal(true);
  });

  it('updates the configured address, and leaves one that an administrator set', async () => {
    const urlOf = async () => {
      const query = "SELECT value FROM ir_config_parameter WHERE key = 'web.base.url'";
      return (await inClone<{ value: string }>(other, query))[0]?.value;
    };
    const given = 'http://127.0.0.1:2';
    const before = { ...other, instanceUrl: 'http://127.0.0.1:1002' };
    for (const [stored, reported, after] of [
      [before.instanceUrl, before, given],
      ['https://www.example.com', before, 'https://www.example.com'],
      ['https://www.example.com', { ...other, instanceUrl: given }, 'https://www.example.com'],
      [given, { ...other, instanceUrl: '' }, given],
    ] as const) {
      await inClone(other, "UPDATE ir_config_parameter SET value = $1 WHERE key = 'web.base.url'", [
        stored,
      ]);
      await databases.setUrl(reported);
      expect(await urlOf(), `${stored} ${reported.instanceUrl}`).to.equal(after);
    }
    await inClone(other, "UPDATE ir_config_parameter SET value = $1 WHERE key = 'web.base.url'", [
      given,
    ]);
  });

  it('does not touch an existing database or its role', async () => {
    const error = await create(one).catch((thrown: unknown) => thrown);
    expect(String(error)).to.match(/exists already/);
    expect(await asTenant(one, nameOf(one), 'SELECT 1 AS one')).to.deep.equal([{ one: 1 }]);
  });

  it('takes ownership of a database that its tenant owned, and raises its role’s connection limit', async () => {
    const name = quoted(nameOf(other));
    await withSql(postgres.server, 'template1', async (sql) => {
      await sql(`ALTER DATABASE ${name} OWNER TO ${name}`);
      await sql(`ALTER ROLE ${name} CONNECTION LIMIT 20`);
    });
    await databases.setUrl(other);
    expect(await databases.observe(other, 'running'), 'it keeps its mark').to.equal('ready');
    const limits = await withSql(postgres.server, 'template1', (sql) =>
      sql('SELECT DISTINCT rolconnlimit AS limit FROM pg_roles WHERE rolname = ANY ($1)', [
        [nameOf(one), nameOf(other)],
      ]),
    );
    expect(limits).to.deep.equal([{ limit: 56 }]);
    const [database] = await inClone(
      other,
      'SELECT pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = current_database()',
    );
    expect(database).to.deep.equal({ owner: postgres.server.user });
    expect(await asTenant(other, nameOf(other), 'SELECT 1 AS one')).to.deep.equal([{ one: 1 }]);
  });

  it('admits only the customer’s own login, and schedules no cron at once', async () => {
    for (const clone of [one, other]) {
      const users = await inClone(
        clone,
        "SELECT login FROM res_users WHERE active AND password <> ''",
      );
      expect(users).to.deep.equal([{ login: clone.customer.email }]);
      const open = await inClone(
        clone,
        "SELECT 1 FROM ir_config_parameter WHERE key = 'auth_signup.invitation_scope' AND value <> 'b2b'",
      );
      expect(open, 'accounts for strangers').to.deep.equal([]);
      for (const table of ['res_users_apikeys', 'auth_totp_device', 'ir_cron_trigger'])
        expect(await inClone(clone, `SELECT id FROM ${table}`), table).to.deep.equal([]);
      const [soonest] = await inClone<{ minutes: number }>(
        clone,
        `SELECT extract(epoch FROM min(nextcall) - now() AT TIME ZONE 'UTC')::int / 60 AS minutes FROM ir_cron`,
      );
      expect(soonest?.minutes).to.be.within(8, 60);
    }
  });

  it('has the compiled assets of the first pages, in a filestore of its own', async () => {
    const files = await inClone<{ name: string; store_fname: string }>(
      one,
      `SELECT name, store_fname FROM ir_attachment WHERE url LIKE '/web/assets/%' AND file_size > 0`,
    );
    expect(files.map(({ name }) => name)).to.include.members([
      'web.assets_frontend.min.css',
      'web.assets_frontend_lazy.min.js',
      'web.assets_web.min.css',
      'web.assets_web.min.js',
    ]);
    for (const { store_fname } of files)
      expect(existsSync(join(dirs.paths(one.id).filestore, nameOf(one), store_fname))).to.equal(
        true,
      );
  });

  for (const [how, clone] of [
    ['the cloned database', one],
    ['a clone that was ready', other],
  ] as const)
    it(`makes each customer the owner of everything in ${how}`, async () => {
      const owners = await inClone<{ owner: string }>(
        clone,
        `SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class
       WHERE relnamespace = 'public'::regnamespace`,
      );
      expect(owners).to.deep.equal([{ owner: nameOf(clone) }]);
      const [database] = await inClone(
        clone,
        `SELECT pg_get_userbyid(datdba) AS owner, has_database_privilege('public', oid, 'CONNECT') AS open
       FROM pg_database WHERE datname = current_database()`,
      );
      expect(database, 'not of the database itself').to.deep.equal({
        owner: postgres.server.user,
        open: false,
      });
    });

  for (const [what, database] of [
    ['another’s database', () => nameOf(other)],
    ['a template database', async () => String((await templates())[0]?.['datname'])],
    ['a clone that waits for a customer', async () => String((await templates())[1]?.['datname'])],
    ['Postgres’ own template', () => 'template1'],
    ['the administrator’s own', () => 'microsaas_admin'],
  ] as const)
    it(`lets no customer into ${what}`, async () => {
      const error = await asTenant(one, await database(), 'SELECT 1').catch(
        (thrown: unknown) => thrown,
      );
      expect(error).to.have.property('code', '28000');
    });

  it('lets a customer into their own database, and do nothing in the shared one', async () => {
    for (const customer of [one, other])
      expect(await asTenant(customer, nameOf(customer), 'SELECT 1 AS one')).to.deep.equal([
        { one: 1 },
      ]);
    for (const attempt of [
      'CREATE TABLE notes (text text)',
      'CREATE TEMPORARY TABLE notes (text text)',
      'CREATE ROLE friend',
      'CREATE DATABASE mine',
      `SELECT pg_read_file('/etc/passwd')`,
      `COPY (SELECT 1) TO PROGRAM 'true'`,
      `ALTER ROLE ${quoted(nameOf(other))} PASSWORD 'x'`,
      `DROP DATABASE ${quoted(nameOf(one))}`,
      `ALTER DATABASE ${quoted(nameOf(one))} RENAME TO mine`,
      `ALTER DATABASE ${quoted(nameOf(one))} SET search_path TO mine`,
      `COMMENT ON DATABASE ${quoted(nameOf(one))} IS 'mine'`,
      'SELECT lo_create(0)',
      `SELECT lo_from_bytea(0, 'x')`,
      'SET temp_file_limit = -1',
    ]) {
      const error = await asTenant(one, 'postgres', attempt).catch((thrown: unknown) => thrown);
      expect(error, attempt).to.have.property('code').that.is.oneOf(REFUSED);
    }
  });

  it('survives the loss of its connection between two queries', async () => {
    const cluster = new Cluster(postgres.server, { keepConnections: true });
    const lost = await cluster
      .administer(async (client) => {
        const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
        const isOver = new Promise((resolve) => (client as Client).once('end', resolve));
        await withSql(postgres.server, 'template1', (sql) =>
          sql('SELECT pg_terminate_backend($1)', [rows[0].pid]),
        );
        await isOver;
        return client.query('SELECT 1');
      })
      .catch((error: unknown) => error);
    expect(lost).to.have.property('reason', 'PostgresUnavailable');
    expect(await cluster.has('postgres'), 'with the next connection').to.equal(true);
  });

  it('waits for requests that an Odoo is answering, not for later ones', async () => {
    const inOne = <T>(work: Parameters<typeof withSql<T>>[2]) =>
      withSql(postgres.server, nameOf(one), work);
    await inOne(async (early) => {
      await early('BEGIN');
      const began = Date.now();
      let isOver = false;
      const waiting = databases.awaitRequests(one, new AbortController().signal).then(() => {
        isOver = true;
      });
      await inOne(async (late) => {
        await sleep(300);
        await late('BEGIN');
        expect(isOver).to.equal(false);
        await early('COMMIT');
        await waiting;
      });
      expect(Date.now() - began, 'within its time limit').to.be.below(1_900);
    });
  });

  it('gives out no sequence number twice after a crash of the server', async () => {
    const next = () =>
      inClone<{ n: string }>(one, `SELECT nextval('res_partner_id_seq') AS n`).then((rows) =>
        Number(rows[0]?.n),
      );
    const before = await next();
    await postgres.crash();
    expect(await next()).to.be.greaterThan(before);
  });

  it('keeps a template that a plan needs, and drops it when its image was replaced', async () => {
    expect(await databases.trim([plan])).to.deep.equal([]);
    expect(await databases.trim([])).to.deep.equal([]);
    currentImageId = 'sha256:another';
    expect(await databases.trim([])).to.have.length(1);
    expect(await templates()).to.deep.equal([]);
    expect(await inClone(one, 'SELECT 1 AS one'), 'its clones').to.deep.equal([{ one: 1 }]);
  });

  async function asTenant(desired: DesiredInstance, database: string, query: string) {
    const { dbPassword } = await dirs.makeSecrets(desired.id);
    const server = { ...postgres.server, user: nameOf(desired), password: dbPassword };
    return withSql(server, database, (sql) => sql(query));
  }
});
