import { basename } from 'node:path';
import { expect } from 'chai';
import { withSql } from '../../../stack/sql.ts';
import { type Container, instanceOf, lines, namesWith } from './docker.ts';
import type { TestEnvironment } from './environment.ts';
import { isPurged, type Row } from './instances.ts';

/** I2, I3, I4, I10: what has our install id belongs to exactly one known instance, and data stay with their owner. */
export async function auditMarks(env: TestEnvironment, rows: Row[]): Promise<void> {
  const spares = await sparesOf(env);
  const ids = new Set([...rows, ...spares].map((row) => row.id));
  const { install } = env.stack;
  const containers = await env.containers();
  for (const container of containers) {
    const id = instanceOf(container);
    expect(ids.has(id), `${container.Name} belongs to instance ${id}`).to.equal(true);
    expect(container.Name).to.match(new RegExp(`^/ms-${install}-${id}-(odoo|db)$`));
    expectOwnMounts(env, container, id);
  }
  await auditNetworks(env);
  const volumes = await namesWith('volume', `microsaas.install=${install}`);
  const stacks = ['manager-db', 'manager-files', 'tenant-db'].map((it) => `ms-${install}-${it}`);
  expect(volumes.sort(), 'volumes').to.deep.equal(stacks);
  auditPorts([...rows, ...spares], containers);
  await auditFolders(env, rows, ids);
  await auditDatabases(env, rows, ids);
  await auditIdentities(
    env,
    rows.filter((row) => row.was_ready && !isPurged(row)),
    containers,
  );
}

/** I10: directory, database and containers of each instance have its identity mark. */
async function auditIdentities(
  env: TestEnvironment,
  rows: Row[],
  containers: Container[],
): Promise<void> {
  const { install } = env.stack;
  const marks = await directoryMarks(env);
  for (const { id, identity } of rows) {
    expect(marks.get(id), `mark of the directory of ${id}`).to.equal(identity);
    for (const container of containers.filter((it) => instanceOf(it) === id))
      expect(container.Config.Labels['microsaas.identity'], container.Name).to.equal(identity);
  }
  const comments = await withSql(await env.stack.tenantSql(), 'postgres', (sql) =>
    sql(`SELECT datname, shobj_description(oid, 'pg_database') AS comment FROM pg_database`),
  );
  for (const row of rows.filter((it) => !env.hasOwnDatabase(it))) {
    const found = comments.find(({ datname }) => datname === `ms_${install}_${row.id}`);
    const mark = { install, identity: row.identity };
    expect(JSON.parse(String(found?.['comment'])), `mark of ${row.id}`).to.deep.equal(mark);
  }
}

/** The identity in the mark of each instance's directory, by instance id. */
async function directoryMarks(env: TestEnvironment): Promise<Map<number, string>> {
  const depth = ['-mindepth', '2', '-maxdepth', '2', '-name', 'identity.json'] as const;
  // Each begins with a record separator, then the folder's name, then from the next line on the mark.
  const print = ['-printf', '\\036%h\\n', '-exec', 'cat', '--', '{}', ';'] as const;
  const found = await env.onHost('find', env.instancesDir, ...depth, ...print);
  const marks = found.split('\x1e').slice(1);
  return new Map(
    marks.map((mark) => {
      const end = mark.indexOf('\n');
      const { identity } = JSON.parse(mark.slice(end)) as { identity: string };
      return [Number(basename(mark.slice(0, end))), identity];
    }),
  );
}

function expectOwnMounts(env: TestEnvironment, container: Container, id: number): void {
  const { dataDir, tenantSocketDir } = env.stack.files;
  for (const mount of container.Mounts) {
    const what = `${container.Name} mounts ${mount.Source}`;
    expect(mount.Type, what).to.equal('bind');
    const isOwn = mount.Source.startsWith(`${dataDir}/instances/${id}/`);
    const isSocket = mount.Source === tenantSocketDir && !mount.RW;
    const isCheckout = mount.Source.startsWith(`${dataDir}/checkouts/`) && !mount.RW;
    expect(isOwn || isSocket || isCheckout, what).to.equal(true);
  }
}

