import { chmod, chown, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { BackupStore } from '../../src/backups/backup-store.ts';
import { StagingCopies } from '../../src/backups/copies.ts';
import { type NeutraliseHost, neutralise } from '../../src/databases/neutralise.ts';
import { odooOnce } from '../../src/docker/odoo-once.ts';
import { accessTo } from '../../src/docker/postgres-access.ts';
import type { UnixUser } from '../../src/host/files.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { ProgressReason } from '../../src/instance/reasons.ts';
import { PgTools } from '../../src/postgres/pg-tools.ts';
import type { ProofServer } from '../../src/postgres/proof-server.ts';
import { type Checkout, mountsOf } from '../../src/repositories/checkout-layout.ts';
import { images } from '../../stack/images.ts';
import { type Sql, withSql } from '../../stack/sql.ts';
import { backupStore } from '../support/backup-store.ts';
import { anInstance } from '../support/samples.ts';
import {
  docker,
  makeDatabase,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

/** What of the original must not be found in a copy, each where Odoo or a module keeps such a thing. */
const SECRETS = {
  smtp: 'SECRET-smtp-password',
  gmail: 'SECRET-gmail-refresh',
  totp: 'SECRET-totp',
  oauth: 'SECRET-oauth-token',
  parameter: 'SECRET-client-of-google',
  apiKey: 'SECRET-hash-of-an-api-key',
  custom: 'SECRET-of-a-module-nobody-knows',
  required: 'SECRET-that-is-required',
  company: 'SECRET-of-each-company',
  ldap: 'SECRET-ldap',
};

const SEED = `
  INSERT INTO public.ir_mail_server (name, smtp_host, smtp_port, smtp_encryption, smtp_authentication, smtp_pass, active, google_gmail_refresh_token)
    VALUES ('theirs', 'smtp.example.com', 587, 'starttls', 'login', '${SECRETS.smtp}', true, '${SECRETS.gmail}');
  UPDATE public.res_users SET totp_secret = '${SECRETS.totp}' WHERE login <> '__system__';
  ALTER TABLE public.res_users ADD COLUMN oauth_access_token varchar;
  UPDATE public.res_users SET oauth_access_token = '${SECRETS.oauth}';
  INSERT INTO public.ir_config_parameter (key, value) VALUES ('google_calendar_client_secret', '${SECRETS.parameter}');
  INSERT INTO public.res_users_apikeys (name, user_id, scope, index, key)
    SELECT 'theirs', id, 'rpc', '12345678', '${SECRETS.apiKey}' FROM public.res_users WHERE login <> '__system__' LIMIT 1;
  CREATE TABLE public.custom_gateway (id serial PRIMARY KEY, name varchar, "gateway-secret" text, api_key varchar,
    access_token varchar NOT NULL, portal_token jsonb, token_expiry timestamp, is_secret boolean, passenger varchar);
  INSERT INTO public.custom_gateway (name, "gateway-secret", api_key, access_token, portal_token, token_expiry, is_secret, passenger)
    VALUES ('kept', '${SECRETS.custom}', '${SECRETS.custom}', '${SECRETS.required}', '{"1": "${SECRETS.company}"}', now(), true, 'kept too');
  CREATE TABLE public.res_company_ldap (id serial PRIMARY KEY, ldap_password varchar);
  INSERT INTO public.res_company_ldap (ldap_password) VALUES ('${SECRETS.ldap}');
  INSERT INTO public.mail_mail (state, email_to, body_html, mail_message_id)
    SELECT 'outgoing', 'customer@example.com', 'an invoice', min(id) FROM public.mail_message;
  UPDATE public.ir_cron SET active = true`;

describe('a staging copy, with a real Postgres, restic and Odoo', function () {
  this.timeout(900_000);
  const customer = { ...anInstance().customer, lang: 'en_US', countryCode: '' };
  const modules = ['auth_totp', 'google_gmail', 'mail'];
  const original = anInstance({ id: 1, customer, modules, wasReady: true });
  const never = new AbortController().signal;
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;
  let store: BackupStore;
  let copies: StagingCopies;
  let proofServer: ProofServer;
  let snapshot: string;
  let owner: UnixUser;
  /** Where modules beside the image's come from. */
  let checkouts: Checkout[] = [];
  /** Runs before the copy's database is neutralised. */
  let beforeNeutralising: () => Promise<void> = async () => {};

  const copyOf = () => ({ id: 1, identity: original.identity, snapshot });
  const copy = (id = 2) => anInstance({ id, customer, wasReady: false, copyOf: copyOf() });
  const nameOf = (id: number) => databaseName(postgres.install, id);
  const confOf = (id: number) => join(postgres.dataDir, `odoo-${id}.conf`);
  const asTenant = async <T>(id: number, work: (sql: Sql) => Promise<T>): Promise<T> => {
    const { dbPassword: password } = await sidecar.dirs.secrets(id);
    return withSql({ ...postgres.server, user: nameOf(id), password }, nameOf(id), work);
  };
  const databases = () =>
    withSql(postgres.server, 'postgres', async (sql) =>
      (await sql(`SELECT datname FROM pg_database ORDER BY 1`)).map((row) =>
        String(row['datname']),
      ),
    );
  const make = async (id = 2) => {
    const { dbPassword } = await sidecar.dirs.makeSecrets(id);
    const lines = ['[options]', 'db_host = /run/postgresql', `db_user = ${nameOf(id)}`];
    const folders = mountsOf(checkouts).flatMap(({ addonsFolders }) => addonsFolders);
    const places = folders.length > 0 ? [`addons_path = ${folders.join(',')}`] : [];
    const more = [`db_password = ${dbPassword}`, `db_name = ${nameOf(id)}`, ...places, ''];
    await writeFile(confOf(id), [...lines, ...more].join('\n'), { mode: 0o600 });
    await chown(confOf(id), owner.uid, owner.gid);
    const said: ProgressReason[] = [];
    await copies.make(copy(id), copyOf(), (reason) => void said.push(reason), never);
    return said;
  };
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => `${error.reason ?? error}: ${error.detail ?? ''}`,
    );
  /** Runs Odoo's own command line on a copy's database, without a network. */
  const odoo = async (id: number, subcommand: readonly string[], input: string) => {
    const { install, server } = postgres;
    const access = await accessTo({ install, docker }, { socketDir: server.socketDir });
    return docker(
      odooOnce(
        {
          ...{ install, access, kind: 'apps-list', container: `${nameOf(id)}-try` },
          ...{ image: images.odoo, owner, conf: confOf(id), filestoreDir: '' },
          ...{ database: nameOf(id), addons: [] },
        },
        subcommand,
        [],
      ),
      { input, timeoutMs: 300_000 },
    );
  };

  before(async () => {
    postgres = await startTenantPostgres('staging-test');
    const { install } = postgres;
    const host: NeutraliseHost = {
      ...{ install, docker, confOf },
      checkoutsOf: async () => checkouts,
    };
    sidecar = await tenantDatabases(postgres, () => ({
      neutralise: async (...args) => {
        await beforeNeutralising();
        await neutralise(host)(...args);
      },
    }));
    await makeDatabase(sidecar.databases, { ...original, wasReady: false });
    await asTenant(1, (sql) => sql(SEED));
    const { gid, uid } = await stat(join(sidecar.dirs.paths(1).filestore, nameOf(1)));
    owner = { gid, uid };
    const parts = backupStore(postgres, sidecar);
    ({ proofServer, store } = parts);
    copies = new StagingCopies({
      ...{ install, tools: parts.tools, dirs: sidecar.dirs, databases: sidecar.databases },
      odooOf: async () => 19,
      inRestored: (...args) => store.inRestored(...args),
    });
    await takeBackup();
  });
  after(async () => {
    await proofServer?.close();
    await postgres?.remove();
  });
  afterEach(() => {
    beforeNeutralising = async () => {};
    checkouts = [];
  });

  const takeBackup = async () => {
    await store.take(original, { isByHand: false }, never);
    snapshot = (await store.list(original, never)).at(-1)?.snapshot ?? '';
  };

  it('has the original’s data and files, and nothing of its secrets', async () => {
    expect(await make()).to.deep.equal(['FetchingBackup', 'RestoringDatabase', 'Neutralising']);
    const folder = join(postgres.dataDir, 'scan');
    await mkdir(folder);
    const { dbPassword: password } = await sidecar.dirs.secrets(2);
    const login = { database: nameOf(2), role: nameOf(2), password };
    const tools = new PgTools(postgres.install, images.postgres, docker);
    await tools.dump(
      { ...login, socketDir: postgres.server.socketDir },
      join(folder, 'a.dump'),
      never,
    );
    await tools.script(join(folder, 'a.dump'), join(folder, 'a.sql'), never);
    const text = await readFile(join(folder, 'a.sql'), 'utf8');
    const theirs = await asTenant(1, (sql) =>
      sql(
        `SELECT value FROM public.ir_config_parameter WHERE key IN ('database.uuid', 'database.secret', 'web.base.url')`,
      ),
    );
    expect(theirs).to.have.length(3);
    for (const secret of [...Object.values(SECRETS), ...theirs.map(({ value }) => String(value))])
      expect(text.includes(secret), secret).to.equal(false);
    const [kept] = await asTenant(2, (sql) =>
      sql(
        `SELECT name, passenger, is_secret, token_expiry IS NOT NULL AS dated, access_token FROM public.custom_gateway`,
      ),
    );
    expect(kept).to.include({ name: 'kept', passenger: 'kept too', is_secret: true, dated: true });
    expect(kept?.['access_token']).to.match(/^[0-9a-f-]{36}$/);
    const passwords = 'SELECT login, password FROM public.res_users ORDER BY id';
    expect(await asTenant(2, (sql) => sql(passwords)), 'people log in as ever').to.deep.equal(
      await asTenant(1, (sql) => sql(passwords)),
    );
    const [address] = await asTenant(2, (sql) =>
      sql(`SELECT value FROM public.ir_config_parameter WHERE key = 'web.base.url'`),
    );
    expect(address?.['value']).to.equal('http://127.0.0.1:2');
    const files = join(sidecar.dirs.paths(2).filestore, nameOf(2));
    expect((await stat(files)).uid).to.equal(owner.uid);
    // The original is as it was.
    const [server] = await asTenant(1, (sql) =>
      sql(`SELECT smtp_pass FROM public.ir_mail_server WHERE name = 'theirs'`),
    );
    expect(server?.['smtp_pass']).to.equal(SECRETS.smtp);
  });

  it('sends nothing that waited, and nothing new; a banner says what it is', async () => {
    const said = await odoo(
      2,
      ['shell'],
      `
env['mail.mail'].process_email_queue()
mail = env['mail.mail'].create({'email_to': 'a@example.com', 'email_from': 'b@example.com', 'body_html': 'new'})
mail.send(raise_exception=False)
env.cr.commit()
print('STATES', sorted(set(env['mail.mail'].search([]).mapped('state'))))
print('CRONS', env['ir.cron'].search([]).mapped('cron_name'))
print('BANNER', env.ref('web.neutralize_banner').active)
print('LOGIN', bool(env['res.users'].search([('login', '=', '${customer.email}')])))
`,
    );
    expect(said).to.include("STATES ['cancel', 'exception']");
    expect(said).to.include('BANNER True').and.include('LOGIN True');
    expect(said).to.match(/CRONS \['[^',]*'\]/, 'the one that cleans up');
  });

  it('is made again where it was cut off at any moment, and has its name only when it is complete', async () => {
    // The second attempt finds a database and files of the first.
    for (const attempt of [1, 2]) {
      await new Promise<void>((reached) => {
        beforeNeutralising = () => {
          reached();
          return new Promise(() => {}); // as after SIGKILL, nothing follows
        };
        void make(3);
      });
      expect(await databases(), `${attempt}`)
        .to.include(`${nameOf(3)}_new`)
        .and.not.include(nameOf(3));
    }
    beforeNeutralising = async () => {};
    await make(3);
    expect(await databases())
      .to.include(nameOf(3))
      .and.not.include(`${nameOf(3)}_new`);
  });

  it('is of no other instance’s backup, and of none that is gone', async () => {
    const foreign = { ...copyOf(), identity: anInstance({ id: 8 }).identity };
    const makeOf = (of: typeof foreign) => reasonOf(copies.make(copy(4), of, () => {}, never));
    expect(await makeOf(foreign)).to.match(/^BackupForeign/);
    expect(await makeOf({ ...copyOf(), snapshot: 'ab'.repeat(32) })).to.match(/^BackupGone/);
    expect(await databases()).to.not.include(nameOf(4));
  });

  describe('with a module of a hostile tenant’s', () => {
    /** Gives the original a module with this SQL, and backs it up. */
    const withModule = async (sql: string) => {
      const path = join(postgres.dataDir, 'evil');
      await rm(path, { recursive: true, force: true });
      await mkdir(join(path, 'evil', 'data'), { recursive: true });
      await writeFile(
        join(path, 'evil', '__manifest__.py'),
        "{'name': 'evil', 'depends': ['mail']}",
      );
      await writeFile(join(path, 'evil', '__init__.py'), '');
      await writeFile(join(path, 'evil', 'data', 'neutralize.sql'), sql);
      for (const one of [path, join(path, 'evil'), join(path, 'evil', 'data')])
        await chmod(one, 0o755);
      checkouts = [{ path, folders: [''], moduleName: '' }];
    };
    before(async () => {
      await asTenant(1, (sql) =>
        sql(`INSERT INTO public.ir_module_module (name, state) VALUES ('evil', 'installed')`),
      );
      await takeBackup();
    });

    for (const [what, sql, detail] of [
      ['an error', 'SELECT 1 / 0', 'division by zero'],
      ['a program on the server', `COPY (SELECT 1) TO PROGRAM 'touch /tmp/x'`, 'permission denied'],
      ['a file of the server', `SELECT pg_read_file('/etc/passwd')`, 'permission denied'],
      ['another tenant’s role', 'SET ROLE microsaas', 'permission denied'],
      ['a command of psql', '\\! touch /tmp/x', 'syntax error'],
      [
        'a trigger that keeps its scheduled actions on',
        `CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.active := true; RETURN NEW; END $$;
         CREATE TRIGGER keep BEFORE UPDATE ON public.ir_cron FOR EACH ROW EXECUTE FUNCTION public.keep();
         UPDATE public.ir_cron SET active = true`,
        'ir_cron',
      ],
      [
        'a rule that keeps its secrets',
        'CREATE RULE keep AS ON UPDATE TO public.custom_gateway DO INSTEAD NOTHING',
        'custom_gateway',
      ],
    ] as const)
      it(`is not started: ${what}`, async () => {
        await withModule(sql);
        const said = await reasonOf(make(5));
        expect(said)
          .to.match(/^NeutraliseFailed: /)
          .and.include(detail);
        const left = await databases();
        expect(left).to.not.include(nameOf(5));
        expect(left, 'nor kept').to.not.include(`${nameOf(5)}_new`);
      });

    it('has that SQL run as its own role, in the copy alone, and is entered with its own password', async () => {
      await withModule(`CREATE TABLE public.witness AS SELECT current_user::text AS who, session_user::text AS login,
          pg_has_role('pg_read_all_data', 'member') AS reads;
        ALTER ROLE CURRENT_USER PASSWORD 'theirs'; ALTER ROLE CURRENT_USER SET statement_timeout = 1`);
      await make(6);
      const [seen] = await asTenant(6, (sql) => sql('SELECT * FROM public.witness'));
      expect(seen).to.deep.equal({ who: nameOf(6), login: nameOf(6), reads: false });
      const there = await asTenant(1, (sql) =>
        sql(`SELECT to_regclass('public.witness') AS there`),
      );
      expect(there).to.deep.equal([{ there: null }]);
    });

    it('brings no program that Odoo runs to be neutralised', async () => {
      await withModule('SELECT 1');
      await writeFile(
        join(postgres.dataDir, 'evil', 'evil', '__init__.py'),
        "raise SystemExit('it was run')",
      );
      await make(7);
      expect(await databases()).to.include(nameOf(7));
    });
  });
});
