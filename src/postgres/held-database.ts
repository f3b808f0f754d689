import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getgid, getuid } from 'node:process';
import { z } from 'zod';
import type { HeldDockerCli } from '../docker/docker-cli.ts';
import { hardenedRun } from '../docker/helpers.ts';
import type { SocketServer } from '../docker/postgres-access.ts';
import { serviceOf } from './pg-tools.ts';
import type { TenantLogin } from './tenant-session.ts';

/** How long a database may be held, in milliseconds: as long as its files may take to be copied. */
const HELD_MS = 3 * 60 * 60_000;

/** What an open transaction sees of a database, and keeps so. */
const seenSchema = z.object({
  snapshot: z.string().regex(/^[0-9A-F-]{1,40}$/),
  bytes: z.number(),
  rows: z.record(z.string(), z.int().nonnegative()),
});
export type SeenDatabase = z.infer<typeof seenSchema>;

export interface PsqlOptions {
  readonly install: string;
  readonly image: string;
  readonly held: HeldDockerCli;
}

/**
 * Runs `work` while a transaction of an Odoo's own role is open: its snapshot is for pg_dump, and its lock keeps Odoo's garbage collection
 * from removing files.
 * @param folder of the sidecar's own, 0700: has the login as long as it runs
 * @param counted tables whose rows are counted
 * @throws CommandError too where the transaction ended before `work` did
 */
export type HoldDatabase = <T>(
  login: TenantLogin & SocketServer,
  folder: string,
  counted: readonly string[],
  work: (seen: SeenDatabase) => Promise<T>,
  signal: AbortSignal,
) => Promise<T>;

/** By psql in a container, for a server whose socket only Docker reaches. */
export function holdDatabase({ held, image, install }: PsqlOptions): HoldDatabase {
  return async (login, folder, counted, work, signal) => {
    const service = join(folder, 'service');
    await writeFile(service, serviceOf(login), { mode: 0o600 });
    const command = hardenedRun({
      ...{ install, kind: 'backup', image, mayPull: true, isInteractive: true },
      ...{ network: 'none', pids: 16, memory: '256m' },
      options: [
        `--user=${getuid?.() ?? 0}:${getgid?.() ?? 0}`,
        ...['--env=PGSERVICEFILE=/run/service', '--env=PGSERVICE=tenant'],
        `--volume=${service}:/run/service:ro`,
        `--volume=${login.socketDir}:/run/postgresql:ro`,
      ],
      entrypoint: 'psql',
      args: [
        ...['--no-psqlrc', '--no-password', '--quiet', '--tuples-only', '--no-align'],
        '--set=ON_ERROR_STOP=1',
      ],
    });
    const running = await held(command, { input: script(counted), timeoutMs: HELD_MS, signal });
    try {
      const result = await work(seenSchema.parse(JSON.parse(running.line)));
      // It notices only by asking that its server has ended the transaction.
      await running.end('COMMIT;\n');
      return result;
    } catch (error) {
      await running.end().catch(() => {}); // the error above is why
      throw error;
    }
  };
}

/** One line comes back. Tables that are not there are not counted. */
function script(counted: readonly string[]): string {
  const names = counted.map((table) => `'${table}'`).join(', ');
  const count = `query_to_xml(format('SELECT count(*) AS n FROM public.%I', relname), false, true, '')`;
  return [
    'BEGIN ISOLATION LEVEL REPEATABLE READ;',
    'LOCK TABLE public.ir_attachment IN ROW EXCLUSIVE MODE;',
    "SELECT json_build_object('snapshot', pg_export_snapshot(),",
    "'bytes', pg_database_size(current_database()), 'rows',",
    `(SELECT json_object_agg(relname, (xpath('//n/text()', ${count}))[1]::text::bigint)`,
    "FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
    `AND relname IN (${names})));\n`,
  ].join(' ');
}
