import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { pino } from 'pino';
import type { ComposeEngine } from '../../src/engine/compose.ts';
import { Logins } from '../../src/http/logins.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import { withSql } from '../../stack/sql.ts';
import { anInstance } from '../support/samples.ts';
import {
  composeEngine,
  docker,
  makeDatabase,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';
import { freePorts } from '../support/throwaway-engine.ts';
import { ask } from '../unit/http/server-suite.ts';

/** A login that Python quotes in another way than most. */
const ANA = {
  name: 'Ana',
  companyName: 'Panadería Ñandú',
  email: "ana.o'brien@ñandú.example",
  lang: 'en_US',
  countryCode: 'ES',
};

describe('a login by a link, with a real Postgres and Odoo', function () {
  this.timeout(600_000);
  const { signal } = new AbortController();
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;
  let engine: ComposeEngine;
  let desired: DesiredInstance;
  let logins: Logins;
  /** Where the links lead: what the door and the sidecar are in front of Odoo. */
  let server: Server;
  let now = 0;
  let logged = '';

  const sql = <T>(query: string, values: unknown[] = []) =>
    withSql(postgres.server, databaseName(postgres.install, desired.id), (run) =>
      run(query, values),
    ) as Promise<T[]>;
  const odoo = async (path: string, cookie: string) => {
    const url = `http://127.0.0.1:${desired.ports?.http}${path}`;
    const answer = await fetch(url, { headers: { cookie }, redirect: 'manual' });
    return { status: answer.status, text: await answer.text() };
  };
  /** Opens a link as a browser does. @returns where it leads, and the cookie that it is given */
  const open = async (path: string) => {
    const { headers, status } = await ask({
      port: (server.address() as AddressInfo).port,
      path,
      headers: { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0' },
    });
    const [cookie = ''] = headers['set-cookie'] ?? [];
    return { status, location: headers.location, cookie: cookie.split(';')[0] ?? '' };
  };
  const linkFor = (login: string, endsAt: number | null = null) =>
    logins.offer({ instance: desired.id, login, endsAt });

  const sessionOfAna = (endsAt: number | null = null) =>
    sidecar.databases.odooSession(desired, { login: ANA.email, endsAt });

  before(async () => {
    postgres = await startTenantPostgres('log-in-test');
    sidecar = await tenantDatabases(postgres);
    engine = await composeEngine(postgres, sidecar);
    const ports = await freePorts();
    const modules = ['auth_totp', 'auth_passkey', 'auth_oauth'];
    desired = anInstance({ id: 1, modules, ports, customer: ANA, wasReady: false });
    await engine.render(desired);
    await sidecar.databases.prepareFor(desired, () => {}, signal);
    await makeDatabase(sidecar.databases, desired);
    await engine.start(desired, signal);
    await engine.awaitLogin(desired, signal);
    const log = pino(
      { level: 'trace' },
      {
        write: (line: string) => {
          logged += line;
        },
      },
    );
    logins = new Logins({
      logIn: async (login, browser) => {
        const session = await sidecar.databases.odooSession(desired, login);
        if (!session || !(await engine.admit(desired, session, browser))) return null;
        return { sid: session.sid, isSecure: false };
      },
      log,
      now: () => now,
    });
    server = createServer((req, res) => void logins.serve(req, res, desired.id));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(async () => {
    server?.close();
    server?.closeAllConnections();
    await postgres?.remove();
  });

  it('is accepted by Odoo once: as that user, in their language, and noted as their browser’s', async () => {
    const link = linkFor(ANA.email);
    const first = await open(link);
    expect(first).to.include({ status: 303, location: '/odoo' });
    const devices = await sql<{ browser: string; login: string }>(
      'SELECT d.browser, u.login FROM res_device_log d JOIN res_users u ON u.id = d.user_id',
    );
    expect(devices).to.deep.equal([{ browser: 'firefox', login: ANA.email }]);
    const home = await odoo('/odoo', first.cookie);
    expect(home.status).to.equal(200);
    expect(home.text).to.include('"uid": 2,').and.include('"lang": "en_US"');
    const again = await open(link);
    expect(again).to.include({ status: 410, cookie: '' });
    expect(logged).not.to.include(first.cookie.split('=')[1]);
  });

  it('is refused after its time', async () => {
    const link = linkFor(ANA.email);
    now += 60_000;
    expect(await open(link)).to.include({ status: 410, cookie: '' });
  });

  it('ends as any other session does: when its password is another, and not with a session of somebody else', async () => {
    const one = await open(linkFor(ANA.email));
    const other = await open(linkFor(ANA.email));
    expect((await odoo('/web/session/logout', one.cookie)).status).to.equal(303);
    expect((await odoo('/odoo', one.cookie)).status).to.equal(303);
    expect((await odoo('/odoo', other.cookie)).status).to.equal(200);
    await sql('UPDATE res_users SET password = $2 WHERE login = $1', [ANA.email, 'another-hash']);
    await engine.restart(desired, signal);
    await engine.awaitLogin(desired, signal);
    expect((await odoo('/odoo', other.cookie)).status).to.equal(303);
    expect((await odoo('/odoo', (await open(linkFor(ANA.email))).cookie)).status).to.equal(200);
  });

  it('ends by itself where it is to end, within two hours at the latest, and is accepted no more then', async () => {
    const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
    const { cookie } = await open(linkFor(ANA.email, inSeconds(60 * 60)));
    expect((await odoo('/odoo', cookie)).status).to.equal(200);
    const over = await open(linkFor(ANA.email, inSeconds(-1)));
    expect(over).to.include({ status: 303, location: '/web/login', cookie: '' });
    const ends = (await sessionOfAna(inSeconds(24 * 60 * 60)))?.content['deletion_time'];
    expect(ends).to.be.closeTo(inSeconds(2 * 60 * 60), 60);
  });

  it('is not for who is no internal user, and not for who logs in by more than a password', async () => {
    const letsIn = async (login = ANA.email) =>
      (await sidecar.databases.odooSession(desired, { login, endsAt: null })) !== null;
    expect(await letsIn()).to.equal(true);
    for (const login of ['nobody@example.com', 'public', '__system__', '', "' OR true --"])
      expect(await letsIn(login), login).to.equal(false);
    const without = async (change: string, back: string) => {
      await sql(change);
      const isIn = await letsIn();
      await sql(back);
      expect(isIn, change).to.equal(false);
      expect(await letsIn(), back).to.equal(true);
    };
    const users = 'UPDATE res_users SET';
    await without(`${users} active = false WHERE id = 2`, `${users} active = true WHERE id = 2`);
    await without(`${users} share = true WHERE id = 2`, `${users} share = false WHERE id = 2`);
    // Who has no password is let in by what else knows them, as LDAP.
    await without(`${users} password = NULL WHERE id = 2`, `${users} password = 'x' WHERE id = 2`);
    for (const column of ['totp_secret', 'oauth_access_token'])
      await without(
        `${users} ${column} = 'x' WHERE id = 2`,
        `${users} ${column} = NULL WHERE id = 2`,
      );
    await without(
      `INSERT INTO auth_passkey_key (name, create_uid, credential_identifier, public_key) VALUES ('k', 2, 'c', 'p')`,
      'DELETE FROM auth_passkey_key',
    );
    await without(
      `INSERT INTO ir_config_parameter (key, value) VALUES ('auth_totp.policy', 'employee_required')`,
      `DELETE FROM ir_config_parameter WHERE key = 'auth_totp.policy'`,
    );
  });

  it('leads to Odoo’s login page where Odoo refuses the session, as that of who has more to show than is known here', async () => {
    const session = await sessionOfAna();
    if (!session) throw new Error('no session');
    const content = { ...session.content, session_token: '0'.repeat(64) };
    expect(await engine.admit(desired, { ...session, content }, {})).to.equal(false);
    expect(await engine.admit(desired, session, {})).to.equal(true);
  });

  it('runs with nobody’s rights but those of the instance: a folder of sessions that leads elsewhere leads out of nothing', async () => {
    const container = `ms-${postgres.install}-1-odoo`;
    const within = (...command: string[]) =>
      docker(['docker', 'exec', '--', container, ...command]);
    const session = await sessionOfAna();
    if (!session) throw new Error('no session');
    const folder = `/var/lib/odoo/sessions/${session.sid.slice(0, 2)}`;
    await within('rm', '-rf', folder);
    await within('ln', '-s', '/etc', folder);
    const failure = await engine.admit(desired, session, {}).catch((error: Error) => error);
    expect(String(failure)).to.match(/Read-only file system|Permission denied/);
    expect(String(failure)).not.to.include(session.sid);
    await within('rm', folder);
  });
});
