import { expect } from 'chai';
import { run } from '../../../stack/run.ts';
import { withSql } from '../../../stack/sql.ts';
import { environments } from './command-lines.ts';
import { lines } from './docker.ts';
import type { TestEnvironment } from './environment.ts';
import { isPurged, type Row } from './instances.ts';

/** How long a transaction of Odoo's may last, in milliseconds. */
const LONGEST_TRANSACTION_MS = 120_000;

/** Tables of the manager that must not contain any instance's secret, as text. */
const TABLES = [
  ...['odoo_docker_instance', 'odoo_docker_repository', 'microsaas_subscription', 'mail_message'],
  ...['mail_tracking_value', 'account_move', 'ir_logging', 'ir_config_parameter'],
];

/**
 * I6: secrets are in files that only their owner may read, and nowhere else. What only grows (logs, messages, the command lines seen) is
 * searched from where the last audit ended: what an instance's secret could be in is no older than the instance.
 * @param since when the last audit began
 */
export async function auditSecrets(env: TestEnvironment, rows: Row[], since: Date): Promise<void> {
  await auditModes(env);
  const own = await instanceSecrets(env);
  const stack = await Promise.all(
    ['api-key', 'webhook-secret', 'postgres-password'].map(async (name) => ({
      where: `sidecar/${name}`,
      value: (await env.stack.files.read(`sidecar/${name}`)) ?? '',
    })),
  );
  const ofManager = await managerText(env, since);
  expectNone(own, { 'the manager’s database': ofManager });
  const names = (await env.containers()).map((it) => it.Name.slice(1));
  const all = [...names, ...Object.values(env.stack.containers.names)];
  const inspected = await run('docker', ['container', 'inspect', '--', ...all]);
  expectNone([...own, ...stack], {
    'docker inspect': inspected,
    'a command line': env.commandLines.takeNew(),
    'an environment': environments(),
    'the sidecar’s log': await env.sidecar.output(since),
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

async function auditModes(env: TestEnvironment): Promise<void> {
  const print = ['-type', 'f', '-printf', '%m %p\n'] as const;
  const secret = ['(', '-path', '*/secrets/*', '-o', '-name', '*.conf', ')'] as const;
  for (const line of lines(await env.onHost('find', env.instancesDir, ...secret, ...print)))
    expect(line).to.match(/^600 /);
  const dataDir = env.stack.files.dataDir;
  const open = ['-path', `${dataDir}/backups`, '-perm', '/077'] as const;
  expect(await env.onHost('find', dataDir, '-maxdepth', '1', ...open), 'backups').to.equal('');
}

async function instanceSecrets(env: TestEnvironment): Promise<Secret[]> {
  const files = ['find', env.instancesDir, '-path', '*/secrets/*', '-type', 'f'] as const;
  const found = lines(await env.onHost(...files, '-exec', 'grep', '-H', '', '{}', '+'));
  return found.map((line) => {
    const [where = '', value = ''] = line.split(':');
    return { where, value };
  });
}

async function managerText(env: TestEnvironment, since: Date): Promise<string> {
  // What a transaction writes has the time at which that began.
  const from = new Date(Math.max(0, since.getTime() - LONGEST_TRANSACTION_MS)).toISOString();
  return withSql(await env.stack.managerSql(), 'manager', async (sql) => {
    const texts: string[] = [];
    for (const table of TABLES) {
      const found = await sql(
        `SELECT string_agg(t::text, E'\\n') AS text FROM ${table} t
          WHERE write_date >= ($1::timestamptz AT TIME ZONE 'UTC')`,
        [from],
      );
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
