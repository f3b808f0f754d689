import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { OdooInit, OdooInitRun } from '../../src/databases/odoo-init.ts';
import { PgTools } from '../../src/postgres/pg-tools.ts';
import { contentHash } from '../../stack/content-hash.ts';
import { images } from '../../stack/images.ts';
import { repository, varPath } from '../../stack/paths.ts';
import { run as runProgram } from '../../stack/run.ts';

/** What this process has had installed: by what was asked for, the folder with its copy. */
const installed = new Map<string, Promise<string>>();

/** In that folder: the database, and the filestores' folder with its files under this name. */
const [DUMP, FILESTORES, NAME] = ['dump', 'filestores', 'database'];

/**
 * Has a real Odoo install what is asked for the first time in this process, and fills further databases with a copy of what came of it: an
 * installation takes half a minute of a processor, a copy some seconds. Modules of repositories are always installed anew.
 * @param install of what runs for it @param docker of the same host
 */
export function installedOnce(
  init: OdooInit,
  install: string,
  docker: ConstructorParameters<typeof PgTools>[2],
): OdooInit {
  const tools = new PgTools(install, images.postgres, docker);
  return async (run) => {
    if (run.repositories.length > 0) return init(run);
    const { countryCode, image, languages, modules } = run;
    const key = await contentHash(
      repository,
      [],
      ...[image, modules.join(), languages.join(), countryCode],
    );
    const known = installed.get(key);
    if (known !== undefined) return fill(run, await known, tools);
    const made = keep(init, run, key, tools);
    installed.set(key, made);
    await made.catch((error) => {
      installed.delete(key);
      throw error;
    });
  };
}

/** Installs, and keeps a copy. @returns its folder */
async function keep(
  init: OdooInit,
  run: OdooInitRun,
  key: string,
  tools: PgTools,
): Promise<string> {
  await init(run);
  const folder = varPath('installed', key);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await tools.dump(loginOf(run), join(folder, DUMP), run.signal, { isUncompressed: true });
  const filestores = join(folder, FILESTORES);
  await copyFiles(run.filestoreDir, filestores);
  await rename(join(filestores, run.database), join(filestores, NAME));
  return folder;
}

async function fill(run: OdooInitRun, folder: string, tools: PgTools): Promise<void> {
  await tools.restore(loginOf(run), join(folder, DUMP), run.signal);
  await copyFiles(join(folder, FILESTORES), run.filestoreDir);
  await rename(join(run.filestoreDir, NAME), join(run.filestoreDir, run.database));
}

function loginOf({ database, password, server }: OdooInitRun) {
  return { ...server, database, role: database, password };
}

/** With their owners, so as root in a container. */
async function copyFiles(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const mounts = [`--volume=${from}:/from:ro`, `--volume=${to}:/to`];
  const asRoot = ['run', '--rm', '--network=none', '--user=0', '--entrypoint=cp', ...mounts];
  await runProgram('docker', [...asRoot, '--', images.postgres, '-a', '-T', '--', '/from', '/to']);
}
