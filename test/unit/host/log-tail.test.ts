import { appendFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { tailLines } from '../../../src/host/log-tail.ts';
import { temporaryFolder } from '../../support/temporary.ts';

describe('tailLines', () => {
  const folder = temporaryFolder();
  let path: string;
  let lines: string[];
  let stop: AbortController;
  let tailing: Promise<void>;

  beforeEach(() => {
    path = join(folder(), 'access.log');
    lines = [];
    stop = new AbortController();
    tailing = Promise.resolve();
  });
  afterEach(async () => {
    stop.abort();
    await tailing;
  });

  const tail = (options: { maxBacklogBytes?: number } = {}) => {
    tailing = tailLines(
      path,
      { onLine: (line) => void lines.push(line), intervalMs: 5, ...options },
      stop.signal,
    );
  };
  const until = async (condition: () => boolean) => {
    for (let tries = 0; !condition() && tries < 400; tries++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(condition(), 'it has come to that').to.equal(true);
  };

  it('reads what is there and what comes, each line once it is whole', async () => {
    await writeFile(path, 'one\ntw');
    tail();
    await until(() => lines.length === 1);
    await appendFile(path, 'o\n');
    await until(() => lines.length === 2);
    expect(lines).to.deep.equal(['one', 'two']);
  });

  it('waits for a file that is not there yet', async () => {
    tail();
    await writeFile(path, 'one\n');
    await until(() => lines.length === 1);
  });

  it('reads a file that was renamed to its end, and then the new one', async () => {
    await writeFile(path, 'one\n');
    tail();
    await until(() => lines.length === 1);
    await appendFile(path, 'two\n');
    await rename(path, `${path}.1`);
    await writeFile(path, 'three\n');
    await until(() => lines.length === 3);
    expect(lines).to.deep.equal(['one', 'two', 'three']);
  });

  it('reads a file that was removed and made again', async () => {
    await writeFile(path, 'one\n');
    tail();
    await until(() => lines.length === 1);
    await rm(path);
    await writeFile(path, 'two\n');
    await until(() => lines.length === 2);
  });

  it('begins again in a file that was cut off', async () => {
    await writeFile(path, 'one\ntwo\nthr');
    tail();
    await until(() => lines.length === 2);
    await truncate(path, 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await appendFile(path, 'four\n');
    await until(() => lines.length === 3);
    expect(lines).to.deep.equal(['one', 'two', 'four']);
  });

  it('leaves out the beginning of a large file, and the line that it cuts', async () => {
    await writeFile(path, `${'x'.repeat(1_000)}\nlast\n`);
    tail({ maxBacklogBytes: 100 });
    await until(() => lines.length === 1);
    expect(lines).to.deep.equal(['last']);
  });

  it('leaves out a line that is too long to be kept', async () => {
    await writeFile(path, `one\n${'x'.repeat(1_000_000)}\ntwo\n`);
    tail();
    await until(() => lines.length === 2);
    expect(lines).to.deep.equal(['one', 'two']);
  });
});
