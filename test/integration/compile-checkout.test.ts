import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { compileCheckout } from '../../src/docker/commands.ts';
import { CommandError } from '../../src/errors.ts';
import { exec } from '../../src/host/exec.ts';
import { images } from '../../stack/images.ts';
import { temporaryFolder } from '../support/temporary.ts';

describe('compiling a checkout in the Odoo image', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();

  it('compiles Python files, skips others, and runs none of them', async () => {
    const tree = join(folder(), 'tree');
    await mkdir(join(tree, 'good'), { recursive: true });
    await writeFile(join(tree, 'good', '__init__.py'), "open('/checkout/ran', 'w')\n");
    await writeFile(join(tree, 'good', 'broken.py'), 'this is no Python\n');
    const error = await exec(compileCheckout('abc123', images.odoo, tree)).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(CommandError).with.property('exitCode', 1);
    const compiled = await readdir(join(tree, 'good', '__pycache__'));
    expect(compiled).to.have.length(1);
    expect(compiled[0]).to.match(/^__init__\.cpython-\d+\.pyc$/);
    expect(await readdir(tree)).to.deep.equal(['good']);
  });
});
