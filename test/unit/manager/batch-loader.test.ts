import { expect } from 'chai';
import { ManagerError } from '../../../src/errors.ts';
import { BatchLoader } from '../../../src/manager/batch-loader.ts';

/** Reads that are answered by hand, one after the other. */
function readByHand(broken: ReadonlyMap<number, ManagerError> = new Map()) {
  const calls: Array<readonly number[]> = [];
  const answers: Array<() => void> = [];
  const gathered = new BatchLoader<{ id: number; call: number }>(async (ids) => {
    const call = calls.push(ids);
    await new Promise<void>((resolve) => answers.push(resolve));
    for (const id of ids) if (broken.has(id)) throw broken.get(id);
    return ids.filter((id) => id < 100).map((id) => ({ id, call }));
  });
  /** Answers what is asked until nobody asks any more. */
  async function answerAll() {
    for (let idle = 0; idle < 5; idle++) {
      await new Promise((resolve) => setImmediate(resolve));
      for (const answer of answers.splice(0)) {
        idle = 0;
        answer();
      }
    }
  }
  return { gathered, calls, answerAll };
}

describe('BatchLoader', () => {
  it('makes one call for concurrent requests, and answers each in its own order', async () => {
    const { gathered, calls, answerAll } = readByHand();
    const both = Promise.all([gathered.read([2, 1]), gathered.read([3, 1, 100])]);
    await answerAll();
    const [first, second] = await both;
    expect(calls).to.deep.equal([[2, 1, 3, 100]]);
    expect(first.map(({ id }) => id)).to.deep.equal([2, 1]);
    expect(
      second.map(({ id }) => id),
      'what is missing is left out',
    ).to.deep.equal([3, 1]);
  });

  it('never returns an answer that is older than the request', async () => {
    const { gathered, calls, answerAll } = readByHand();
    const early = gathered.read([1]);
    await new Promise((resolve) => setImmediate(resolve));
    const late = [gathered.read([1]), gathered.read([2])];
    await answerAll();
    expect([await early, ...(await Promise.all(late))].flat().map(({ call }) => call)).to.eql([
      1, 2, 2,
    ]);
    expect(calls).to.deep.equal([[1], [1, 2]]);
  });

  it('rejects only the request whose answer is invalid', async () => {
    const unknown = new ManagerError('server', 'an unknown shape');
    const { gathered, answerAll } = readByHand(new Map([[2, unknown]]));
    const all = Promise.allSettled([gathered.read([1]), gathered.read([2]), gathered.read([3])]);
    await answerAll();
    expect((await all).map(({ status }) => status)).to.eql(['fulfilled', 'rejected', 'fulfilled']);
    const next = gathered.read([1]);
    await answerAll();
    expect(await next).to.have.length(1);
  });

  it('rejects all requests after one failed call', async () => {
    const away = new ManagerError('transport', 'no answer');
    const { gathered, calls, answerAll } = readByHand(new Map([[1, away]]));
    const all = Promise.allSettled([gathered.read([1]), gathered.read([2])]);
    await answerAll();
    expect((await all).map(({ status }) => status)).to.eql(['rejected', 'rejected']);
    expect(calls).to.have.length(1);
  });
});
