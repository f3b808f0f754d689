import { join } from 'node:path';
import { repository } from './paths.ts';
import { bundleSidecar } from './sidecar-bundle.ts';

await bundleSidecar(join(repository, 'dist'));
