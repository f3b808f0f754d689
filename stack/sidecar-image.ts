import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contentHash } from './content-hash.ts';
import { images } from './images.ts';
import { repository, varPath } from './paths.ts';
import { run, succeeds } from './run.ts';
import { bundleSidecar } from './sidecar-bundle.ts';

/** What the image is made of, relative to the checkout. */
const SOURCES = [
  'Dockerfile',
  'images/sidecar',
  'package.json',
  'package-lock.json',
  'src',
  'stack/sidecar-bundle.ts',
  'templates',
];

/** Images of this checkout that are kept: another run may be about to start the one it has just built. */
const KEPT = 3;

/**
 * Builds the sidecar's image from this checkout unless one of the same content is there.
 * @returns its tag, `microsaas:<hash>`
 */
export async function ensureSidecarImage(): Promise<string> {
  const base = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', '--', images.base]);
  const hash = await contentHash(repository, SOURCES, base);
  const tag = `microsaas:${hash}`;
  if (await succeeds('docker', ['image', 'inspect', '--', tag])) return tag;
  // A folder of its own: a demo and a test run may build at the same time.
  await mkdir(varPath('image'), { recursive: true });
  const context = await mkdtemp(varPath('image', 'context-'));
  try {
    await prepareContext(context);
    await run('docker', [
      ...['build', '--quiet', '--network', 'none', '--build-arg', `BASE=${images.base}`],
      ...['--label', `microsaas.source=${hash}`, '--tag', tag, '--', context],
    ]);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
  await forgetEarlier(tag);
  return tag;
}

/** A folder with the sidecar's program, its packages in it, so that the build needs no network. */
async function prepareContext(context: string): Promise<void> {
  await bundleSidecar(join(context, 'dist'));
  for (const path of ['Dockerfile', 'package.json', 'images/sidecar', 'templates']) {
    await cp(join(repository, path), join(context, path), { recursive: true });
  }
}

/** Images of earlier states of this checkout would pile up; one that a container still uses stays. */
async function forgetEarlier(tag: string): Promise<void> {
  const file = varPath('image', 'tags');
  const text = await readFile(file, 'utf8').catch(() => '');
  const newestFirst = [tag, ...text.split('\n').filter((line) => line !== '' && line !== tag)];
  await writeFile(file, `${newestFirst.slice(0, KEPT).join('\n')}\n`);
  for (const earlier of newestFirst.slice(KEPT)) {
    await succeeds('docker', ['image', 'rm', '--', earlier]);
  }
}
