import type { Command } from '../host/exec.ts';
import type { UnixUser } from '../host/files.ts';
import { hardenedRun, LOWEST_PRIORITY } from './helpers.ts';
import type { PostgresAccess } from './postgres-access.ts';

/** How long Odoo may take until it shows its login page, in seconds: on a host that has much else to do too. */
export const BOOT_SECONDS = 5 * 60;

/** The exit code of the question for the login page where the answer is an error. */
export const EXIT_NO_LOGIN = 3;

/** Odoo's server on a copy of a tenant's data. */
export interface OdooBoot {
  readonly install: string;
  /** The container's name. */
  readonly container: string;
  readonly image: string;
  readonly owner: UnixUser;
  /** Absolute paths on the host: odoo.conf, and the files of the database. */
  readonly conf: string;
  readonly filestore: string;
  readonly database: string;
  readonly access: PostgresAccess;
  /** Folders of the host where Odoo finds modules, and where it sees them. */
  readonly addons: ReadonlyArray<{ readonly path: string; readonly target: string }>;
}

/**
 * Starts it, where it reaches the database server alone: it is asked from within. What runs there is the tenant's: it can write nothing on the host's disk but what
 * its log may be.
 */
export function odooBoot({ addons, ...run }: OdooBoot): Command {
  const { access, conf, database, filestore, owner } = run;
  return hardenedRun({
    ...{ install: run.install, kind: 'boot', image: run.image, isDetached: true },
    network: access.network,
    ...{ pids: 128, memory: '1g' },
    options: [
      ...[`--name=${run.container}`, LOWEST_PRIORITY, '--memory-swap=1g', '--cpus=2', '--init'],
      ...['--log-opt=max-size=1m', '--log-opt=max-file=1'],
      ...['--env=MALLOC_ARENA_MAX=2', '--env=HOME=/tmp'],
      ...[`--user=${owner.uid}:${owner.gid}`, '--tmpfs=/tmp:mode=1777,size=64m'],
      `--tmpfs=/var/lib/odoo:uid=${owner.uid},gid=${owner.gid},mode=0700,size=64m`,
      // The image declares a volume here, and the mounts below need a folder.
      '--tmpfs=/mnt/extra-addons:mode=0555,size=64k',
      `--volume=${conf}:/etc/odoo/odoo.conf:ro`,
      ...access.options,
      `--volume=${filestore}:/var/lib/odoo/filestore/${database}:ro`,
      ...addons.map(({ path, target }) => `--volume=${path}:${target}:ro`),
    ],
    entrypoint: 'odoo',
    args: ['--config=/etc/odoo/odoo.conf'],
  });
}

/**
 * Asks for the login page until it is there. One with a website of several languages redirects to that of the visitor's first; no other
 * redirection is followed. What is there stays an error: after a few it is one.
 */
const AWAIT_LOGIN = `
import http.client, re, sys, time

def ask(path):
    connection = http.client.HTTPConnection('127.0.0.1', 8069, timeout=60)
    connection.request('GET', path)
    answer = connection.getresponse()
    return answer.status, answer.getheader('Location') or ''

end, errors, status = time.monotonic() + ${BOOT_SECONDS}, 0, 0
while time.monotonic() < end and errors < 5:
    try:
        status, place = ask('/web/login')
        at = re.fullmatch(r'(?:http://127[.]0[.]0[.]1:8069)?(/[\\w@-]+/web/login)(?:[?].*)?', place)
        if at and status // 100 == 3:
            status, _ = ask(at[1])
        if status == 200:
            sys.exit(0)
        errors += 1
    except (OSError, http.client.HTTPException):
        pass
    time.sleep(0.5)
print(status)
sys.exit(${EXIT_NO_LOGIN})
`;

/** Waits, in the container, until its Odoo shows the login page. Ends with EXIT_NO_LOGIN where it does not. */
export function awaitLogin(container: string): Command {
  return ['docker', 'exec', '--', container, 'python3', '-I', '-c', AWAIT_LOGIN];
}

/** Tells whether a container runs: `true` or `false`. */
export function isRunning(container: string): Command {
  const format = '--format={{.State.Running}}';
  return ['docker', 'container', 'inspect', format, '--', container];
}
