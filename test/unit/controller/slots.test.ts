import { expect } from 'chai';
import { SlotPool } from '../../../src/controller/slots.ts';
import { HeldTime } from '../../fakes/clock.ts';

describe('SlotPool', () => {
  let time: HeldTime;
  let slots: SlotPool;
  let begun: string[];
  beforeEach(() => {
    time = new HeldTime();
    slots = new SlotPool({ slots: 2, turnMs: 1_000 });
    begun = [];
  });
  afterEach(() => time.release());

  /** Work that ends after so many milliseconds. */
  function work(customer: number, name: string, ms: number): Promise<string> {
    return slots.run(customer, async () => {
      begun.push(name);
      await new Promise((resolve) => setTimeout(resolve, ms));
      return name;
    });
  }

  it('runs as many as it has slots, and the next when one ends', async () => {
    const all = ['a', 'b', 'c'].map((name) => work(1, name, 100));
    await time.pass(50);
    expect(begun).to.deep.equal(['a', 'b']);
    await time.pass(100);
    expect(begun).to.deep.equal(['a', 'b', 'c']);
    await time.pass(100);
    expect(await Promise.all(all)).to.deep.equal(['a', 'b', 'c']);
  });

  it('gives a slot on after a turn, and still returns the late result', async () => {
    const slow = [work(1, 'slow', 60_000), work(2, 'slower', 60_000)];
    const quick = work(3, 'quick', 0);
    await time.pass(1_100);
    expect(begun).to.deep.equal(['slow', 'slower', 'quick']);
    expect(await quick).to.equal('quick');
    await time.pass(60_000, 1_000);
    expect(await Promise.all(slow)).to.deep.equal(['slow', 'slower']);
  });

  it('prefers a customer with less work under way', async () => {
    for (let i = 0; i < 10; i++) void work(1, `many ${i}`, 100);
    void work(2, 'one', 100);
    await time.pass(150);
    expect(begun).to.deep.equal(['many 0', 'many 1', 'one', 'many 2']);
    await time.pass(1_000);
    expect(begun).to.have.length(11);
  });

  it('is busy as long as somebody’s work waits or is under way', async () => {
    expect(slots.isBusy).to.equal(false);
    for (let i = 0; i < 3; i++) void work(1, `work ${i}`, 100);
    await time.pass(150);
    expect(slots.isBusy, 'the third').to.equal(true);
    await time.pass(100);
    expect(slots.isBusy).to.equal(false);
  });

  it('frees the slot when the work fails', async () => {
    const failures = [1, 2, 3].map((customer) =>
      slots
        .run(customer, () => Promise.reject(new Error('failed')))
        .catch((error: Error) => error.message),
    );
    await time.pass(0);
    expect(await Promise.all(failures)).to.deep.equal(['failed', 'failed', 'failed']);
  });
});
