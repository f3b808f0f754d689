import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { OdooDatabases } from '../../src/databases/databases.ts';
import { type OutgoingMail, setUpMail } from '../../src/databases/outgoing-mail.ts';
import { databaseName } from '../../src/instance/name.ts';
import { Cluster } from '../../src/postgres/cluster.ts';
import { type TenantLogin, TOUCH } from '../../src/postgres/tenant-session.ts';
import { freePort } from '../../stack/free-port.ts';
import { images } from '../../stack/images.ts';
import { OdooRpc } from '../../stack/odoo-rpc.ts';
import { run } from '../../stack/run.ts';
import { withSql } from '../../stack/sql.ts';
import { eventually } from '../e2e/support/eventually.ts';
import { anInstance } from '../support/samples.ts';
import { type SmtpServer, startSmtpServer } from '../support/smtp-server.ts';
import { makeDatabase, tenantDatabases } from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

const SENDER = 'panaderia@mail.example.com';

describe('the mail of an instance, with a real Odoo and a real SMTP server', function () {
  this.timeout(900_000);
  const customer = {
    ...anInstance().customer,
    ...{ name: 'Ana', companyName: 'Bakery', email: 'ana@example.org', lang: 'en_US' },
  };
  const desired = anInstance({ id: 1, subdomain: 'panaderia', customer });
  const container = `ms-mail-test-${randomInt(1e9)}`;
  let postgres: TenantPostgres;
  let smtp: SmtpServer;
  let databases: OdooDatabases;
  let odoo: OdooRpc;
  let tenantPassword: string;

  before(async () => {
    postgres = await startTenantPostgres('mail-test');
    smtp = await startSmtpServer(join(postgres.dataDir, 'mails'));
    const { port } = smtp;
    const relay = { host: '127.0.0.1', port, encryption: 'none', user: '', password: '' } as const;
    const made = await tenantDatabases(postgres, () => ({
      relay: { ...relay, sender: '{name}@mail.example.com' },
    }));
    databases = made.databases;
    await makeDatabase(databases, desired);
    const { adminPassword, dbPassword } = await made.dirs.makeSecrets(desired.id);
    tenantPassword = dbPassword;
    odoo = await startOdoo(made.dirs.paths(desired.id).filestore, dbPassword, adminPassword);
  });
  after(async () => {
    await run('docker', ['rm', '--force', '--', container]);
    await smtp?.stop();
    await postgres?.remove();
  });

  const database = () => databaseName(postgres.install, desired.id);

  async function startOdoo(filestore: string, dbPassword: string, password: string) {
    const port = await freePort(18_069);
    const conf = join(postgres.dataDir, 'odoo.conf');
    const lines = [
      ...['[options]', 'db_host = /run/postgresql', `db_user = ${database()}`],
      ...[`db_password = ${dbPassword}`, `db_name = ${database()}`, 'list_db = False'],
      ...['http_interface = 127.0.0.1', `http_port = ${port}`, 'max_cron_threads = 0', ''],
    ];
    await writeFile(conf, lines.join('\n'), { mode: 0o600 });
    const mounts = [
      `${postgres.server.socketDir}:/run/postgresql`,
      `${filestore}:/var/lib/odoo/filestore`,
      `${conf}:/etc/odoo.conf:ro`,
    ].map((mount) => `--volume=${mount}`);
    const place = ['--detach', '--name', container, '--network=host', '--user=0', ...mounts];
    const what = ['--entrypoint=odoo', '--', images.odoo, '--config=/etc/odoo.conf'];
    await run('docker', ['run', ...place, ...what]);
    const url = `http://127.0.0.1:${port}`;
    await eventually(async () => expect((await fetch(`${url}/web/login`)).status).to.equal(200));
    return new OdooRpc({ url, database: database(), login: customer.email, password });
  }

  /** Header by name of the only mail whose subject matches, once it has arrived. */
  const arrived = (subject: RegExp) =>
    eventually(async () => {
      const found = (await smtp.mails())
        .map(headersOf)
        .filter((mail) => subject.test(mail['subject'] ?? ''));
      expect(found, String(subject)).to.have.length(1);
      return found[0] as Record<string, string>;
    });

  const adminId = async () => {
    const [user] = await odoo.read<{ id: number }>(
      'res.users',
      [['login', '=', customer.email]],
      ['id'],
    );
    return user?.id as number;
  };

  it('sends a password reset from the instance’s own address, to who asked for it', async () => {
    await odoo.call('res.users', 'action_reset_password', [[await adminId()]]);
    const mail = await arrived(/Password reset/);
    expect(mail['x-mailfrom']).to.equal(SENDER);
    expect(mail['from']).to.include(`<${SENDER}>`).and.include(customer.companyName);
    expect(mail['x-rcptto']).to.equal(customer.email);
  });

  it('sends a person’s message with their name from that address, and answers go to the person', async () => {
    const partner = await odoo.create('res.partner', { name: 'Bob', email: 'bob@example.net' });
    const told = {
      body: 'Hello',
      subject: 'Bread',
      message_type: 'comment',
      partner_ids: [partner],
    };
    await odoo.call('res.partner', 'message_post', [[partner]], {
      ...told,
      subtype_xmlid: 'mail.mt_comment',
    });
    const mail = await arrived(/^Bread$/);
    expect(mail['x-mailfrom']).to.equal(SENDER);
    expect(mail['from']).to.include(`<${SENDER}>`).and.include(customer.name);
    expect(mail['x-rcptto']).to.equal('bob@example.net');
    expect(mail['reply-to']).to.include(customer.email).and.not.include('mail.example.com');
  });

  it('has the server as a row that its administrator can change, which is not written again', async () => {
    const [server] = await odoo.read<{ id: number; from_filter: string }>(
      'ir.mail_server',
      [],
      ['from_filter'],
    );
    expect(server?.from_filter).to.equal(SENDER);
    await odoo.call('ir.mail_server', 'write', [[server?.id], { smtp_host: 'smtp.example.org' }]);
    await databases.setUrl({ ...desired, instanceUrl: 'http://elsewhere.example.com' });
    const rows = await withSql(postgres.server, database(), (sql) =>
      sql('SELECT smtp_host FROM ir_mail_server'),
    );
    expect(rows).to.deep.equal([{ smtp_host: 'smtp.example.org' }]);
  });

  it('answers with a changed address at once, without a restart', async () => {
    const before = 'http://before.example.com';
    const url = () => odoo.call<string>('ir.config_parameter', 'get_param', ['web.base.url']);
    await odoo.call('ir.config_parameter', 'set_param', ['web.base.url', before]);
    expect(await url()).to.equal(before);
    await databases.setUrl({ ...desired, instanceUrl: before });
    expect(await url()).to.equal('http://127.0.0.1:1');
  });

  describe('its database', () => {
    const mail: OutgoingMail = {
      host: 'smtp.example.com',
      port: 465,
      encryption: 'ssl',
      user: 'us',
      password: 'not-a-real-password',
      sender: SENDER,
    };
    let login: TenantLogin;
    before(() => {
      login = { database: database(), role: database(), password: tenantPassword };
    });

    const sql = (query: string) =>
      withSql(postgres.server, database(), (ask) => ask(query)) as Promise<
        Record<string, unknown>[]
      >;
    const setUp = () =>
      new Cluster(postgres.server).enter(login, TOUCH, (session) => setUpMail(session, 1, mail));
    const COLUMNS =
      'smtp_host, smtp_port, smtp_encryption, smtp_authentication, smtp_user, smtp_pass, active';
    const given = {
      ...{ smtp_host: 'smtp.example.com', smtp_port: 465, smtp_authentication: 'login' },
      ...{ smtp_user: 'us', smtp_pass: 'not-a-real-password', active: true },
    };

    it('gets no server beside one that the modules or the administrator brought', async () => {
      const before = await sql('SELECT * FROM ir_mail_server');
      expect(before).to.have.length(1);
      await setUp();
      expect(await sql('SELECT * FROM ir_mail_server')).to.deep.equal(before);
      expect(
        await sql('SELECT name, bounce_alias, catchall_alias FROM mail_alias_domain'),
      ).to.deep.equal([{ name: 'mail.example.com', bounce_alias: '', catchall_alias: '' }]);
    });

    it('has the server’s certificate checked, where Odoo can', async () => {
      await sql('DELETE FROM ir_mail_server');
      await setUp();
      const rows = await sql(`SELECT ${COLUMNS} FROM ir_mail_server`);
      expect(rows).to.deep.equal([{ ...given, smtp_encryption: 'ssl_strict' }]);
    });

    it('leaves out what another version of Odoo does not have', async () => {
      await sql('DELETE FROM ir_mail_server');
      await sql(`DELETE FROM ir_model_fields_selection WHERE value LIKE '%\\_strict'`);
      await sql('ALTER TABLE ir_mail_server DROP COLUMN from_filter');
      await sql('DROP TABLE mail_alias_domain CASCADE');
      await setUp();
      const rows = await sql(`SELECT ${COLUMNS} FROM ir_mail_server`);
      expect(rows).to.deep.equal([{ ...given, smtp_encryption: 'ssl' }]);
    });

    it('learns a changed address by a sequence in Odoo up to 18, and gets it also without one', async () => {
      await sql('DROP TABLE orm_signaling_stable');
      const before = 'http://before.example.com';
      const write = `UPDATE ir_config_parameter SET value = '${before}' WHERE key = 'web.base.url'`;
      await sql(write);
      await databases.setUrl({ ...desired, instanceUrl: before });
      await sql(write);
      await sql('CREATE SEQUENCE base_cache_signaling_default');
      await sql(`ALTER SEQUENCE base_cache_signaling_default OWNER TO "${database()}"`);
      await databases.setUrl({ ...desired, instanceUrl: before });
      const query = `SELECT (SELECT is_called FROM base_cache_signaling_default) AS told,
        (SELECT value FROM ir_config_parameter WHERE key = 'web.base.url') AS url`;
      expect(await sql(query)).to.deep.equal([{ told: true, url: 'http://127.0.0.1:1' }]);
    });
  });
});

/** The headers of a mail, by their names in lower case. */
function headersOf(mail: string): Record<string, string> {
  const [head = ''] = mail.split(/\r?\n\r?\n/);
  const lines = head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/);
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
}
