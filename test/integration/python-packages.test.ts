import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { dockerCli } from '../../src/docker/docker-cli.ts';
import { missingPackages } from '../../src/repositories/python-packages.ts';
import { images } from '../../stack/images.ts';
import { temporaryFolder } from '../support/temporary.ts';

describe('Python packages that the Odoo image does not have', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();
  const docker = dockerCli('/var/run/docker.sock');

  it('are read from the manifests, without running them', async () => {
    const manifests = {
      'a/__manifest__.py': `{'external_dependencies': {'python': ['requests', 'no_such_package']}}`,
      'addons/b/__manifest__.py': `{'external_dependencies': {'python': ['No-Such.Other', 'lxml', 'x; rm']}}`,
      'c/__manifest__.py': `{'name': open('/checkout/ran', 'w')}`,
      'd/__manifest__.py': 'this is no literal',
      'e/__manifest__.py': `{'external_dependencies': {'python': 7}}`,
    };
    for (const [path, text] of Object.entries(manifests)) {
      await mkdir(join(folder(), path, '..'), { recursive: true });
      await writeFile(join(folder(), path), text);
    }
    await chmod(folder(), 0o755); // a checkout is readable by all
    const { signal } = new AbortController();
    const missing = await missingPackages(docker, 'abc123', images.odoo, folder(), signal);
    expect(missing).to.deep.equal(['No-Such.Other', 'no_such_package']);
    expect(await readdir(folder())).not.to.include('ran');
  });
});
