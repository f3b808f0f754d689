import { chown, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { containersRemove } from '../docker/commands.ts';
import { type DockerCli, ignoreFailure } from '../docker/docker-cli.ts';
import { hardenedRun, LOWEST_PRIORITY } from '../docker/helpers.ts';
import type { Images } from '../docker/images.ts';
import { odooOnce } from '../docker/odoo-once.ts';
import { accessTo } from '../docker/postgres-access.ts';
import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import type { PostgresServer, RepositoryCommit } from '../instance/types.ts';
import type { TenantLogin } from '../postgres/tenant-session.ts';
import { mountsOf } from '../repositories/checkout-layout.ts';
import type { Repositories } from '../repositories/repositories.ts';
import { odooConf } from './odoo-init.ts';

/** How long Odoo may take to update all modules of a database, in milliseconds. */
const UPDATE_TIMEOUT_MS = 60 * 60_000;

/** How long it may take to load the registry and show its login page. */
const VERIFY_TIMEOUT_MS = 5 * 60_000;

/** How long all runs of a rehearsal may take together, in milliseconds. */
export const REHEARSAL_MS = UPDATE_TIMEOUT_MS + 2 * VERIFY_TIMEOUT_MS;

const HASH_TIMEOUT_MS = 5 * 60_000;

/** How many errors from before an update are kept, and how much of each, in characters. */
const MOST_KNOWN = 50;
const LINE_LENGTH = 300;

/** Names the reason in what Odoo writes. */
const MARK = 'microsaas-verify:';

/**
 * A hash of each module's files, as click-odoo-update takes it: not what is compiled, nor what an update does not read. The first folder
 * that has a module is the one that Odoo takes.
 */
const HASH_MODULES = `
import hashlib, json, os, sys
import odoo

found = {}
places = sys.argv[1:] + [os.path.join(path, 'addons') for path in odoo.__path__]
for place in places + ['/usr/lib/python3/dist-packages/odoo/addons']:
    if not os.path.isdir(place):
        continue
    for name in sorted(os.listdir(place)):
        root = os.path.join(place, name)
        if name in found or not os.path.isfile(os.path.join(root, '__manifest__.py')):
            continue
        digest = hashlib.sha256()
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(one for one in folders if one != '__pycache__')
            if folder == root:
                folders[:] = [one for one in folders if one not in ('static', 'tests')]
            for file in sorted(files):
                if file.endswith(('.pyc', '.pot')):
                    continue
                path = os.path.join(folder, file)
                digest.update(os.path.relpath(path, root).encode() + b'\\0')
                with open(path, 'rb') as content:
                    digest.update(hashlib.sha256(content.read()).digest())
        found[name] = digest.hexdigest()
print(json.dumps(found))
`;

/**
 * What is verified after an update, by a program that Odoo's shell runs: the registry has been loaded by then. The login page is asked for as
 * a browser does, through the whole application.
 * @param newModules what is to be installed by now
 */
const verify = (newModules: readonly string[]) => `
unfinished = env['ir.module.module'].search([('state', 'like', 'to %')]).mapped('name')
installed = env['ir.module.module'].search([('state', '=', 'installed')]).mapped('name')
unfinished += [name for name in ${JSON.stringify(newModules)} if name not in installed + unfinished]
if unfinished:
    print('${MARK} modules ' + ', '.join(unfinished))
else:
    from odoo.http import root
    from werkzeug.test import Client
    status = Client(root).get('/web/login').status_code
    print('${MARK} ' + ('well' if status == 200 else 'login %s' % status))
`;

const hashes = z.record(z.string().regex(/^[A-Za-z0-9_]+$/), z.string().regex(/^[0-9a-f]{64}$/));
type Hashes = z.infer<typeof hashes>;

/** What an instance runs: the image, by anything that names it, and the commits of its repositories. */
export interface Versions {
  readonly image: string;
  readonly repositories: readonly RepositoryCommit[];
}

export interface OdooUpdateRun extends Versions {
  /** The container's name. */
  readonly container: string;
  readonly server: PostgresServer;
  readonly login: TenantLogin;
  /** Holds the database's own folder. */
  readonly filestoreDir: string;
  /** Where odoo.conf is written as long as it runs. */
  readonly conf: string;
  /** What is updated where it is installed. */
  readonly modules: readonly string[];
  /** What is installed. */
  readonly newModules: readonly string[];
  /** See OdooOnce. */
  readonly isLowPriority: boolean;
  /** See errorsBefore(). */
  readonly knownErrors: readonly string[];
  readonly signal: AbortSignal;
}

/** Runs Odoo once on a database that nobody uses, to update modules and to see what came of it. */
export class OdooUpdate {
  readonly #host: {
    readonly install: string;
    readonly docker: DockerCli;
    readonly images: Images;
    readonly repositories: Repositories;
  };
  /** By image and commits: neither changes. */
  readonly #hashes = new Map<string, Promise<Hashes>>();

  constructor(host: {
    readonly install: string;
    readonly docker: DockerCli;
    readonly images: Images;
    readonly repositories: Repositories;
  }) {
    this.#host = host;
  }

  /** The names of the modules whose code is another one, or new. What is gone is not among them. */
  async changedModules(before: Versions, after: Versions, signal: AbortSignal): Promise<string[]> {
    const now = await this.#hashesOf(after, signal);
    // An update is the way out for an instance whose image is gone: nobody can tell what is the same, so all is updated.
    const old = await this.#hashesOf(before, signal).catch((error) => {
      if (error instanceof TerminalError && error.reason === 'ImageGone') return {} as Hashes;
      throw error;
    });
    return Object.keys(now)
      .filter((name) => now[name] !== old[name])
      .sort();
  }

  /**
   * What Odoo logs at ERROR on these data before anything is updated, such as of a file that an image of Debian's lacks: no update has
   * caused that. None where the image of these versions is gone.
   */
  async errorsBefore(run: OdooUpdateRun): Promise<string[]> {
    await this.end(run.container);
    try {
      await this.#writeConf(run);
      return errorsIn(await this.#odoo(run, ['shell'], [], verify([]))).slice(0, MOST_KNOWN);
    } catch (error) {
      run.signal.throwIfAborted();
      // What does not start as it is may be what is updated for that.
      if (error instanceof TerminalError) return [];
      throw error;
    } finally {
      await rm(run.conf, { force: true });
      await this.end(run.container);
    }
  }

  /**
   * Updates and installs modules and verifies: the registry loads, no module is half installed, the login page answers 200, and Odoo has
   * logged no error meanwhile that it did not log before.
   * @throws TerminalError('UpdateFailed') with the line that says why; RetryableError('ModulesInterrupted')
   */
  async run(run: OdooUpdateRun): Promise<void> {
    const { conf, container, knownErrors, modules, newModules } = run;
    const changes = [
      ...(modules.length > 0 ? [`--update=${modules.join()}`] : []),
      ...(newModules.length > 0 ? [`--init=${newModules.join()}`] : []),
    ];
    await this.end(container);
    try {
      await this.#writeConf(run);
      if (changes.length > 0)
        refuseErrors(await this.#odoo(run, [], [...changes, '--stop-after-init']), knownErrors);
      const said = await this.#odoo(run, ['shell'], [], verify(newModules));
      const [, result = ''] = new RegExp(`^${MARK} (.*)$`, 'm').exec(said) ?? [];
      if (result !== 'well') throw failed(result || 'Odoo has ended before it was verified');
      refuseErrors(said, knownErrors);
    } finally {
      await rm(conf, { force: true });
      await this.end(container);
    }
  }

  /** Ends what a sidecar that was killed may have left running: it would write to a database of the same name. */
  async end(container: string): Promise<void> {
    await this.#host.docker(containersRemove([container])).catch(ignoreFailure);
  }

  async #odoo(
    run: OdooUpdateRun,
    subcommand: readonly string[],
    options: readonly string[],
    input?: string,
  ): Promise<string> {
    const { docker, images, install, repositories } = this.#host;
    const checkouts = await Promise.all(run.repositories.map((it) => repositories.checkout(it)));
    const command = odooOnce(
      {
        ...{ ...run, install, kind: 'odoo-init', addons: mountsOf(checkouts) },
        access: await accessTo({ install, docker }, run.server),
        image: await images.pinnedId(run.image),
        database: run.login.database,
        owner: await images.user(await images.pinnedId(run.image)),
      },
      subcommand,
      options,
    );
    const timeoutMs = input === undefined ? UPDATE_TIMEOUT_MS : VERIFY_TIMEOUT_MS;
    const { signal } = run;
    return docker(command, { timeoutMs, signal, mixed: true, input: input ?? '' }).catch(
      (cause) => {
        signal.throwIfAborted();
        if (!(cause instanceof CommandError)) throw cause;
        // Docker's own, a signal's or the kernel's.
        if (cause.exitCode !== 1 && cause.exitCode !== 255)
          throw new RetryableError('ModulesInterrupted', 'The update was cut short.', { cause });
        throw failed(errorIn(cause.stderr), cause);
      },
    );
  }

  #hashesOf(versions: Versions, signal: AbortSignal): Promise<Hashes> {
    const commits = versions.repositories.map(({ commit, url }) => `${commit} ${url}`);
    const key = [versions.image, ...commits].join('\n');
    const found = this.#hashes.get(key) ?? this.#hash(versions, signal);
    this.#hashes.set(key, found);
    found.catch(() => this.#hashes.delete(key));
    return found;
  }

  async #hash({ image, repositories }: Versions, signal: AbortSignal): Promise<Hashes> {
    const { docker, images, install } = this.#host;
    const checkouts = await Promise.all(
      repositories.map((it) => this.#host.repositories.checkout(it)),
    );
    const mounts = mountsOf(checkouts);
    const output = await docker(
      hardenedRun({
        ...{ install, kind: 'python-packages', image: await images.pinnedId(image) },
        ...{ network: 'none', pids: 64, memory: '512m', entrypoint: 'python3' },
        options: [
          LOWEST_PRIORITY,
          ...mounts.map(({ path, target }) => `--volume=${path}:${target}:ro`),
        ],
        args: ['-c', HASH_MODULES, ...mounts.flatMap(({ addonsFolders }) => addonsFolders)],
      }),
      { timeoutMs: HASH_TIMEOUT_MS, signal },
    );
    return hashes.parse(JSON.parse(output));
  }

  async #writeConf(run: OdooUpdateRun): Promise<void> {
    const { images, repositories } = this.#host;
    const { uid, gid } = await images.user(await images.pinnedId(run.image));
    const checkouts = await Promise.all(run.repositories.map((it) => repositories.checkout(it)));
    const { password, role } = run.login;
    await writeFile(run.conf, odooConf(run.server, role, password, checkouts), { mode: 0o600 });
    await chown(run.conf, uid, gid);
  }
}

/** A line of Odoo's log at ERROR or CRITICAL: `2026-11-27 07:00:00,123 7 ERROR database odoo.…: …`. */
const ERROR_LINE = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ \d+ (?:ERROR|CRITICAL) \S+ (.*)$/gm;

/** Each once, cut short: a tenant's modules may log anything. */
function errorsIn(log: string): string[] {
  const lines = [...log.matchAll(ERROR_LINE)].map(([, line = '']) => line.slice(0, LINE_LENGTH));
  return [...new Set(lines)];
}

function refuseErrors(log: string, known: readonly string[]): void {
  const line = errorsIn(log).find((one) => !known.includes(one));
  if (line !== undefined) throw failed(line);
}

/** What of a log says best why: its last line, which ends a traceback. */
function errorIn(log: string): string {
  return log.trim().split('\n').at(-1) ?? '';
}

function failed(why: string, cause?: unknown): TerminalError {
  const detail = why.replaceAll(/\p{Cc}/gu, ' ').slice(0, 200);
  return new TerminalError('UpdateFailed', `The update has failed: ${detail}`, { cause, detail });
}
