import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type StdinOptions } from 'esbuild';
import { repository } from './paths.ts';

/** CommonJS packages ask for Node's own modules by `require`, which an ES module does not have. */
const REQUIRE = `import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);`;

/**
 * Writes a program and all it imports, packages too, as one JavaScript file: Node would else look for and read some 900 of them, which
 * takes longer than most of the sidecar's commands.
 * @param program its file, or its text @param outfile made with its folder @throws Error naming what is not found
 */
export async function bundle(program: string | StdinOptions, outfile: string): Promise<void> {
  await build({
    ...(typeof program === 'string' ? { entryPoints: [program] } : { stdin: program }),
    ...{ outfile, bundle: true, platform: 'node', format: 'esm', target: 'node20' },
    banner: { js: REQUIRE },
    // Of pg: another implementation in C, which it takes where somebody asks for that one.
    external: ['pg-native'],
    logLevel: 'error',
  });
}

/** Writes the sidecar's program. @param folder made anew: what else is in it would be in the image */
export async function bundleSidecar(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await bundle(join(repository, 'src', 'main.ts'), join(folder, 'main.js'));
}
