import { expect } from 'chai';
import { run } from '../../stack/run.ts';
import { withSql } from '../../stack/sql.ts';
import type { TestEnvironment } from './support/environment.ts';
import { eventually } from './support/eventually.ts';
import { idOf, type Row } from './support/instances.ts';
import { logIn, status } from './support/login.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

chapter('a paid invoice becomes running instances', () => {
  let starter: number;
  let business: number;
  let invoice: number;
  let rows: Row[] = [];

  before(async () => {
    const { shop } = theEnvironment();
    starter = await shop.plan({ name: 'Starter' });
    const limits = { microsaas_cpus: 2, microsaas_memory_mb: 2048 };
    business = await shop.plan({ name: 'Business', limits });
  });

  scenario('two units of one plan and one of another: three instances', async (env) => {
    const { shop, instances } = env;
    const lines = [{ product: starter, quantity: 2 }, { product: business }];
    invoice = await shop.sell(lines);
    rows = await instances.running(invoice, 3);
    const units = rows.map((row) => `${idOf(row.linea_factura_id)}/${row.unidad}`);
    expect(new Set(units).size).to.equal(3);
    const fields = ['instancia_count', 'subscription_count'];
    const [move] = await shop.rpc.read('account.move', [['id', '=', invoice]], fields);
    expect(move).to.include({ instancia_count: 3, subscription_count: 3 });
    for (const row of rows) await expectUsable(env, row);
  });

  scenario('a plan of two processors has worker processes, others threads', async (env) => {
    const isGevent = async ({ id }: Row) => {
      const name = `ms-${env.stack.install}-${id}-odoo`;
      const running = await run('docker', ['top', name, '-o', 'pid,args']);
      return / gevent /.test(running);
    };
    // The websockets' process is there with workers only.
    expect((await Promise.all(rows.map(isGevent))).filter(Boolean)).to.have.lengthOf(1);
  });

  scenario('more memory and other processors of its plan reach what runs', async (env) => {
    const [row] = rows;
    if (!row) throw new Error('nothing was sold');
    const name = `ms-${env.stack.install}-${row.id}-odoo`;
    const format = '{{.Id}} {{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}';
    const inspected = () => run('docker', ['container', 'inspect', '--format', format, name]);
    const [id] = (await inspected()).split(' ');
    const limits = { microsaas_memory_mb: 1536, microsaas_cpus: 1.5 };
    await env.admin.call('product.product', 'write', [[starter], limits]);
    // As at their daily look.
    await env.sidecar.webhook({ model: 'odoo.docker.instance', ids: rows.map((one) => one.id) });
    await eventually(async () => {
      expect(await inspected()).to.equal(`${id} ${1536 * 2 ** 20} 1500000000`);
    });
    await env.sidecar.idle();
    for (const { id: each } of rows) await env.instances.reaches(each, 'running');
    // Their logs have grown.
    rows = await env.instances.ofInvoice(invoice);
  });

  scenario('the administrator logs in with what microsaas secret prints', async (env) => {
    const [row] = rows;
    if (!row) throw new Error('nothing was sold');
    const { url, login, password } = await env.sidecar.secret(row.id);
    expect(url).to.equal(row.instance_url);
    expect(await logIn(env, row, login, password)).to.be.greaterThan(0);
    expect(await logIn(env, row, login, 'admin')).to.equal(0);
    expect(await logIn(env, row, 'admin', 'admin')).to.equal(0);
    const list = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
    const databases = await (await fetch(`${url}/web/database/list`, list)).json();
    expect(databases, 'the list of databases').to.have.property('error');
  });

  scenario(
    'a hundred repetitions of a webhook, with polls between, create nothing more',
    async (env) => {
      const { sidecar, instances } = env;
      const polls = await sidecar.metric('microsaas_rpc_seconds_count');
      const same = { model: 'account.move', ids: [invoice] };
      for (let i = 0; i < 50; i++) expect(await sidecar.webhook(same)).to.equal(202);
      const replays = Array.from({ length: 50 }, () =>
        sidecar.webhook(same, { id: 'msg_replayed' }),
      );
      expect(new Set(await Promise.all(replays))).to.deep.equal(new Set([202]));
      await eventually(async () => {
        expect(await sidecar.metric('microsaas_rpc_seconds_count')).to.be.greaterThan(polls + 4);
      });
      await sidecar.idle();
      expect(await instances.ofInvoice(invoice)).to.deep.equal(rows);
    },
  );

  scenario('a manual plan creates nothing by itself', async ({ shop, sidecar, instances }) => {
    const manual = await shop.plan({ provision: 'manual' });
    const sold = await shop.sell([{ product: manual }]);
    await sidecar.webhook({ model: 'account.move', ids: [sold] });
    await sidecar.idle();
    expect(await instances.ofInvoice(sold)).to.deep.equal([]);
  });

  const killPoints: Record<string, (env: TestEnvironment, sold: number) => Promise<unknown>> = {
    'just after the claim': async ({ instances }, sold) => claimed(await instances.ofInvoice(sold)),
    'while the database is cloned': async ({ stack }) =>
      withSql(await stack.tenantSql(), 'postgres', async (sql) => {
        const half = `SELECT datname FROM pg_database WHERE datname ~ '^ms_${stack.install}_[0-9]+_new$'`;
        await eventually(async () => expect(await sql(half)).not.to.be.empty, 30, 5);
      }),
    'between the container and its first answer': async (env, sold) => {
      const [row] = claimed(await env.instances.ofInvoice(sold));
      expect(await env.containersOf(row?.id ?? 0)).not.to.be.empty;
      expect(row?.state, 'killed too late').to.equal('draft');
    },
  };
  for (const [when, reached] of Object.entries(killPoints)) {
    scenario(`the sidecar is killed ${when}: there is one instance afterwards`, async (env) => {
      const { shop, instances, sidecar } = env;
      const sold = await shop.sell([{ product: starter }]);
      await eventually(() => reached(env, sold), 30, 10);
      await sidecar.kill();
      const [cut] = await instances.ofInvoice(sold);
      expect(cut?.state, 'killed too late').to.equal('draft');
      await sidecar.start();
      const [row] = await instances.running(sold, 1);
      if (!row) throw new Error('nothing runs');
      expect(await instances.ofInvoice(sold)).to.have.lengthOf(1);
      await expectUsable(env, row);
    });
  }
});

