import { expect } from 'chai';
import type { RunError } from '../../stack/run.ts';
import { quoted, withSql } from '../../stack/sql.ts';
import { inContainer } from './support/docker.ts';
import type { TestEnvironment } from './support/environment.ts';
import { eventually } from './support/eventually.ts';
import type { Row } from './support/instances.ts';
import { logIn, status } from './support/login.ts';
import { Dump } from './support/manager-dump.ts';
import { chapter, scenario, theEnvironment } from './support/scenario.ts';

const DOUBTS = { older: /older than what this host has seen/, other: /another manager database/ };

chapter('a restored manager, and foreign data', () => {
  let plan: number;
  before(async () => {
    plan = await theEnvironment().shop.plan();
  });

  const sold = async ({ instances, shop }: TestEnvironment): Promise<Row> => {
    const [row] = await instances.running(await shop.sell([{ product: plan }]), 1);
    if (!row) throw new Error('nothing runs');
    return row;
  };

  scenario('the manager’s database was restored from an older backup', async (env) => {
    const { instances, shop, sidecar } = env;
    const before = await sold(env);
    const dump = await Dump.take(env);
    const lost = await sold(env);
    const key = await sidecar.secret(lost.id);
    const [container] = await env.containersOf(lost.id);
    await sidecar.stop();
    await dump.putBack();
    await sidecar.start();
    await inDoubt(env, 'older');
    expect(await activities(env), 'people are told').to.have.lengthOf(1);
    const [activity] = await activities(env);
    expect(activity?.note).to.include(lost.name).and.to.include(String(lost.instance_url));

    const invoice = await shop.sell([{ product: plan }]);
    // A whole poll has found the invoice and claimed nothing.
    const calls = await sidecar.metric('microsaas_rpc_seconds_count');
    await eventually(async () => {
      expect(await sidecar.metric('microsaas_rpc_seconds_count')).to.be.greaterThan(calls + 8);
    });
    expect(await instances.ofInvoice(invoice)).to.deep.equal([]);
    const [untouched] = await env.containersOf(lost.id);
    expect(untouched?.Id).to.equal(container?.Id);
    expect(untouched?.State.StartedAt).to.equal(container?.State.StartedAt);
    expect(await logIn(env, lost, key.login, key.password)).to.be.greaterThan(0);
    const doctor = await sidecar.microsaas('doctor').catch((error: RunError) => error.output);
    expect(doctor).to.match(DOUBTS.older);

    const shown = await inContainer(sidecar.name, ['microsaas', 'reconcile-host']);
    expect(shown).to.include(`${lost.id}: ${lost.name}, ${lost.instance_url} (not in Odoo)`);
    await inContainer(sidecar.name, ['microsaas', 'reconcile-host', '--confirm']);
    const [newcomer] = await instances.running(invoice, 1);
    if (!newcomer) throw new Error('nothing runs');
    expect(newcomer.id).to.be.greaterThan(lost.id);
    expect(newcomer.instance_url).not.to.equal(lost.instance_url);
    const own = await sidecar.secret(newcomer.id);
    expect(await logIn(env, newcomer, own.login, own.password)).to.be.greaterThan(0);
    expect(await logIn(env, newcomer, key.login, key.password), 'the other’s key').to.equal(0);
    const found = await instances.reaches(lost.id, 'running');
    expect(found).to.include({
      name: lost.name,
      identity: lost.identity,
      http_port: lost.http_port,
    });
    expect(await logIn(env, lost, key.login, key.password)).to.be.greaterThan(0);
    expect((await env.containersOf(lost.id))[0]?.Id, 'never re-created').to.equal(container?.Id);
    expect(await status(`${before.instance_url}/web/login`)).to.equal(200);
    expect(await activities(env)).to.deep.equal([]);
    expect((await sidecar.ready()).status).to.equal(200);
  });

  scenario(
    'another database in its place: nothing is sold until a person confirms',
    async (env) => {
      const { admin, instances, shop, sidecar } = env;
      const uuid = '00000000-0000-4000-8000-00000000c0b1';
      await admin.call('ir.config_parameter', 'set_param', ['database.uuid', uuid]);
      const invoice = await shop.sell([{ product: plan }]);
      await inDoubt(env, 'other');
      expect(await instances.ofInvoice(invoice)).to.deep.equal([]);
      await inContainer(sidecar.name, ['microsaas', 'reconcile-host', '--confirm']);
      await instances.running(invoice, 1);
    },
  );

  for (const [what, put, take] of [
    ['database', putDatabase, dropDatabase],
    ['directory', putDirectory, removeDirectory],
  ] as const)
    scenario(
      `a foreign ${what} of an instance’s name is not touched, shown or started`,
      async (env) => {
        const { admin, instances } = env;
        const partner_id = await env.shop.customer();
        const id = await admin.create('odoo.docker.instance', { name: 'Newcomer', partner_id });
        await put(env, id);
        await instances.press(id, 'start_instance');
        const row = await instances.reaches(id, 'error');
        expect(row).to.include({ reason: 'ForeignData', instance_url: false });
        expect(row.phase_message).to.include('reconcile-host');
        expect(await env.containersOf(id)).to.deep.equal([]);
        await take(env, id);
        await instances.press(id, 'start_instance');
        await instances.reaches(id, 'running');
      },
    );
});

async function inDoubt({ sidecar }: TestEnvironment, kind: keyof typeof DOUBTS): Promise<void> {
  await eventually(async () => {
    const { status: code, parts } = await sidecar.ready();
    expect(code).to.equal(503);
    expect(String(parts['odoo'])).to.match(DOUBTS[kind]);
  });
}

async function activities({ admin }: TestEnvironment): Promise<Array<{ note: string }>> {
  const domain = [['summary', 'like', 'MicroSaaS waits']];
  return admin.read<{ note: string }>('mail.activity', domain, ['note']);
}

async function putDatabase({ stack }: TestEnvironment, id: number): Promise<void> {
  const name = quoted(`ms_${stack.install}_${id}`);
  await withSql(await stack.tenantSql(), 'postgres', async (sql) => {
    await sql(`CREATE ROLE ${name} NOLOGIN`);
    await sql(`CREATE DATABASE ${name} OWNER ${name}`);
  });
}

/** Removes it again, as its owner would; it must be empty. */
async function dropDatabase({ stack }: TestEnvironment, id: number): Promise<void> {
  const name = `ms_${stack.install}_${id}`;
  await withSql(await stack.tenantSql(), name, async (sql) => {
    const tables = await sql(`SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace`);
    expect(tables, 'tables in the foreign database').to.have.lengthOf(0);
  });
  await withSql(await stack.tenantSql(), 'postgres', (sql) => sql(`DROP DATABASE ${quoted(name)}`));
}

async function putDirectory(env: TestEnvironment, id: number): Promise<void> {
  await env.onHost('mkdir', '--parents', '--', `${env.instancesDir}/${id}/filestore/theirs`);
}

async function removeDirectory(env: TestEnvironment, id: number): Promise<void> {
  const found = await env.onHost('find', `${env.instancesDir}/${id}`, '-printf', '%P ');
  expect(found.trim().split(' '), 'as it was').to.have.members(['filestore', 'filestore/theirs']);
  await env.onHost('rm', '--recursive', '--', `${env.instancesDir}/${id}`);
}
