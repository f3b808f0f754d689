import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import { exec } from './exec.ts';

/** A template of many modules takes some minutes on a small machine. */
const TIMEOUT = 30 * 60_000;

/** Exit codes by which Odoo says that the modules themselves are wrong; others are Docker's, a signal's or the kernel's. */
const ODOO_FAILED = new Set([1, 255]);

export interface OdooInitRun {
  /** The container's name. */
  readonly container: string;
  readonly image: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly socketDir: string;
  readonly database: string;
  readonly password: string;
  readonly filestoreDir: string;
  readonly modules: readonly string[];
  readonly lang: string;
  readonly signal: AbortSignal;
}

/**
 * Runs Odoo once, without a network, to install modules into an empty database.
 * The password is in a 0600 file beside the filestore, never in an argument.
 * @throws TerminalError('ModulesFailed') when Odoo says that the modules cannot be installed.
 */
export async function runOdooInit(install: string, run: OdooInitRun): Promise<void> {
  const { container } = run;
  const { uid, gid } = run.owner;
  const conf = join(run.filestoreDir, '..', 'odoo.conf');
  await mkdir(run.filestoreDir, { recursive: true });
  await writeFile(
    conf,
    [
      '[options]',
      'db_host = /run/postgresql',
      `db_user = ${run.database}`,
      `db_password = ${run.password}`,
      'data_dir = /var/lib/odoo',
      'list_db = False',
      'without_demo = True',
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  await chown(conf, uid, gid);
  await chown(run.filestoreDir, uid, gid);

  // A container left behind by a sidecar that was killed would still be writing to the database.
  await exec(['docker', 'rm', '--force', '--', container]).catch(ignoreAbsent);
  try {
    await exec(
      [
        'docker',
        'run',
        '--rm',
        `--name=${container}`,
        `--label=microsaas.install=${install}`,
        '--network=none',
        '--cap-drop=ALL',
        '--security-opt=no-new-privileges',
        '--read-only',
        '--tmpfs=/tmp',
        `--tmpfs=/var/lib/odoo:uid=${uid},gid=${gid},mode=0700`,
        '--pids-limit=256',
        `--volume=${conf}:/etc/odoo/odoo.conf:ro`,
        `--volume=${run.socketDir}:/run/postgresql:ro`,
        `--volume=${run.filestoreDir}:/var/lib/odoo/filestore`,
        '--entrypoint=odoo',
        '--',
        run.image,
        '--config=/etc/odoo/odoo.conf',
        `--database=${run.database}`,
        `--init=${run.modules.join(',')}`,
        ...(run.lang && run.lang !== 'en_US' ? [`--load-language=${run.lang}`] : []),
        '--stop-after-init',
        '--no-http',
      ],
      { timeoutMs: TIMEOUT, signal: run.signal },
    );
  } catch (cause) {
    if (!(cause instanceof CommandError) || run.signal.aborted) throw cause;
    const detail = run.modules.join(', ');
    if (!ODOO_FAILED.has(cause.exitCode ?? 0))
      throw new RetryableError('ModulesFailed', 'The installation of the modules was cut short.', {
        cause,
        detail,
      });
    throw new TerminalError('ModulesFailed', 'Odoo could not install the modules of this plan.', {
      cause,
      detail,
    });
  } finally {
    await rm(conf, { force: true });
    await exec(['docker', 'rm', '--force', '--', container]).catch(ignoreAbsent);
  }
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof CommandError)) throw error;
}