function claimed(rows: Row[]): Row[] {
  expect(rows, 'claimed').to.have.lengthOf(1);
  return rows;
}

/** Expects a running instance to be usable: page, name, address and login. */
async function expectUsable({ instances, stack }: TestEnvironment, row: Row): Promise<void> {
  expect(row.instance_url).to.equal(`http://127.0.0.1:${row.http_port}`);
  expect(await status(`${row.instance_url}/web/login`)).to.equal(200);
  for (const port of [row.http_port, row.longpolling_port])
    expect(await status(`http://127.0.0.1:${port}/websocket/health`), `port ${port}`).to.equal(200);
  expect(row.segundos_hasta_listo).to.be.greaterThan(0).and.lessThan(120);
  expect(row.log).to.contain('Answering').and.to.contain('Creating the database');
  const { state, fecha_inicio, fecha_fin } = await instances.subscription(row);
  const today = new Date().toISOString().slice(0, 10);
  expect({ state, fecha_inicio }).to.deep.equal({ state: 'active', fecha_inicio: today });
  const days = (Date.parse(String(fecha_fin)) - Date.parse(today)) / 86_400_000;
  expect(days, `fecha_fin ${fecha_fin}`).to.be.within(27, 31);
  const name = `ms-${stack.install}-${row.id}-odoo`;
  const restart = '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.ReadonlyRootfs}}';
  const inspect = ['container', 'inspect', '--format', restart, '--', name];
  expect(await run('docker', inspect)).to.equal('unless-stopped true');
}
