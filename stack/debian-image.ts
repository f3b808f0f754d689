import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { parse } from 'yaml';
import { aptDownload, aptInstall, debianSites, isRoot } from './apt.ts';
import { contentHash } from './content-hash.ts';
import { repository, varPath } from './paths.ts';
import { RunError, run, succeeds } from './run.ts';

/** `images/<name>/recipe.yaml`: one image made of Debian's packages. */
interface Recipe {
  tag: string;
  /** The suite its packages (packages.txt) come from. */
  suite: string;
  /** Packages of another suite, installed by the customize script alone. */
  foreign: { package: string; suite: string }[];
  /** Files of the recipe's folder and their absolute places in the image. */
  files: { from: string; to: string }[];
  /** Scripts of the recipe's folder; $1 is the image's root, $2 the folder of foreign packages. */
  prepare?: string;
  customize?: string;
  /** Dockerfile instructions of the image's configuration. */
  config: string[];
}

/** Documentation and translations of the system: nobody reads them inside a container. */
const LEFT_OUT = ['/usr/share/man/*', '/usr/share/locale/*', '/usr/share/doc/*/changelog*'];

/** On an image that was built here: which recipe it was built from. One that was pulled has none. */
const RECIPE_LABEL = 'microsaas.recipe';

/** Whether an image that is here was built from another recipe than that of `images/<name>` now. */
export async function isOutdated(name: string, tag: string): Promise<boolean> {
  const format = `{{index .Config.Labels "${RECIPE_LABEL}"}}`;
  const recipe = await run('docker', ['image', 'inspect', '--format', format, '--', tag]);
  return recipe !== '' && recipe !== (await recipeHash(name));
}

async function recipeHash(name: string): Promise<string> {
  return contentHash(repository, [join('images', name)]);
}

/**
 * Builds the image of `images/<name>` with mmdebstrap and gives it its tag.
 * @throws Error when mmdebstrap is absent and can't be installed, RunError when the build fails
 */
export async function buildFromDebian(name: string): Promise<void> {
  const folder = join(repository, 'images', name);
  const recipe = parse(await readFile(join(folder, 'recipe.yaml'), 'utf8')) as Recipe;
  await ensureMmdebstrap();
  await mkdir(varPath('images'), { recursive: true });
  const foreign = await mkdtemp(varPath('images', `${name}-`));
  try {
    for (const wanted of recipe.foreign) {
      await aptDownload(wanted.package, wanted.suite, foreign);
    }
    const include = await packageList(join(folder, 'packages.txt'));
    const args = mmdebstrapArguments(recipe, folder, foreign, include);
    const passing = `microsaas-import:${name}`;
    await importOutput([...args, recipe.suite, '-', ...(await sourceLines(recipe.suite))], passing);
    // The tag comes last: a tagged image is always a whole one.
    const label = `LABEL ${RECIPE_LABEL}=${await recipeHash(name)}`;
    const dockerfile = [`FROM ${passing}`, ...recipe.config, label, ''].join('\n');
    await run('docker', ['build', '--quiet', '--tag', recipe.tag, '-'], { input: dockerfile });
    await run('docker', ['image', 'rm', '--no-prune', '--', passing]);
  } finally {
    await rm(foreign, { recursive: true, force: true });
  }
}

async function ensureMmdebstrap(): Promise<void> {
  if (await succeeds('mmdebstrap', ['--version'])) return;
  if (!isRoot()) {
    throw new Error('No image registry answers: install the Debian package "mmdebstrap".');
  }
  await aptInstall(['mmdebstrap']);
}

async function packageList(file: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

async function sourceLines(suite: string): Promise<string[]> {
  const { main, security } = await debianSites();
  const lines = [`deb ${main} ${suite} main`, `deb ${main} ${suite}-updates main`];
  if (security !== undefined) lines.push(`deb ${security} ${suite}-security main`);
  return lines;
}

function mmdebstrapArguments(
  recipe: Recipe,
  folder: string,
  foreign: string,
  include: string[],
): string[] {
  const script = (file: string) => `sh ${quoted(join(folder, file))} "$1" ${quoted(foreign)}`;
  return [
    '--variant=minbase',
    '--format=tar',
    `--include=${include.join(',')}`,
    ...LEFT_OUT.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    ...(recipe.prepare ? [`--essential-hook=${script(recipe.prepare)}`] : []),
    ...recipe.files.map(
      ({ from, to }) => `--customize-hook=upload ${quoted(join(folder, from))} ${quoted(to)}`,
    ),
    ...(recipe.customize ? [`--customize-hook=${script(recipe.customize)}`] : []),
  ];
}

/** mmdebstrap hands its hooks to a shell, so a checkout's path must survive one. */
function quoted(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}

/** Runs mmdebstrap into `docker import`, under a passing tag that is gone when either fails. */
async function importOutput(args: string[], tag: string): Promise<void> {
  const bootstrap = execa('mmdebstrap', args, {
    reject: false,
    stdin: 'ignore',
    buffer: { stdout: false },
    // On failure it sends SIGHUP to its whole process group, which must not be ours.
    detached: true,
  });
  const imported = await bootstrap.pipe('docker', ['import', '-', tag], { reject: false });
  const made = await bootstrap;
  if (!made.failed && !imported.failed) return;
  if (!imported.failed) await run('docker', ['image', 'rm', '--', tag]);
  const output = `${made.stderr}\n${imported.stderr}`;
  throw new RunError('Building it', made.failed ? made.exitCode : imported.exitCode, output);
}
