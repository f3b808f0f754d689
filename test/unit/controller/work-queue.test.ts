import { expect } from 'chai';
import { WorkQueue, type WorkSignals } from '../../../src/controller/work-queue.ts';
import { HeldTime } from '../../fakes/clock.ts';

/** One run of the work, which ends when the test says so. */
interface Run {
  readonly key: string;
  readonly signals: WorkSignals;
  end(): void;
  fail(): void;
}

describe('WorkQueue', () => {
  let time: HeldTime;
  let queue: WorkQueue<string>;
  let runs: Run[];
  let failures: string[];

  beforeEach(() => {
    time = new HeldTime();
    runs = [];
    failures = [];
    queue = new WorkQueue<string>({
      concurrency: 2,
      work: (key, signals) =>
        new Promise<void>((resolve, reject) => {
          runs.push({ key, signals, end: resolve, fail: () => reject(new Error('failed')) });
        }),
      backoffMs: (count) => 1_000 * count,
      onFailure: (key, _error, retryInMs) => failures.push(`${key} again in ${retryInMs}`),
    });
  });
  afterEach(async () => {
    const closed = queue.close();
    for (const run of runs) run.end();
    await closed;
    time.release();
  });

  const run = (index: number): Run => {
    const found = runs[index];
    if (!found) throw new Error(`no run ${index}`);
    return found;
  };
  const keys = () => runs.map(({ key }) => key).join(' ');

  it('works on as many keys concurrently as configured, in the order of their addition', async () => {
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    expect([keys(), queue.size]).to.deep.equal(['a b', 4]);
    run(1).end();
    await time.pass(0);
    expect([keys(), queue.size]).to.deep.equal(['a b c', 3]);
  });

  it('says how long the oldest key waits for a worker, one that is worked on and added again apart', async () => {
    for (const key of ['a', 'b']) queue.add(key);
    queue.add('a');
    await time.pass(60_000);
    expect([queue.ageSeconds, queue.size]).to.deep.equal([0, 2]);
    queue.add('c');
    await time.pass(5_000);
    expect(queue.ageSeconds).to.equal(5);
    run(0).end();
    await time.pass(0);
    expect(queue.ageSeconds, 'a waits again, since its addition').to.equal(65);
  });

  it('counts the keys that fail until they end well', async () => {
    queue.add('a');
    run(0).fail();
    await time.pass(0);
    expect([queue.failing, queue.size]).to.deep.equal([1, 0]);
    await time.pass(1_000);
    run(1).end();
    await time.pass(0);
    expect(queue.failing).to.equal(0);
  });

  it('works on others during a long wait, and continues as soon as there is a slot', async () => {
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    let comes = () => {};
    let isBack = false;
    const waiting = run(0)
      .signals.withoutSlot(() => new Promise<void>((resolve) => (comes = resolve)))
      .then(() => (isBack = true));
    await time.pass(0);
    expect([keys(), queue.size]).to.deep.equal(['a b c', 4]);
    comes();
    await time.pass(0);
    expect(isBack, 'both places are taken').to.equal(false);
    run(1).end();
    await waiting;
    expect(keys(), 'before those who have not begun').to.equal('a b c');
    run(0).end();
    await time.pass(0);
    expect(keys()).to.equal('a b c d');
  });

  it('closes after a long wait has ended', async () => {
    queue.add('a');
    let comes = () => {};
    const waiting = run(0).signals.withoutSlot(
      () => new Promise<void>((resolve) => (comes = resolve)),
    );
    let isClosed = false;
    const closed = queue.close().then(() => (isClosed = true));
    await time.pass(0);
    expect([run(0).signals.stop.aborted, isClosed]).to.deep.equal([true, false]);
    comes();
    await waiting;
    run(0).end();
    await closed;
  });

  it('gives each run signals of its own', () => {
    for (const key of ['a', 'b']) queue.add(key);
    expect(run(0).signals.stop).not.to.equal(run(1).signals.stop);
  });

  it('adds a waiting key once', async () => {
    for (const key of ['a', 'b', 'c', 'c', 'c']) queue.add(key);
    run(0).end();
    run(1).end();
    await time.pass(0);
    run(2).end();
    await time.pass(0);
    expect([keys(), queue.size]).to.deep.equal(['a b c', 0]);
  });

  it('works once more on a key that was added while it was worked on', async () => {
    queue.add('a');
    queue.add('a');
    queue.add('a');
    await time.pass(5_000);
    expect(keys(), 'at the same time').to.equal('a');
    run(0).end();
    await time.pass(0);
    run(1).end();
    await time.pass(5_000);
    expect(keys()).to.equal('a a');
  });

  it('does not work again on a key that was added before markObserved()', async () => {
    queue.add('a');
    queue.add('a');
    run(0).signals.markObserved();
    run(0).end();
    await time.pass(5_000);
    expect([keys(), queue.size]).to.deep.equal(['a', 0]);
    queue.add('a');
    run(1).signals.markObserved();
    queue.add('a');
    run(1).end();
    await time.pass(0);
    expect(keys(), 'added after the look').to.equal('a a a');
  });

  it('retries a failed key with growing backoff, and reports it', async () => {
    queue.add('a');
    run(0).fail();
    await time.pass(980);
    expect(keys()).to.equal('a');
    await time.pass(20);
    expect(run(1).signals.failures).to.equal(1);
    run(1).fail();
    await time.pass(2_000);
    run(2).end();
    await time.pass(0);
    queue.add('a');
    expect(run(3).signals.failures, 'after a success').to.equal(0);
    expect(failures).to.deep.equal(['a again in 1000', 'a again in 2000']);
  });

  it('keeps the backoff of a key that is added meanwhile', async () => {
    queue.add('a');
    run(0).fail();
    await time.pass(0);
    queue.add('a');
    await time.pass(500);
    expect(keys()).to.equal('a');
  });

  it('backs off from a failing key that was added while it was worked on', async () => {
    queue.add('a');
    queue.add('a');
    run(0).fail();
    await time.pass(980);
    expect([keys(), queue.size]).to.deep.equal(['a', 0]);
    await time.pass(20);
    expect(keys()).to.equal('a a');
  });

  describe('addNow', () => {
    it('begins at once, and does not cut short the run it begins', () => {
      queue.addNow('a');
      expect(keys()).to.equal('a');
      expect(run(0).signals.superseded.aborted).to.equal(false);
    });

    it('ends the backoff and forgets the failures', async () => {
      queue.add('a');
      run(0).fail();
      await time.pass(500);
      queue.addNow('a');
      expect(keys()).to.equal('a a');
      run(1).fail();
      await time.pass(980);
      expect(failures).to.deep.equal(['a again in 1000', 'a again in 1000']);
      expect(keys(), 'the first timer is gone').to.equal('a a');
      await time.pass(20);
      expect(keys()).to.equal('a a a');
    });

    it('signals the work under way, and works on the key again when it ends', async () => {
      queue.add('a');
      queue.addNow('a');
      expect(run(0).signals.superseded.aborted).to.equal(true);
      run(0).end();
      await time.pass(0);
      expect(keys()).to.equal('a a');
      expect(run(1).signals.superseded.aborted).to.equal(false);
    });

    it('works on the key again although the work under way calls markObserved()', async () => {
      queue.add('a');
      queue.addNow('a');
      run(0).signals.markObserved();
      run(0).end();
      await time.pass(0);
      expect(keys()).to.equal('a a');
    });

    it('works on the key again at once even when the work under way fails', async () => {
      queue.add('a');
      queue.addNow('a');
      run(0).fail();
      await time.pass(0);
      expect(keys()).to.equal('a a');
      expect(run(1).signals.failures).to.equal(0);
    });
  });

  describe('close', () => {
    it('signals the work under way, waits for it and starts nothing more', async () => {
      for (const key of ['a', 'b', 'c']) queue.add(key);
      let isClosed = false;
      const closed = queue.close().then(() => {
        isClosed = true;
      });
      await time.pass(1_000);
      expect([run(0).signals.stop.aborted, isClosed]).to.deep.equal([true, false]);
      run(0).fail();
      run(1).end();
      await closed;
      queue.add('d');
      queue.addNow('e');
      await time.pass(10_000);
      expect(keys()).to.equal('a b');
      expect(failures).to.deep.equal([]);
    });

    it('drops keys that are backing off', async () => {
      queue.add('a');
      run(0).fail();
      await time.pass(0);
      await queue.close();
      await time.pass(10_000);
      expect(keys()).to.equal('a');
    });
  });
});