async function auditNetworks(env: TestEnvironment): Promise<void> {
  const { install, containers } = env.stack;
  const networks = await namesWith('network', `microsaas.install=${install}`);
  const unexpected = networks.filter(
    (name) => name !== containers.network && !new RegExp(`^ms-${install}-net-(\\d+|c)$`).test(name),
  );
  expect(unexpected, 'networks').to.deep.equal([]);
}

type Ported = Pick<Row, 'http_port' | 'id' | 'longpolling_port'>;

/** What is kept ready has no owner, and a number and ports as an instance has them. */
async function sparesOf({ admin }: TestEnvironment): Promise<Ported[]> {
  const fields = ['number', 'http_port', 'longpolling_port'];
  const spares = await admin.read<Ported & { number: number }>('microsaas.spare', [], fields);
  return spares.map(({ number, ...row }) => ({ ...row, id: number }));
}

function auditPorts(rows: readonly Ported[], containers: Container[]): void {
  const ports = rows.flatMap((row) => [row.http_port, row.longpolling_port]).filter(Boolean);
  expect(new Set(ports).size, 'each port once').to.equal(ports.length);
  for (const container of containers.filter((it) => it.State.Running)) {
    const row = rows.find((it) => it.id === instanceOf(container));
    const bound = Object.values(container.NetworkSettings.Ports).flatMap((it) => it ?? []);
    for (const { HostIp, HostPort } of bound) {
      expect(HostIp, `${container.Name} publishes on`).to.equal('127.0.0.1');
      const own = [row?.http_port, row?.longpolling_port];
      expect(own, `${container.Name} publishes ${HostPort}`).to.include(Number(HostPort));
    }
  }
}

async function auditFolders(env: TestEnvironment, rows: Row[], ids: Set<number>): Promise<void> {
  const depth = ['-mindepth', '1', '-maxdepth', '1', '-printf', '%f\n'] as const;
  const names = lines(await env.onHost('find', env.instancesDir, ...depth)).map(Number);
  for (const name of names) expect(ids.has(name), `folder of instance ${name}`).to.equal(true);
  for (const row of rows.filter((it) => it.was_ready))
    expect(names.includes(row.id), `folder of instance ${row.id}`).to.equal(!isPurged(row));
}

async function auditDatabases(env: TestEnvironment, rows: Row[], ids: Set<number>): Promise<void> {
  const ours = `^ms_${env.stack.install}_`;
  const server = await env.stack.tenantSql();
  const { databases, roles } = await withSql(server, 'postgres', async (sql) => ({
    databases: await sql(
      'SELECT datname, pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname ~ $1',
      [ours],
    ),
    roles: await sql(
      'SELECT rolname, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls AS mighty FROM pg_roles WHERE rolname ~ $1',
      [ours],
    ),
  }));
  // What a restore has replaced is kept for a while.
  const number = (name: unknown) => /_(\d+)(_before)?$/.exec(String(name))?.[1];
  const isDecoy = (name: unknown) => name === `ms_${env.stack.install}_1_backup`;
  const isTemplate = (name: unknown) => /_t_[0-9a-f]{16}(_spare(_new)?)?$/.test(String(name));
  const present = databases.filter((it) => !isTemplate(it['datname']) && !isDecoy(it['datname']));
  for (const { datname, owner } of present) {
    expect(ids.has(Number(number(datname))), `database ${datname}`).to.equal(true);
    // Its content belongs to the tenant's role, the database itself does not (ADR 9).
    expect(owner, `owner of ${datname}`).to.equal(server.user);
  }
  for (const { rolname, mighty } of roles) {
    expect(mighty, `${rolname} may do more than log in`).to.equal(false);
    const isKnown = isTemplate(rolname) || ids.has(Number(number(rolname)));
    expect(isKnown, `role ${rolname}`).to.equal(true);
  }
  const names = new Set(present.map((it) => it['datname']));
  for (const row of rows.filter((it) => it.was_ready && !env.hasOwnDatabase(it))) {
    const name = `ms_${env.stack.install}_${row.id}`;
    expect(names.has(name), `data of ${row.id}`).to.equal(!isPurged(row));
    const isRole = roles.some(({ rolname }) => rolname === name);
    expect(isRole, `role of ${row.id}`).to.equal(!isPurged(row));
  }
}
