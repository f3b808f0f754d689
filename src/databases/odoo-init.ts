import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { containersRemove } from '../docker/commands.ts';
import { type DockerCli, ignoreFailure } from '../docker/docker-cli.ts';
import type { Images } from '../docker/images.ts';
import { odooOnce } from '../docker/odoo-once.ts';
import { accessTo, odooOptions } from '../docker/postgres-access.ts';
import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import type { UnixUser } from '../host/files.ts';
import type { PostgresServer, RepositoryCommit } from '../instance/types.ts';
import { type Checkout, mountsOf } from '../repositories/checkout-layout.ts';
import type { Repositories } from '../repositories/repositories.ts';

/** A template of many modules takes some minutes on a small machine. */
const TIMEOUT_MS = 30 * 60_000;

/** Exit codes of Odoo that mean faulty modules; others are Docker's, a signal's or the kernel's. */
const ODOO_FAILED = new Set([1, 255]);

/**
 * Compiles the asset bundles of the first pages, which Odoo keeps as attachments: otherwise the first visitor of every clone
 * waits for that. Odoo 17, 18 and 19 know these names; each website has bundles of its own. Only these few: each further one is
 * copied with every clone.
 */
const COMPILE_ASSETS = `
def compile(website, scripts, styles):
    qweb = env['ir.qweb'].with_context(website_id=website)
    for name in scripts:
        qweb._get_asset_bundle(name, css=False, js=True).js()
    for name in styles:
        qweb._get_asset_bundle(name, css=True, js=False).css()

compile(False, ['web.assets_web'], ['web.assets_web', 'web.assets_web_print'])
websites = env['website'].search([]).ids if 'website' in env else [False]
for website in websites:
    compile(
        website,
        ['web.assets_frontend_minimal', 'web.assets_frontend_lazy'],
        ['web.assets_frontend'],
    )
env.cr.commit()
`;

/**
 * Sets the company's country, as Odoo does when it creates a database (service/db.py), but before modules are installed: `account`
 * takes country, currency and chart of accounts from the company, and installs that country's localisation modules.
 * @param code ISO 3166 alpha-2, upper case
 */
function setCountry(code: string): string {
  if (!/^[A-Z]{2}$/.test(code)) throw new TypeError(`not the code of a country: ${code}`);
  return `
country = env['res.country'].search([('code', '=', '${code}')])
company = env.ref('base.main_company')
company.country_id = country
if country.currency_id:
    country.currency_id.active = True
    company.currency_id = country.currency_id
env.cr.commit()
`;
}

/** What a run needs of the host; `install` is for its container's label. */
export interface OdooInitHost {
  readonly install: string;
  readonly docker: DockerCli;
  readonly images: Images;
  readonly repositories: Repositories;
}

/** An empty database, and what Odoo is to fill it with. */
export interface OdooInitRun {
  /** The container's name. */
  readonly container: string;
  readonly image: string;
  readonly server: PostgresServer;
  readonly database: string;
  readonly password: string;
  readonly filestoreDir: string;
  readonly modules: readonly string[];
  /** Sources of modules in addition to the image. */
  readonly repositories: readonly RepositoryCommit[];
  /** Odoo language codes beside English, which is there. */
  readonly languages: readonly string[];
  /** ISO 3166 alpha-2, or ''. */
  readonly countryCode: string;
  readonly signal: AbortSignal;
}

/** Runs Odoo once in a container to fill an empty database. */
export type OdooInit = (run: OdooInitRun) => Promise<void>;

/**
 * Runs Odoo in a container that reaches the database server alone: to set the company's country, install modules and compile assets.
 * The password is in a 0600 file beside the filestore, never in an argument.
 * @throws TerminalError('ModulesFailed') when Odoo cannot install the modules; RetryableError when the run was interrupted
 */
export function odooInit(host: OdooInitHost): OdooInit {
  return (run) => fill(host, run);
}

async function fill(host: OdooInitHost, run: OdooInitRun): Promise<void> {
  const { container, signal } = run;
  const owner = await host.images.user(run.image);
  const checkouts = await Promise.all(run.repositories.map((it) => host.repositories.checkout(it)));
  const access = await accessTo(host, run.server);
  const conf = join(run.filestoreDir, '..', 'odoo.conf');
  const odoo = (subcommand: readonly string[], options: readonly string[], input?: string) =>
    host.docker(
      odooOnce(
        {
          ...run,
          access,
          owner,
          conf,
          install: host.install,
          kind: 'odoo-init',
          addons: mountsOf(checkouts),
        },
        subcommand,
        options,
      ),
      {
        ...{ timeoutMs: TIMEOUT_MS, signal },
        ...(input === undefined ? {} : { input }),
      },
    );
  // A container left behind by a sidecar that was killed would still be writing to the database.
  const removeContainer = () => host.docker(containersRemove([container])).catch(ignoreFailure);
  const language = run.languages.length > 0 ? [`--load-language=${run.languages.join(',')}`] : [];
  const install = [`--init=${run.modules.join(',')}`, ...language, '--stop-after-init'];

  try {
    await writeConf(conf, run, owner, checkouts);
    await removeContainer();
    if (run.countryCode) {
      await odoo([], ['--init=base', '--stop-after-init']);
      await odoo(['shell'], [], setCountry(run.countryCode));
    }
    await odoo([], install);
    await odoo(['shell'], [], COMPILE_ASSETS);
  } catch (cause) {
    if (!(cause instanceof CommandError) || signal.aborted) throw cause;
    const detail = run.modules.join(', ');
    if (!ODOO_FAILED.has(cause.exitCode ?? 0))
      throw new RetryableError(
        'ModulesInterrupted',
        'The installation of the modules was cut short.',
        {
          cause,
          detail,
        },
      );
    throw new TerminalError('ModulesFailed', 'Odoo could not install the modules of this plan.', {
      cause,
      detail,
    });
  } finally {
    await rm(conf, { force: true });
    await removeContainer();
  }
}

async function writeConf(
  conf: string,
  run: OdooInitRun,
  { uid, gid }: UnixUser,
  checkouts: readonly Checkout[],
): Promise<void> {
  await mkdir(run.filestoreDir, { recursive: true });
  await writeFile(conf, odooConf(run.server, run.database, run.password, checkouts), {
    mode: 0o600,
  });
  await chown(conf, uid, gid);
  await chown(run.filestoreDir, uid, gid);
}

/** An odoo.conf for one run on one database. */
export function odooConf(
  server: PostgresServer,
  user: string,
  password: string,
  checkouts: readonly Checkout[],
): string {
  const lines = [
    '[options]',
    ...Object.entries(odooOptions(server)).map(([name, value]) => `${name} = ${value}`),
    `db_user = ${user}`,
    `db_password = ${password}`,
    'data_dir = /var/lib/odoo',
    'list_db = False',
    'without_demo = True',
    ...addonsPath(checkouts),
  ];
  return `${lines.join('\n')}\n`;
}

/** Odoo always has its own addons in addition. */
function addonsPath(checkouts: readonly Checkout[]): string[] {
  const folders = mountsOf(checkouts).flatMap(({ addonsFolders }) => addonsFolders);
  return folders.length > 0 ? [`addons_path = ${folders.join(',')}`] : [];
}
