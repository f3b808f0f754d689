import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { sizeLimit, timeLimitMs, withinBounds } from '../../../src/backups/bounds.ts';
import { notEnoughDisk, RetryableError } from '../../../src/errors.ts';

const MB = 1024 ** 2;
const GB = 1024 * MB;

describe('the bounds of a backup', () => {
  const disk = { checkRoom: async () => {} };
  const never = new AbortController().signal;
  const reasonOf = (work: Promise<unknown>) =>
    work.then(
      (result) => result,
      (error) => (error instanceof RetryableError ? [error.reason, error.detail] : error),
    );
  /** Work that ends only with its signal, as a program that is ended does. */
  const endless = (signal: AbortSignal) =>
    pause(60_000, 'done', { signal }).catch(() => {
      throw new Error('exit code 137');
    });

  it('give the smallest a quarter of an hour, and each GB about as much again', () => {
    expect(timeLimitMs(0)).to.equal(15 * 60_000);
    expect(timeLimitMs(GB) - timeLimitMs(0)).to.equal(1024 * 1000);
  });

  it('let a dump be several times its database, and a small one’s a GB', () => {
    expect(sizeLimit(20 * MB)).to.be.within(GB, 1.2 * GB);
    expect(sizeLimit(100 * GB)).to.be.within(300 * GB, 600 * GB);
  });

  it('end what takes longer, with that as the reason', async () => {
    expect(await reasonOf(withinBounds({ disk, timeMs: 30 }, never, endless))).to.deep.equal([
      'BackupTooSlow',
      '0',
    ]);
  });

  it('end what writes more than it may, while it writes', async () => {
    let written = 0;
    const size = { most: 2 * MB, of: async () => (written += MB) };
    const found = await reasonOf(withinBounds({ disk, size }, never, endless));
    expect(found).to.deep.equal(['BackupTooLarge', '2 MB']);
  });

  it('refuse what was written too fast to be seen', async () => {
    const size = { most: 2 * MB, of: async () => 3 * MB };
    const found = await reasonOf(withinBounds({ disk, size }, never, async () => 'done'));
    expect(found).to.deep.equal(['BackupTooLarge', '2 MB']);
  });

  it('end what fills the disk, whatever its own size', async () => {
    const full = {
      checkRoom: async () => {
        throw notEnoughDisk({ reason: 'NotEnoughDisk', detail: ['1 MB', '2 MB'], message: '' });
      },
    };
    const [reason] = (await reasonOf(withinBounds({ disk: full }, never, endless))) as string[];
    expect(reason).to.equal('NotEnoughDisk');
  });

  it('give back what the work gives, and throw what it throws', async () => {
    const bounds = { disk, timeMs: 60_000, size: { most: 1, of: async () => 1 } };
    expect(await withinBounds(bounds, never, async () => 'done')).to.equal('done');
    const failed = withinBounds(bounds, never, async () => {
      throw new RetryableError('BackupServerAway', 'no', { detail: 'refused' });
    });
    expect(await reasonOf(failed)).to.deep.equal(['BackupServerAway', 'refused']);
  });

  it('are ended by the sidecar’s own end, and that is no failure of the backup', async () => {
    const stop = new AbortController();
    const work = withinBounds({ disk }, stop.signal, endless);
    stop.abort();
    const error = (await reasonOf(work)) as Error;
    expect(error.name).to.equal('AbortError');
  });
});
