import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { Cluster } from '../src/postgres/cluster.ts';
import { images } from '../stack/images.ts';
import { varPath } from '../stack/paths.ts';
import { run } from '../stack/run.ts';
import { startTenantPostgres } from '../test/support/tenant-postgres.ts';
import type { Benchmark } from './benchmark.ts';

/** How long each attack lasts, and how long the neighbour is measured before it. */
const ATTACK_MS = 6_000;
const QUIET_MS = 2_500;
const QUERY_LIMIT = 10_000;
/** The limits of `db` in templates/odoo-own-db. */
const OWN_LIMITS = ['--memory=512m', '--memory-swap=512m', '--cpus=1', '--pids-limit=256'];
const POSTGRES_USER = 999;

interface Server {
  readonly socketDir: string;
  readonly password: string;
  readonly attacker: string;
  readonly neighbour: string;
}
type Attack = (server: Server, until: AbortSignal) => Promise<void>;

const login = ({ socketDir, password }: Server, role: string, database = role) =>
  new Client({
    ...{ host: socketDir, user: role, password, database },
    ...{ connectionTimeoutMillis: QUERY_LIMIT, query_timeout: QUERY_LIMIT },
  });

/** `count` sessions of the attacker that each repeat `sql` until the end; refused ones are retried. */
function repeating(count: number, sql: readonly string[], inDatabase?: string): Attack {
  return async (server, until) => {
    const one = async () => {
      while (!until.aborted) {
        const client = login(server, server.attacker, inDatabase);
        client.on('error', () => {});
        const end = () => void client.end().catch(() => {});
        until.addEventListener('abort', end, { once: true });
        try {
          await client.connect();
          for (;;) for (const statement of sql) await client.query(statement);
        } catch {
          await sleep(20);
        } finally {
          until.removeEventListener('abort', end);
          await client.end().catch(() => {});
        }
      }
    };
    await Promise.all(Array.from({ length: count }, one));
  };
}

/** Connections that never authenticate. */
const halfOpen: Attack = async (server, until) => {
  const one = async () => {
    while (!until.aborted) {
      const socket = connect(join(server.socketDir, '.s.PGSQL.5432'));
      socket.on('error', () => {});
      const closed = new Promise((resolve) => socket.once('close', resolve));
      const end = () => socket.destroy();
      until.addEventListener('abort', end, { once: true });
      await closed;
      until.removeEventListener('abort', end);
      await sleep(20);
    }
  };
  await Promise.all(Array.from({ length: 200 }, one));
};

const ATTACKS: Readonly<Record<string, Attack>> = {
  'advisory locks': repeating(1, [
    'SELECT count(pg_advisory_lock(n)) FROM generate_series(1, 10000000) n',
  ]),
  'half-open logins': halfOpen,
  'catalog lock': repeating(
    1,
    ['BEGIN', 'SELECT count(*) FROM pg_database, pg_authid', 'SELECT pg_sleep(9)'],
    'postgres',
  ),
  'memory (work_mem)': repeating(4, [
    `SET work_mem = '2000MB'`,
    'SELECT count(*) FROM (SELECT DISTINCT md5(n::text) FROM generate_series(1, 4000000) n) x',
  ]),
  'temporary files': repeating(2, [
    `SET work_mem = '64kB'`,
    'SELECT count(*) FROM (SELECT n FROM generate_series(1, 3000000) n ORDER BY md5(n::text)) x',
  ]),
  'flood of NOTIFY': repeating(
    2,
    [
      'LISTEN flood',
      `SELECT count(pg_notify('flood', repeat(n::text, 500))) FROM generate_series(1, 5000) n`,
    ],
    'postgres',
  ),
  processors: repeating(8, ['SELECT count(md5(n::text)) FROM generate_series(1, 3000000) n']),
  connections: repeating(60, ['SELECT pg_sleep(9)']),
};

/** The neighbour's logins with one query each: the 99th percentile in milliseconds, and how many failed. */
async function watched(
  server: Server,
  ms: number,
): Promise<{ p99: number; failed: number; count: number }> {
  const taken: number[] = [];
  let failed = 0;
  const end = performance.now() + ms;
  while (performance.now() < end) {
    const began = performance.now();
    const client = login(server, server.neighbour);
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query('SELECT count(*) FROM pg_class');
    } catch {
      failed += 1;
    } finally {
      taken.push(performance.now() - began);
      await client.end().catch(() => {});
    }
    await sleep(10);
  }
  taken.sort((one, other) => one - other);
  return { p99: taken[Math.floor(taken.length * 0.99)] ?? 0, failed, count: taken.length };
}

