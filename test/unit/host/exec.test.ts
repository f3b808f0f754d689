import { expect } from 'chai';
import { CommandError } from '../../../src/errors.ts';
import { exec } from '../../../src/host/exec.ts';

describe('exec', () => {
  const node = (script: string) => exec([process.execPath, '-e', script]);

  it('accepts any amount of stderr', async () => {
    const talk = `process.stderr.write('x'.repeat(1_000_000), () => process.stdout.write('done'))`;
    expect(await node(talk)).to.equal('done');
  });

  it('keeps the tail of stderr of a failed program', async () => {
    const error = await node(`console.error('x'.repeat(10_000) + 'why'); process.exit(3)`).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(CommandError).with.property('exitCode', 3);
    expect((error as CommandError).stderr).to.match(/why\s*$/);
  });
});
