import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { images } from '../stack/images.ts';
import { run } from '../stack/run.ts';

const TAG = 'microsaas-bench-older-odoo:1';

/** A file of the module on which all others depend. */
const FILE = '/usr/lib/python3/dist-packages/odoo/addons/base/__init__.py';

/**
 * Builds an image of the same Odoo whose module `base` has other code: from it to the usual image every installed module is updated.
 * @returns its id
 */
export async function buildOlderOdoo(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'microsaas-older-odoo-'));
  try {
    const user = await run('docker', [
      'image',
      'inspect',
      '--format',
      '{{.Config.User}}',
      images.odoo,
    ]);
    const lines = [
      `FROM ${images.odoo}`,
      'USER root',
      `RUN ["sed", "--in-place", "$a # An older version.", "${FILE}"]`,
      `USER ${user || 'root'}`,
    ];
    await writeFile(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`);
    await run('docker', ['build', '--network', 'none', '--tag', TAG, '--', folder]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return run('docker', ['image', 'inspect', '--format', '{{.Id}}', TAG]);
}