async function tenantOn(cluster: Cluster, role: string, password: string): Promise<void> {
  await cluster.awaitAnswer(new AbortController().signal);
  await cluster.prepare();
  await cluster.ensureRole(role, password);
  await cluster.create(role, role);
}

/** Two servers with the limits of the template, of which the attacker has one. */
async function ownServers(install: string, password: string) {
  const dir = varPath('bench', 'neighbours');
  await rm(dir, { recursive: true, force: true });
  const made = await Promise.all(
    ['attacker', 'neighbour'].map(async (name) => {
      const folders = ['pgdata', 'socket'].map((it) => join(dir, name, it));
      for (const folder of folders) {
        await mkdir(folder, { recursive: true });
        await chown(folder, POSTGRES_USER, POSTGRES_USER);
      }
      const [pgdata = '', socketDir = ''] = folders;
      const file = join(dir, name, 'password');
      await writeFile(file, password, { mode: 0o644 });
      const container = `ms-${install}-neighbours-${name}`;
      const common = [
        ...[`--name=${container}`, `--label=microsaas.install=${install}`, '--network=none'],
        ...['--cap-drop=ALL', '--read-only', '--tmpfs=/tmp', ...OWN_LIMITS],
        ...[`--user=${POSTGRES_USER}:${POSTGRES_USER}`, `--volume=${file}:/password:ro`],
        `--volume=${pgdata}:/var/lib/postgresql/data`,
        `--volume=${socketDir}:/var/run/postgresql`,
      ];
      await run('docker', [
        ...['run', '--rm', ...common, '--entrypoint=initdb', images.postgres],
        ...['--username=postgres', '--auth=scram-sha-256', '--pwfile=/password'],
        '--pgdata=/var/lib/postgresql/data',
      ]);
      await run('docker', [
        ...['run', '--detach', ...common, '--stop-signal=SIGINT', images.postgres],
        ...['postgres', '-c', 'listen_addresses=', '-c', 'max_connections=64'],
      ]);
      return { container, socketDir };
    }),
  );
  const remove = async () => {
    await run('docker', ['rm', '--force', '--', ...made.map((it) => it.container)]);
    await rm(dir, { recursive: true, force: true });
  };
  return { socketDirs: made.map((it) => it.socketDir), remove };
}

/** What each attack of one tenant on Postgres costs another one: on a shared server, and with a server each. */
export const neighbours: Benchmark = {
  name: 'neighbours',
  about: 'a tenant attacks Postgres: what a neighbour notices, shared and own',
  measure: async ({ say }) => {
    const password = randomBytes(18).toString('base64url');
    const [attacker, neighbour] = ['bench_attacker', 'bench_neighbour'];
    const postgres = await startTenantPostgres('bench/neighbours-shared');
    const own = await ownServers(postgres.install, password);
    const rows: Record<string, unknown>[] = [];
    try {
      const shared = new Cluster(postgres.server);
      for (const role of [attacker, neighbour]) await tenantOn(shared, role, password);
      const [ofAttacker = '', ofNeighbour = ''] = own.socketDirs;
      const superuser = { user: 'postgres', password };
      await tenantOn(new Cluster({ ...superuser, socketDir: ofAttacker }), attacker, password);
      await tenantOn(new Cluster({ ...superuser, socketDir: ofNeighbour }), neighbour, password);
      const kinds = [
        ['shared', postgres.server.socketDir, postgres.server.socketDir],
        ['own', ofAttacker, ofNeighbour],
      ] as const;
      say('| attack | Postgres | p99 before | p99 during | ratio | failed |');
      say('|---|---|---|---|---|---|');
      for (const [name, attack] of Object.entries(ATTACKS))
        for (const [kind, from, to] of kinds) {
          const at = (socketDir: string) => ({ socketDir, password, attacker, neighbour });
          const before = await watched(at(to), QUIET_MS);
          const over = AbortSignal.timeout(ATTACK_MS);
          // One for each connection of the attack.
          setMaxListeners(0, over);
          const attacking = attack(at(from), over);
          await sleep(1_000);
          const during = await watched(at(to), ATTACK_MS - 1_000);
          await attacking;
          const ratio = during.p99 / before.p99;
          rows.push({ name, kind, before, during, ratio });
          say(
            `| ${name} | ${kind} | ${before.p99.toFixed(0)} ms | ${during.p99.toFixed(0)} ms | ${ratio.toFixed(1)} | ${during.failed} of ${during.count} |`,
          );
          await sleep(1_000);
        }
    } finally {
      await own.remove();
      await postgres.remove();
    }
    return { figures: [], samples: rows };
  },
};
