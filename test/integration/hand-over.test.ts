import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { rehearseSpare } from '../../src/controller/rehearse-spare.ts';
import { NOBODY } from '../../src/databases/spare-instance.ts';
import type { ComposeEngine } from '../../src/engine/compose.ts';
import { DirectoryMarks } from '../../src/files/directory-mark.ts';
import { databaseName, templatePrefix } from '../../src/instance/name.ts';
import type { DesiredInstance, Spare } from '../../src/instance/types.ts';
import { succeeds } from '../../stack/run.ts';
import { withSql } from '../../stack/sql.ts';
import { contentOf, differing } from '../support/database-content.ts';
import { anInstance, aSpare, identityOf } from '../support/samples.ts';
import {
  composeEngine,
  makeDatabase,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';
import { freePorts } from '../support/throwaway-engine.ts';

/** With a website, whose language is a matter of its own, and with Odoo's robot, which greets people. */
const modules = ['crm', 'mail_bot', 'website'];

const ANA = {
  name: 'Ana Ñandú',
  companyName: 'Panadería Ñandú',
  email: 'ana@example.com',
  lang: 'es_ES',
  countryCode: 'ES',
};
const BOB = {
  name: 'Bob',
  companyName: `O'Brien "& Sons"`,
  email: 'bob@example.com',
  lang: 'en_US',
  countryCode: 'ES',
};

/**
 * Where an instance that was a spare may differ from a clone that was made for the same customer: what no two clones share, and what an Odoo
 * writes by itself once it runs.
 */
const MAY_DIFFER = [
  /^ir_config_parameter\[(database\.(create_date|secret|uuid)|web\.base\.url|microsaas\.given)\]/,
  /^ir_config_parameter\.(id|key|value|create_uid|write_uid)#/,
  /^ir_cron\.nextcall#/,
  /^discuss_channel\.uuid#/,
  /^res_users\.password#/,
  /^orm_signaling_/,
  // Bundles and pages that were compiled once.
  /^ir_attachment\./,
];

describe('a spare that is handed over, with a real Postgres and Odoo', function () {
  this.timeout(900_000);
  const { signal } = new AbortController();
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;
  let engine: ComposeEngine;
  let marks: DirectoryMarks;
  /** By number: as it was kept, and as it was sold. */
  const spares: Spare[] = [];
  const sold: DesiredInstance[] = [];
  /** Made for Ana from the beginning. */
  let usual: DesiredInstance;

  const nameOf = ({ id }: DesiredInstance) => databaseName(postgres.install, id);
  const sqlIn = <T>(desired: DesiredInstance, query: string, values: unknown[] = []) =>
    withSql(postgres.server, nameOf(desired), (sql) => sql(query, values)) as Promise<T[]>;
  const urlOf = ({ ports }: DesiredInstance, path = '') => `http://127.0.0.1:${ports?.http}${path}`;
  const logIn = async (desired: DesiredInstance, login: string, password: string) => {
    const answer = await fetch(urlOf(desired, '/web/session/authenticate'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ params: { db: nameOf(desired), login, password } }),
    });
    const { result } = (await answer.json()) as { result?: { uid: number | null } };
    const cookie = answer.headers.getSetCookie().map((one) => one.split(';')[0]);
    return result?.uid ? cookie.join('; ') : null;
  };

  async function make(id: number): Promise<Spare> {
    const spare = aSpare({ id, ports: await freePorts(), modules });
    await engine.render(spare);
    await sidecar.databases.prepareFor(spare, () => {}, signal);
    await makeDatabase(sidecar.databases, spare);
    await engine.start(spare, signal);
    await engine.awaitLogin(spare, signal);
    return spare;
  }

  before(async () => {
    postgres = await startTenantPostgres('hand-over-test');
    const { dataDir, install } = postgres;
    const relay = { host: 'relay.example.com', port: 25, encryption: 'none' } as const;
    const change = () => ({
      relay: { ...relay, user: '', password: '', sender: '{name}@mail.example.com' },
    });
    sidecar = await tenantDatabases(postgres, change, true);
    marks = new DirectoryMarks(dataDir, install);
    engine = await composeEngine(postgres, sidecar);
    usual = anInstance({ id: 1, modules, customer: ANA, wasReady: false, subdomain: 'ana' });
    await sidecar.databases.prepareFor(usual, () => {}, signal);
    await makeDatabase(sidecar.databases, usual);
    for (const id of [2, 3]) spares.push(await make(id));
  });
  after(() => postgres?.remove());

  it('lets nobody in before it is sold, and does nothing by itself', async () => {
    const [spare] = spares as [Spare];
    for (const login of [NOBODY, 'admin', ''])
      for (const password of ['', 'admin', NOBODY])
        expect(await logIn(spare, login, password), `${login} ${password}`).to.equal(null);
    const [soon] = await sqlIn<{ count: string }>(
      spare,
      `SELECT count(*) FROM ir_cron WHERE active AND nextcall < now() + interval '9 years'`,
    );
    expect(soon?.count).to.equal('0');
    expect((await marks.read(spare.id))?.isSpare, 'its mark').to.equal(true);
  });

  it('is rehearsed in each of its languages, and again after a rehearsal that was cut off', async () => {
    const [first, second] = spares as [Spare, Spare];
    await sidecar.databases.beginRehearsal(first, 'es_ES');
    for (const spare of [first, second])
      await rehearseSpare(spare, { databases: sidecar.databases, engine }, signal);
    expect(await readdir(sidecar.dirs.paths(first.id).sessions), 'sessions').to.deep.equal([]);
    for (const table of ['bus_bus', 'res_users_log', 'res_device_log'])
      expect(await sqlIn(first, `SELECT id FROM ${table}`), table).to.deep.equal([]);
  });

  it('is handed over in one transaction, and says so', async () => {
    for (const [index, customer] of [ANA, BOB].entries()) {
      const {
        languages: _,
        planId: __,
        spareState: ___,
        isFresh: ____,
        ...spare
      } = spares[index] as Spare;
      const subdomain = index === 0 ? 'ana' : 'bob';
      const desired: DesiredInstance = { ...spare, spare: 'sold', customer, subdomain };
      sold.push(desired);
      expect(await sidecar.databases.isHandedOver(desired)).to.equal(false);
      await engine.renewMark(desired);
      await sidecar.databases.handOver(desired);
      expect(await sidecar.databases.isHandedOver(desired)).to.equal(true);
      const other = { ...desired, identity: identityOf(desired.id, 9) };
      expect(await sidecar.databases.isHandedOver(other), 'to nobody else').to.equal(false);
      expect((await marks.read(desired.id))?.isSpare, 'its mark').to.equal(false);
    }
  });

  it('is what would have been made for the same customer, and nothing more', async () => {
    const [ana] = sold as [DesiredInstance];
    const cells = differing(await contentOf(postgres, usual), await contentOf(postgres, ana));
    const odd = cells.filter((cell) => !MAY_DIFFER.some((may) => may.test(cell)));
    expect([...new Set(odd.map((cell) => cell.replace(/#.*/, '')))]).to.deep.equal([]);
  });

  it('has no trace of the spare, of the template or of another customer in database, files and sessions', async () => {
    const trace = [NOBODY, templatePrefix(postgres.install)];
    for (const [index, desired] of sold.entries()) {
      const others = [...trace, ...(index === 0 ? ['bob@', "O'Brien"] : ['ana@', 'Panader'])];
      const { conf, filestore, sessions } = sidecar.dirs.paths(desired.id);
      const content = await contentOf(postgres, desired);
      for (const needle of others) {
        const cells = [...content].filter(([, value]) => value.includes(needle));
        expect(cells, needle).to.deep.equal([]);
        const grep = ['--recursive', '--quiet', '--fixed-strings', '--', needle];
        const isFound = await succeeds('grep', [...grep, filestore, sessions, conf]);
        expect(isFound, `${needle} in a file`).to.equal(false);
      }
    }
  });

  it('lets its customer in at once, in their own language, and nobody else', async () => {
    for (const [index, { html, login }] of [
      { html: 'lang="es-ES"', login: 'Contraseña' },
      { html: 'lang="en-US"', login: 'Password' },
    ].entries()) {
      const desired = sold[index] as DesiredInstance;
      const { adminPassword } = await sidecar.dirs.makeSecrets(desired.id);
      const page = await (
        await fetch(urlOf(desired, '/web/login'), { headers: { 'accept-language': 'fr' } })
      ).text();
      expect(page).to.include(login).and.include(html);
      expect(page).to.include(index === 0 ? 'Panadería Ñandú' : 'O&#39;Brien');
      const other = { 'accept-language': index === 0 ? 'en-US' : 'es-ES' };
      const site = await fetch(urlOf(desired, '/'), { headers: other, redirect: 'manual' });
      expect(site.status, 'no redirection to a language of the visitor’s').to.equal(200);
      expect(await site.text()).to.include(html);
      expect(await logIn(desired, NOBODY, '')).to.equal(null);
      const cookie = await logIn(desired, desired.customer.email, adminPassword);
      expect(cookie, 'the customer’s login').to.be.a('string');
      const client = await fetch(urlOf(desired, '/odoo'), { headers: { cookie: cookie ?? '' } });
      const home = await client.text();
      expect(home).to.include(`"lang": "${desired.customer.lang}"`);
      expect(home, 'its address is not the spare’s').to.include(
        JSON.stringify(`http://127.0.0.1:${desired.id}`),
      );
    }
  });

  for (const [what, database] of [
    ['another’s database', () => nameOf(usual)],
    ['a spare that was handed over to another', () => nameOf(sold[1] as DesiredInstance)],
    ['Postgres’ own template', () => 'template1'],
  ] as const)
    it(`lets its customer not into ${what}`, async () => {
      const error = await asTenant(sold[0] as DesiredInstance, database()).catch((it) => it);
      expect(error).to.have.property('code', '28000');
    });

  it('belongs to its own role, which nobody else is, and is marked as its instance’s', async () => {
    for (const desired of sold) {
      expect(await asTenant(desired, nameOf(desired))).to.deep.equal([{ one: 1 }]);
      const owners = await sqlIn(
        desired,
        `SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class
          WHERE relnamespace = 'public'::regnamespace`,
      );
      expect(owners).to.deep.equal([{ owner: nameOf(desired) }]);
      expect(await sidecar.databases.observe(desired, 'running')).to.equal('ready');
      expect((await engine.observe(desired, 'running')).containerOwner).to.equal('own');
    }
  });

  it('shares no secret with another', async () => {
    const keys = ['database.uuid', 'database.secret'];
    const all = [usual, ...sold].map((one) =>
      sqlIn<{ value: string }>(
        one,
        'SELECT value FROM ir_config_parameter WHERE key = ANY($1) UNION SELECT uuid FROM discuss_channel',
        [keys],
      ),
    );
    const values = (await Promise.all(all)).flat().map(({ value }) => value);
    expect(values).to.have.length.above(8);
    expect(new Set(values).size).to.equal(values.length);
  });

  async function asTenant(desired: DesiredInstance, database: string) {
    const { dbPassword } = await sidecar.dirs.makeSecrets(desired.id);
    const server = { ...postgres.server, user: nameOf(desired), password: dbPassword };
    return withSql(server, database, (sql) => sql('SELECT 1 AS one'));
  }
});
