import { expect } from 'chai';
import { CommandError } from '../../../src/errors.ts';
import { exec, execHeld } from '../../../src/host/exec.ts';
import { until } from '../../../stack/until.ts';

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

describe('a held program', () => {
  const hold = (script: string, timeoutMs = 20_000) => {
    const { signal } = new AbortController();
    return execHeld([process.execPath, '-e', script], {
      ...{ env: {}, input: 'go\n', timeoutMs, signal },
    });
  };
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => (error instanceof CommandError ? error.exitCode : error),
    );
  /** Answers each line, and ends with its input. */
  const ECHO = `process.stdin.on('data', (some) => process.stdout.write('took ' + some))`;

  it('has its input, gives back its first line, and runs on until it is told to end', async () => {
    const held = await hold(ECHO);
    expect(held.line).to.equal('took go');
    await held.end();
    const last = await hold(`${ECHO}; process.stdin.on('data', (some) => {
      if (String(some).includes('last')) process.exit(5);
    })`);
    expect(await codeOf(last.end('last'))).to.equal(5);
  });

  it('that ends before it has written a line has failed', async () => {
    expect(await codeOf(hold('process.exit(3)'))).to.equal(3);
    expect(await codeOf(hold('process.exit(0)'))).to.equal(0);
  });

  it('that ends before it is told to has failed: what it held was let go', async () => {
    const held = await hold(`console.log(process.pid); process.stdout.end(() => process.exit(0))`);
    const isGone = async () => {
      try {
        return !process.kill(Number(held.line), 0);
      } catch {
        return true;
      }
    };
    expect(await until(isGone, 10)).to.equal(true);
    expect(await codeOf(held.end())).to.equal(0);
    const failed = await hold(`${ECHO}; process.stdin.on('end', () => process.exit(4))`);
    expect(await codeOf(failed.end())).to.equal(4);
  });
});
