import { expect } from 'chai';
import { run } from '../../../stack/run.ts';
import { withSql } from '../../../stack/sql.ts';
import { environments } from './command-lines.ts';
import { lines } from './docker.ts';
import { isPurged, type Row } from './instances.ts';
import type { World } from './world.ts';

/** Tables of the manager that must know no instance's secret, as text. */
const TABLES = [
  ...['odoo_docker_instance', 'odoo_docker_repository', 'microsaas_subscription', 'mail_message'],
  ...['mail_tracking_value', 'account_move', 'ir_logging', 'ir_config_parameter'],
];

/** I6: secrets lie in files that nobody else may read, and nowhere else. */
export async function auditSecrets(world: World, rows: Row[]): Promise<void> {
  await auditModes(world);
  const own = await instanceSecrets(world);
  const stack = await Promise.all(
    ['api-key', 'webhook-secret', 'postgres-password'].map(async (name) => ({
      where: `sidecar/${name}`,
      value: (await world.stack.files.read(`sidecar/${name}`)) ?? '',
    })),
  );
  const ofManager = await managerText(world);
  expectNone(own, { 'the manager’s database': ofManager });
  const names = (await world.containers()).map((it) => it.Name.slice(1));
  const all = [...names, ...Object.values(world.stack.containers.names)];
  const inspected = await run('docker', ['container', 'inspect', '--', ...all]);
  expectNone([...own, ...stack], {
    'docker inspect': inspected,
    'a command line': world.commandLines.seen,
    'an environment': environments(),
    'the sidecar’s log': await world.sidecar.output(),
    ...(await containerLogs(names)),
  });
  expect(own.length, 'secrets looked for').to.be.at.least(
    rows.some((row) => row.was_ready && !isPurged(row)) ? 3 : 0,
  );
}

interface Secret {
  where: string;
  value: string;
}

function expectNone(secrets: Secret[], places: Record<string, string>): void {
  for (const [place, text] of Object.entries(places))
    for (const { where, value } of secrets)
      if (value !== '' && text.includes(value)) expect.fail(`${place} shows ${where}`);
}

async function auditModes(world: World): Promise<void> {
  const print = ['-type', 'f', '-printf', '%m %p\n'] as const;
  const secret = ['(', '-path', '*/secrets/*', '-o', '-name', '*.conf', ')'] as const;
  for (const line of lines(await world.onHost('find', world.instancesDir, ...secret, ...print)))
    expect(line).to.match(/^600 /);
  const dataDir = world.stack.files.dataDir;
  const open = ['-path', `${dataDir}/archives`, '-perm', '/077'] as const;
  expect(await world.onHost('find', dataDir, '-maxdepth', '1', ...open), 'archives').to.equal('');
}

async function instanceSecrets(world: World): Promise<Secret[]> {
  const files = ['find', world.instancesDir, '-path', '*/secrets/*', '-type', 'f'] as const;
  const found = lines(await world.onHost(...files, '-exec', 'grep', '-H', '', '{}', '+'));
  return found.map((line) => {
    const [where = '', value = ''] = line.split(':');
    return { where, value };
  });
}

async function managerText(world: World): Promise<string> {
  return withSql(await world.stack.managerSql(), 'manager', async (sql) => {
    const texts: string[] = [];
    for (const table of TABLES) {
      const found = await sql(`SELECT string_agg(t::text, E'\\n') AS text FROM ${table} t`);
      texts.push(String(found[0]?.['text'] ?? ''));
    }
    return texts.join('\n');
  });
}

async function containerLogs(names: string[]): Promise<Record<string, string>> {
  const logs = names.map(async (name): Promise<[string, string]> => {
    return [`the log of ${name}`, await run('docker', ['logs', '--', name])];
  });
  return Object.fromEntries(await Promise.all(logs));
}
