import { expect } from 'chai';
import { CommandError } from '../../../src/errors.ts';
import { exec } from '../../../src/host/exec.ts';

describe('exec', () => {
  const node = (script: string) => exec([process.execPath, '-e', script]);

  it('lets a program say as much as it likes on stderr', async () => {
    const talk = `process.stderr.write('x'.repeat(1_000_000), () => process.stdout.write('done'))`;
    expect(await node(talk)).to.equal('done');
  });

  it('keeps the end of what a program said that failed', async () => {
    const error = await node(`console.error('x'.repeat(10_000) + 'why'); process.exit(3)`).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(CommandError).with.property('exitCode', 3);
    expect((error as CommandError).stderr).to.match(/why\s*$/);
  });
});
