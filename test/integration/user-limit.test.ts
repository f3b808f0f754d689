import { expect } from 'chai';
import type { ComposeEngine } from '../../src/engine/compose.ts';
import { databaseName } from '../../src/instance/name.ts';
import type { DesiredInstance, UserLimit } from '../../src/instance/types.ts';
import { withSql } from '../../stack/sql.ts';
import { anInstance } from '../support/samples.ts';
import {
  composeEngine,
  makeDatabase,
  sqlAsTenant,
  type TenantDatabases,
  tenantDatabases,
} from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';
import { freePorts } from '../support/throwaway-engine.ts';

/** With quotes, as a seller may call a plan. */
const REFUSAL = `Todos los usuarios del plan O'Brien "$$" están ocupados: tiene 2. https://shop.example/my/instances/1`;
const TWO: UserLimit = { users: 2, refusal: REFUSAL };

describe('the users of a plan, in a real Odoo', function () {
  this.timeout(600_000);
  const { signal } = new AbortController();
  const customer = { ...anInstance().customer, lang: 'en_US' };
  let postgres: TenantPostgres;
  let sidecar: TenantDatabases;
  let engine: ComposeEngine;
  let desired: DesiredInstance;
  let password = '';
  /** Of Odoo's groups. */
  let internal = 0;
  let portal = 0;

  const limit = (userLimit: UserLimit | null) =>
    sidecar.databases.limitUsers({ ...desired, userLimit });
  const asTenant = (text: string) => sqlAsTenant(postgres, sidecar, desired.id, text);

  /** Calls a method of Odoo's res.users as its administrator. @returns the result @throws Error with what Odoo tells the person */
  async function call<T>(method: string, ...args: unknown[]): Promise<T> {
    const database = databaseName(postgres.install, desired.id);
    const answer = await fetch(`http://127.0.0.1:${desired.ports?.http}/jsonrpc`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        method: 'call',
        params: {
          ...{ service: 'object', method: 'execute_kw' },
          args: [database, 2, password, 'res.users', method, args],
        },
      }),
    });
    const { error, result } = (await answer.json()) as {
      error?: { data: { message: string; name: string } };
      result: T;
    };
    if (error) throw new Error(`${error.data.name}: ${error.data.message}`);
    return result;
  }
  const add = (login: string, group = internal) =>
    call<number>('create', { name: login, login, group_ids: [[6, 0, [group]]] });
  const said = (work: Promise<unknown>) =>
    work.then(
      () => '',
      (error: Error) => error.message,
    );

  before(async () => {
    postgres = await startTenantPostgres('user-limit-test');
    const { install } = postgres;
    sidecar = await tenantDatabases(postgres);
    engine = await composeEngine(postgres, sidecar);
    desired = anInstance({
      id: 1,
      modules: [],
      ports: await freePorts(),
      customer,
      wasReady: false,
    });
    await engine.render(desired);
    await sidecar.databases.prepareFor(desired, () => {}, signal);
    await makeDatabase(sidecar.databases, desired);
    ({ adminPassword: password } = await sidecar.dirs.makeSecrets(desired.id));
    const groups = await withSql(
      postgres.server,
      databaseName(install, desired.id),
      (sql) =>
        sql(`SELECT name, res_id FROM ir_model_data
              WHERE module = 'base' AND name IN ('group_user', 'group_portal') ORDER BY name`) as Promise<
          { name: string; res_id: number }[]
        >,
    );
    [portal, internal] = groups.map(({ res_id: id }) => id) as [number, number];
    await engine.start(desired, signal);
    await engine.awaitLogin(desired, signal);
  });
  after(() => postgres?.remove());

  it('are any number while the plan sets no limit, and nothing is written into the database then', async () => {
    await limit(null);
    await add('bob');
    expect(await asTenant(`SELECT proname FROM pg_proc WHERE proname LIKE 'microsaas%'`)).to.eql(
      [],
    );
  });

  it('are no more than it says: whoever adds one reads why, and what to do', async () => {
    await limit(TWO);
    expect(await said(add('eve')))
      .to.match(/^odoo\.exceptions\.ValidationError: /)
      .and.to.include(`The operation cannot be completed: ${REFUSAL}\n`);
    expect(await call('search_count', [['login', '=', 'eve']])).to.equal(0);
  });

  it('come by an import all or not at all: with one too many, no row is half there, and the import says why', async () => {
    await limit({ users: 4, refusal: REFUSAL });
    const rows = ['ann', 'ben', 'cleo'].map((login) => [login, login, 'base.group_user']);
    const load = (some: string[][]) =>
      call<{ ids: number[] | false; messages: { message: string }[] }>(
        'load',
        ['name', 'login', 'group_ids/id'],
        some,
      );
    const refused = await load(rows);
    expect(refused.ids).to.equal(false);
    expect(refused.messages.map(({ message }) => message).join('\n')).to.include(REFUSAL);
    const logins = rows.map(([login]) => login);
    expect(await call('search_count', [['login', 'in', logins]])).to.equal(0);
    // Nothing of it is in the way of the same file with one row less.
    const { ids } = await load(rows.slice(0, 2));
    expect(ids).to.have.length(2);
    await call('unlink', ids);
    await limit(TWO);
  });

  it('are internal ones that are not archived: one of the portal is added, one that makes room makes room', async () => {
    await add('visitor', portal);
    const [bob] = await call<number[]>('search', [['login', '=', 'bob']]);
    await call('write', [bob], { active: false });
    const eve = await add('eve');
    expect(await said(call('write', [bob], { active: true }))).to.include(REFUSAL);
    await call('write', [eve], { name: 'Eve who is there already' });
  });

  it('are at once more after a larger plan, and after a smaller one all who were there stay and work', async () => {
    await limit({ users: 3, refusal: 'three' });
    const dan = await add('dan');
    await limit({ users: 1, refusal: 'There is one.' });
    await call('write', [dan], { name: 'Dan who is one too many' });
    expect(await said(add('fay'))).to.include('There is one.');
    await limit(null);
    await add('fay');
  });

  it('are limited again after the tenant has taken the limit away', async () => {
    await limit(TWO);
    await asTenant('DROP TRIGGER microsaas_user_limit ON public.res_users');
    await add('gus');
    await limit(TWO);
    expect(await said(add('hal'))).to.include(REFUSAL);
  });

  it('are any number where the data are in another database: in a copy, or at another host', async () => {
    const name = databaseName(postgres.install, desired.id);
    const added = `INSERT INTO public.res_users (login, partner_id, company_id, active, share, notification_type)
      SELECT 'ida', partner_id, company_id, true, false, notification_type FROM public.res_users WHERE id = 2`;
    expect(await said(asTenant(added))).to.include(REFUSAL);
    await engine.stop(desired, signal);
    await withSql(postgres.server, 'postgres', (sql) =>
      sql(`ALTER DATABASE ${name} RENAME TO elsewhere`),
    );
    await withSql(postgres.server, 'elsewhere', (sql) => sql(added));
  });
});
