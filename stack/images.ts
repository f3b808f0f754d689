import { join } from 'node:path';
import { execa } from 'execa';
import { buildFromDebian, isOutdated } from './debian-image.ts';
import { repository } from './paths.ts';
import { type Say, timed } from './progress.ts';
import { run, succeeds } from './run.ts';

/** The images everything real runs on; the same tags whether pulled or built. */
export const images = {
  odoo: 'odoo:19.0',
  postgres: 'postgres:17',
  base: 'microsaas-base:3',
  caddy: 'caddy:2',
} as const;

/** How long a registry may take to begin answering; the download itself may take as long as it needs. */
const REGISTRY_ANSWER_MS = 20_000;

/**
 * Sees to it that the images exist: kept when present, else pulled, else built from Debian's packages. One that was
 * built here is built again when its recipe has changed.
 * @throws Error naming what is missing when none of the ways works
 */
export async function ensureImages(say: Say): Promise<void> {
  const [postgres, caddy, odoo, base] = await Promise.all([
    isWanted('postgres', images.postgres),
    isWanted('caddy', images.caddy),
    isWanted('odoo', images.odoo),
    isWanted('sidecar-base', images.base),
  ]);
  const ways: { name: string; tag: string; get: () => Promise<boolean> }[] = [];
  if (postgres) {
    ways.push({ name: 'postgres', tag: images.postgres, get: () => pull(say, images.postgres) });
  }
  if (caddy) ways.push({ name: 'caddy', tag: images.caddy, get: () => pull(say, images.caddy) });
  if (odoo) ways.push({ name: 'odoo', tag: images.odoo, get: () => pull(say, images.odoo) });
  if (base) ways.push({ name: 'sidecar-base', tag: images.base, get: () => buildBase(say) });

  const toBuild: typeof ways = [];
  let registryAnswers = true;
  for (const way of ways) {
    // One failed attempt tells that no registry answers: the others need none.
    registryAnswers &&= await way.get();
    if (!registryAnswers) toBuild.push(way);
  }
  const big = toBuild.filter(({ name }) => name === 'odoo');
  const small = toBuild.filter(({ name }) => name !== 'odoo');
  // Side by side: while the big one waits for its downloads, the small ones are made.
  const results = await Promise.allSettled([buildAll(say, big), buildAll(say, small)]);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** Whether an image is not here, or was built here from a recipe that has changed since. */
async function isWanted(name: string, tag: string): Promise<boolean> {
  const isPresent = await succeeds('docker', ['image', 'inspect', '--', tag]);
  return !isPresent || isOutdated(name, tag);
}

async function buildAll(say: Say, wanted: { name: string; tag: string }[]): Promise<void> {
  for (const { name, tag } of wanted) await build(say, name, tag);
}

async function build(say: Say, name: string, tag: string): Promise<void> {
  await timed(say, `Building ${tag} from Debian's packages`, async () => buildFromDebian(name));
}

/** Pulls one image; false when no registry answers or it does not have the image. */
async function pull(say: Say, tag: string): Promise<boolean> {
  const stop = new AbortController();
  const silence = setTimeout(() => stop.abort(), REGISTRY_ANSWER_MS);
  const pulling = execa('docker', ['pull', '--', tag], {
    reject: false,
    stdin: 'ignore',
    cancelSignal: stop.signal,
  });
  pulling.stdout.once('data', () => clearTimeout(silence));
  try {
    const result = await timed(say, `Pulling ${tag}`, async () => pulling);
    if (result.failed) say(`${tag} can't be pulled here.`);
    return !result.failed;
  } finally {
    clearTimeout(silence);
  }
}

/** The sidecar's base from the official images; false when they can't be had. */
async function buildBase(say: Say): Promise<boolean> {
  const folder = join(repository, 'images', 'sidecar-base');
  try {
    await timed(say, `Building ${images.base} from official images`, async () =>
      run('docker', ['build', '--quiet', '--tag', images.base, '--', folder], { timeout: 900_000 }),
    );
    return true;
  } catch {
    say(`${images.base} can't be made from official images here.`);
    return false;
  }
}
