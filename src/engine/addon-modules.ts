import { compileCheckout, containersRemove } from '../docker/commands.ts';
import { type DockerCli, ignoreFailure } from '../docker/docker-cli.ts';
import type { Images } from '../docker/images.ts';
import { odooOnce } from '../docker/odoo-once.ts';
import { accessTo } from '../docker/postgres-access.ts';
import type { InstanceDirs } from '../files/instance-dir.ts';
import type { Templates } from '../files/templates.ts';
import { databaseName, projectName } from '../instance/name.ts';
import { detailOf, type Remark } from '../instance/reasons.ts';
import type { DesiredInstance, FetchedCommit, Plan, Repository } from '../instance/types.ts';
import { mountsOf } from '../repositories/checkout-layout.ts';
import { missingPackages } from '../repositories/python-packages.ts';
import type { Repositories } from '../repositories/repositories.ts';
import { commitsOf, type InstanceFiles } from './instance-files.ts';

/** How long renewing the list of Apps may take, in milliseconds: it waits for locks that a customer may hold. */
const APPS_LIST_TIMEOUT_MS = 60_000;

/** What *Update Apps List* does; run apart from the customer's Odoo, which has its memory for itself. */
const UPDATE_APPS_LIST = `
env['ir.module.module'].update_list()
env.cr.commit()
`;

export interface AddonModulesOptions {
  readonly install: string;
  readonly docker: DockerCli;
  readonly images: Images;
  readonly templates: Templates;
  readonly dirs: InstanceDirs;
  readonly repositories: Repositories;
  readonly files: InstanceFiles;
}

/** What repositories are fetched for. */
type Wanted = DesiredInstance | Pick<Plan, 'templateCode' | 'repositories'>;

/** Modules that instances have beside those of their image: fetched and compiled, and listed among their Apps. */
export class AddonModules {
  readonly #options: AddonModulesOptions;

  constructor(options: AddonModulesOptions) {
    this.#options = options;
  }

  /** See Engine.fetchRepositories(). */
  async fetch(
    wanted: Wanted,
    signal: AbortSignal,
  ): Promise<{ readonly commits: FetchedCommit[]; readonly remarks: Remark[] }> {
    const { docker, install, repositories } = this.#options;
    const compile = async (tree: string) => {
      const image = await this.#imageFor(wanted);
      // A file that is no Python fails the command, not the checkout: Odoo itself may never load it.
      await docker(compileCheckout(install, image, tree), { signal }).catch(ignoreFailure);
      signal.throwIfAborted();
    };
    const commits: FetchedCommit[] = [];
    const remarks: Remark[] = [];
    for (const repository of wanted.repositories) {
      const fetched = await repositories.fetch(repository, signal, compile);
      commits.push({ id: repository.id, commit: fetched.commit });
      remarks.push(...fetched.remarks);
      if (fetched.commit === repository.commit) continue;
      const missing = await missingPackages(
        docker,
        install,
        await this.#imageFor(wanted),
        repositories.path(fetched.commit),
        signal,
      );
      if (missing.length > 0) remarks.push(withoutPackages(repository, missing));
    }
    return { commits, remarks };
  }

  /** The image with which modules are to work: a plan has its template's, an instance the one that it is pinned to. */
  async #imageFor(wanted: Wanted): Promise<string> {
    const { files, images, templates } = this.#options;
    if ('identity' in wanted) return files.imageOf(wanted);
    return images.id(templates.get(wanted.templateCode).image);
  }

  /** See Engine.updateAppsList(). */
  async updateAppsList(desired: DesiredInstance, signal: AbortSignal): Promise<boolean> {
    const { dirs, docker, files, images, install, repositories } = this.#options;
    const image = await files.imageOf(desired);
    const container = `${projectName(install, desired.id)}-apps`;
    const command = odooOnce(
      {
        ...{ install, kind: 'apps-list', container, image },
        conf: dirs.paths(desired.id).conf,
        owner: await images.user(image),
        access: await accessTo({ install, docker }, files.serverOf(desired)),
        filestoreDir: '',
        database: databaseName(install, desired.id),
        addons: mountsOf(
          await Promise.all(desired.repositories.map((it) => repositories.checkout(it))),
        ),
      },
      ['shell'],
      [],
    );
    // Left behind by a sidecar that was killed, it would have the name.
    await docker(containersRemove([container])).catch(ignoreFailure);
    const renewed = await docker(command, {
      ...{ timeoutMs: APPS_LIST_TIMEOUT_MS, signal, input: UPDATE_APPS_LIST },
    }).then(
      () => true,
      (error) => {
        ignoreFailure(error);
        signal.throwIfAborted();
        return false;
      },
    );
    // After a failure too: its cause is in the customer's database, and would fail it again (ADR 2).
    await dirs.writeAppsList(desired.id, commitsOf(desired));
    return renewed;
  }
}

function withoutPackages({ url }: Repository, packages: readonly string[]): Remark {
  return { reason: 'PackagesMissing', detail: detailOf(url, packages.join(', ')) };
}
