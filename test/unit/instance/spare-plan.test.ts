import { expect } from 'chai';
import {
  isOverdue,
  planSpares,
  SPARE_MB,
  withoutFailing,
} from '../../../src/instance/spare-plan.ts';
import type { Plan, Spare } from '../../../src/instance/types.ts';
import { aPlan, aSpare } from '../../support/samples.ts';

const plan = (id: number, spares: number, recentSales = 0) => aPlan({ id, spares, recentSales });
const spare = (id: number, over: Partial<Spare> = {}) =>
  aSpare({ id, planId: 1, spareState: 'ready', ...over });
const ids = (things: readonly { readonly id: number }[]) => things.map(({ id }) => id);

function work(plans: readonly Plan[], spares: readonly Spare[], places = 10) {
  const { finish, make, remove } = planSpares(plans, spares, places * SPARE_MB);
  return { remove: ids(remove), finish: ids(finish.map((it) => it.spare)), make: ids(make) };
}

describe('which spares are kept', () => {
  it('makes what a plan wants, and nothing once it is there', () => {
    expect(work([plan(1, 2)], [])).to.deep.equal({ remove: [], finish: [], make: [1, 1] });
    expect(work([plan(1, 2)], [spare(4), spare(5)])).to.deep.equal({
      ...{ remove: [], finish: [], make: [] },
    });
  });

  it('finishes one that was begun before it begins another', () => {
    const begun = spare(4, { spareState: 'making' });
    expect(work([plan(1, 1)], [begun])).to.deep.equal({ remove: [], finish: [4], make: [] });
  });

  it('throws away what nobody is to get: no plan, a plan that wants fewer, old content, half removed', () => {
    expect(work([], [spare(4)]).remove, 'the plan is gone').to.deep.equal([4]);
    expect(work([plan(1, 0)], [spare(4)]).remove, 'none wanted').to.deep.equal([4]);
    const old = spare(4, { isFresh: false });
    expect(work([plan(1, 1)], [old])).to.deep.equal({ remove: [4], finish: [], make: [1] });
    const leaving = spare(4, { spareState: 'leaving' });
    expect(work([plan(1, 1)], [leaving])).to.deep.equal({ remove: [4], finish: [], make: [1] });
  });

  it('keeps what is ready rather than what is begun, and of those the older one', () => {
    const begun = spare(3, { spareState: 'making' });
    expect(work([plan(1, 1)], [begun, spare(5), spare(4)]).remove).to.deep.equal([3, 5]);
  });

  it('shares the memory: each plan one before any has a second, and who sells most first', () => {
    const plans = [plan(1, 2, 5), plan(2, 2, 9), plan(3, 1, 1)];
    expect(work(plans, [], 2).make).to.deep.equal([2, 1]);
    expect(work(plans, [], 4).make).to.deep.equal([2, 1, 3, 2]);
    expect(work(plans, []).make).to.deep.equal([2, 1, 3, 2, 1]);
  });

  it('gives a place to who sells more by now', () => {
    const plans = [plan(1, 1, 1), plan(2, 1, 9)];
    expect(work(plans, [spare(4)], 1)).to.deep.equal({ remove: [4], finish: [], make: [2] });
  });

  it('keeps none where there is no room for one', () => {
    expect(planSpares([plan(1, 1)], [spare(4)], SPARE_MB - 1)).to.deep.equal({
      ...{ remove: [spare(4)], finish: [], make: [] },
    });
  });

  it('wants of a plan of which none can be made no more than are ready, so that others get the room', () => {
    const plans = [{ ...plan(1, 3, 9), spareContent: 'bad' }, plan(2, 1)];
    const isFailing = (content: string) => content === 'bad';
    const begun = spare(4, { spareState: 'making' });
    const workWith = (known: readonly Spare[], places: number) =>
      work(withoutFailing(plans, known, isFailing), known, places);
    expect(workWith([begun], 1)).to.deep.equal({ remove: [4], finish: [], make: [2] });
    expect(workWith([begun, spare(5)], 3)).to.deep.equal({ remove: [4], finish: [], make: [2] });
    const old = spare(6, { isFresh: false });
    expect(workWith([old], 3)).to.deep.equal({ remove: [6], finish: [], make: [2] });
    expect(withoutFailing(plans, [], () => false)).to.deep.equal(plans);
  });

  it('gives the making of one two hours', () => {
    const managerTime = new Date('2026-11-27T12:00:00Z');
    const begun = (minutesAgo: number) => ({
      ...{ managerTime, requestedAt: managerTime.getTime() / 1000 - minutesAgo * 60 },
      spareState: 'making' as const,
    });
    expect(isOverdue(begun(119))).to.equal(false);
    expect(isOverdue(begun(121))).to.equal(true);
    expect(isOverdue({ ...begun(121), spareState: 'ready' })).to.equal(false);
  });
});
