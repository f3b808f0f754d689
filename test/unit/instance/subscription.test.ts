import { expect } from 'chai';
import type { Terms } from '../../../src/instance/subscription-types.ts';
import { Story } from '../../support/subscription-story.ts';

/** Began on 10 January, paid until 10 February, told of it 7 days before, 3 days of grace. */
function begun(terms: Partial<Terms> = {}): Story {
  return new Story('2026-01-10', terms).settle();
}

/** The day is 14 February: grace is over and nobody has paid. */
const expired = (terms: Partial<Terms> = {}) => begun(terms).pass(35);

/** Each line: what happened, and what must be true then. */
type Row = readonly [
  name: string,
  story: () => Story,
  expected: {
    readonly state: string;
    readonly runs: boolean;
    readonly endDay?: string;
    readonly reason?: string;
  },
];

const IN_TIME: readonly Row[] = [
  ['begins on its first day', () => begun(), { state: 'active', runs: true, endDay: '2026-02-10' }],
  ['the day before notice', () => begun().pass(23), { state: 'active', runs: true }],
  ['notice', () => begun().pass(24), { state: 'expiring_soon', runs: true }],
  ['the last paid day', () => begun().pass(31), { state: 'expiring_soon', runs: true }],
  ['the last day of grace', () => begun().pass(34), { state: 'expiring_soon', runs: true }],
  ['after grace', () => expired(), { state: 'expired', runs: false, reason: 'Expired' }],
  ['no grace by the plan', () => begun({ grace: 0 }).pass(32), { state: 'expired', runs: false }],
  [
    'more grace by the plan',
    () => begun({ grace: 10 }).pass(41),
    { state: 'expiring_soon', runs: true },
  ],
  ['no notice by the plan', () => begun({ notice: 0 }).pass(30), { state: 'active', runs: true }],
  ['a month of downtime', () => begun().sleep(60).settle(), { state: 'expired', runs: false }],
];

const RENEWED: readonly Row[] = [
  [
    'early: from the old end',
    () => begun().pass(5).renew(),
    { state: 'active', runs: true, endDay: '2026-03-10' },
  ],
  [
    'in grace: from today',
    () => begun().pass(33).renew(),
    { state: 'active', runs: true, endDay: '2026-03-12' },
  ],
  [
    'when expired: from today, and it runs again',
    () => expired().renew(),
    { state: 'active', runs: true, endDay: '2026-03-14', reason: '' },
  ],
  [
    'twice by two lines',
    () => begun().renew().renew(),
    { state: 'active', runs: true, endDay: '2026-04-10' },
  ],
  [
    'for a year',
    () => begun().renew({ months: 12 }),
    { state: 'active', runs: true, endDay: '2027-02-10' },
  ],
  [
    'invoiced and not paid',
    () =>
      begun().renew({
        money: {
          moveType: 'out_invoice',
          state: 'posted',
          paymentState: 'not_paid',
          reversedRatio: 0,
        },
      }),
    { state: 'active', runs: true, endDay: '2026-02-10' },
  ],
  [
    'stopped by hand: the stop stands',
    () => begun().press('stopped').pass(40).renew(),
    { state: 'paused', runs: false, endDay: '2026-03-19' },
  ],
  [
    'cancelled: what was paid is served',
    () => begun().cancel().renew(),
    { state: 'cancelled', runs: true, endDay: '2026-03-10' },
  ],
];

const BY_HAND: readonly Row[] = [
  ['stopped', () => begun().press('stopped'), { state: 'paused', runs: false }],
  [
    'stopped and started: no day is given back',
    () => begun().press('stopped').pass(10).press('running'),
    { state: 'active', runs: true, endDay: '2026-02-10' },
  ],
  [
    'stopped until grace is over',
    () => begun().press('stopped').pass(35),
    { state: 'expired', runs: false },
  ],
  [
    'cancelled: runs to the last paid day',
    () => begun().cancel().pass(31),
    { state: 'cancelled', runs: true },
  ],
  [
    'cancelled: no grace',
    () => begun().cancel().pass(32),
    { state: 'cancelled', runs: false, reason: 'Cancelled' },
  ],
  ['removed', () => begun().press('removed'), { state: 'paused', runs: false }],
  [
    'removed and restored',
    () => begun().press('removed').pass(5).press('running'),
    { state: 'active', runs: true },
  ],
  [
    'removed, restored when its time is over',
    () => begun().pass(20).press('removed').pass(20).press('running'),
    { state: 'expired', runs: false },
  ],
];

const GONE_BACK: readonly Row[] = [
  [
    'the first sale: nothing is left',
    () => begun().pass(3).refund(31),
    { state: 'expired', runs: false, endDay: '2026-01-09', reason: 'Refunded' },
  ],
  [
    'the first sale, before it ever ran',
    () => new Story().money({ reversedRatio: 1 }),
    { state: 'expired', runs: false, reason: 'Refunded' },
  ],
  [
    'the first sale, paid again the same day',
    () => begun().pass(3).refund(31).payAgain(31),
    { state: 'active', runs: true, endDay: '2026-02-10' },
  ],
  [
    'the first sale, paid again ten days later: those days are not lost',
    () => begun().pass(3).refund(31).pass(10).payAgain(31),
    { state: 'active', runs: true, endDay: '2026-02-20' },
  ],
  [
    'a renewal, with days of the first month left',
    () => begun().renew().pass(2).refund(),
    { state: 'active', runs: true, endDay: '2026-02-10' },
  ],
  [
    'a renewal, with nothing left: no grace',
    () => begun().renew().pass(32).refund(),
    { state: 'expired', runs: false, endDay: '2026-02-10', reason: 'Refunded' },
  ],
  [
    'a renewal after a gap: the end is where it was',
    () => expired().renew().pass(1).refund(),
    { state: 'expired', runs: false, endDay: '2026-02-10', reason: 'Refunded' },
  ],
  [
    'the first of two months: the second stays',
    () => begun().renew().pass(5).refund(31),
    { state: 'active', runs: true, endDay: '2026-02-07' },
  ],
  [
    'a person gives days after a refund',
    () => {
      const story = begun().pass(3).refund(31);
      story.write({ endDay: '2026-01-20' });
      return story.settle();
    },
    { state: 'expiring_soon', runs: true, endDay: '2026-01-20' },
  ],
  [
    'the invoice is reset to draft',
    () => begun().money({ state: 'draft' }),
    { state: 'expired', runs: false, reason: 'Refunded' },
  ],
  [
    'the invoice is cancelled',
    () => begun().money({ state: 'cancel', paymentState: 'not_paid' }),
    { state: 'expired', runs: false },
  ],
  [
    'the payment is unreconciled',
    () => begun().money({ paymentState: 'not_paid' }),
    { state: 'expired', runs: false },
  ],
  [
    'part of the payment is',
    () => begun().money({ paymentState: 'partial' }),
    { state: 'expired', runs: false },
  ],
  [
    'the invoice is reversed',
    () => begun().money({ paymentState: 'reversed' }),
    { state: 'expired', runs: false },
  ],
  [
    'half is credited',
    () => begun().money({ reversedRatio: 0.5 }),
    { state: 'active', runs: true },
  ],
  [
    'the plan warns',
    () => begun({ refund: 'warn' }).refund(),
    { state: 'active', runs: true, endDay: '2026-02-10' },
  ],
  [
    'the plan ignores it',
    () => begun({ refund: 'ignore' }).refund(),
    { state: 'active', runs: true, endDay: '2026-02-10' },
  ],
  [
    'corrected by another invoice: the same days',
    () => begun().renew().pass(10).refund().renew({ replaces: 101 }),
    { state: 'active', runs: true, endDay: '2026-03-10' },
  ],
  [
    'corrected to a longer term',
    () => begun().renew().refund().renew({ replaces: 101, months: 3 }),
    { state: 'active', runs: true, endDay: '2026-05-10' },
  ],
  [
    'the first sale corrected',
    () =>
      begun()
        .pass(3)
        .refund(31)
        .renew({ replaces: 31, sold: { unit: 1, quantity: 1, removed: [] } }),
    { state: 'active', runs: true, endDay: '2026-02-10' },
  ],
  [
    'corrected where the plan takes nothing back: nothing is added',
    () => begun({ refund: 'ignore' }).renew().refund().renew({ replaces: 101 }),
    { state: 'active', runs: true, endDay: '2026-03-10' },
  ],
];

describe('decideSubscription', () => {
  for (const [title, rows] of [
    ['as time passes', IN_TIME],
    ['renewed', RENEWED],
    ['by hand', BY_HAND],
    ['money goes back', GONE_BACK],
  ] as const)
    describe(title, () => {
      for (const [name, tell, expected] of rows)
        it(`${name} → ${expected.state}, ${expected.runs ? 'runs' : 'down'}`, () => {
          const story = tell();
          const { state, endDay, reason } = story.subscription;
          expect({ endDay, reason, state, runs: story.runs }).to.include(expected);
        });
    });

  it('credits of several units those whose instances are gone, then the last', () => {
    const outcome = (unit: number, removed: readonly number[], credited: number) => {
      const story = begun();
      const [first] = story.subscription.periods;
      if (!first) throw new Error('no first period');
      const sold = { unit, quantity: 4, removed };
      story.subscription = { ...story.subscription, periods: [{ ...first, sold }] };
      return story.money({ reversedRatio: credited / 4 }).runs;
    };
    const running = (removed: readonly number[], credited: number) =>
      [1, 2, 3, 4].filter((unit) => outcome(unit, removed, credited));
    expect(running([], 0)).to.deep.equal([1, 2, 3, 4]);
    expect(running([], 1)).to.deep.equal([1, 2, 3]);
    expect(running([2], 1)).to.deep.equal([1, 3, 4]);
    expect(running([2], 2)).to.deep.equal([1, 3]);
    expect(running([1, 3], 3)).to.deep.equal([2]);
    expect(running([], 4)).to.deep.equal([]);
  });

  it('keeps the days that a person has written before the first start', () => {
    const story = new Story();
    story.write({ startDay: '2026-01-01', endDay: '2026-05-01' });
    story.settle();
    expect(story.subscription).to.include({ startDay: '2026-01-01', endDay: '2026-05-01' });
  });

  it('begins in the company’s own day', () => {
    const story = new Story();
    expect(story.decide().change?.startDay).to.equal('2026-01-10');
  });
});

describe('The ladder', () => {
  const kinds = (story: Story) => story.sent.map(({ kind }) => kind);

  it('is taken rung by rung, each once, with its notice', () => {
    const story = begun();
    expect(kinds(story)).to.deep.equal(['welcome']);
    story.pass(24);
    expect(kinds(story)).to.deep.equal(['welcome', 'expiring']);
    story.pass(11);
    expect(kinds(story).slice(2)).to.deep.equal(['suspended']);
    story.pass(22);
    expect(kinds(story).slice(3)).to.deep.equal([]);
    story.pass(1);
    expect(kinds(story).slice(3)).to.deep.equal(['finalNotice']);
    story.pass(6);
    expect(story.archives, 'a week before the end').to.equal(0);
    story.pass(1);
    expect(story.archives).to.equal(1);
    expect(story.subscription.dataRemovedAt).to.not.equal(null);
    expect(story.pass(100).archives, 'no second archive').to.equal(1);
    expect(kinds(story)).to.have.length(4);
  });

  it('takes one rung a look, and counts each from the one before', () => {
    const story = begun().sleep(400);
    while (story.look() && !story.subscription.suspendedAt);
    story.settle();
    expect(story.subscription.finalNoticeAt, 'not in the same night').to.equal(null);
    story.sleep(400).settle();
    expect(story.subscription.finalNoticeAt).to.not.equal(null);
    expect(story.archives, 'a week after the final notice, whenever that was').to.equal(0);
    story.sleep(7).look();
    expect([story.archives, story.subscription.dataRemovedAt]).to.deep.equal([1, null]);
    story.look();
    expect(story.subscription.dataRemovedAt).to.not.equal(null);
  });

  it('begins anew after a payment', () => {
    const story = expired().pass(25).renew();
    const { archivedAt, finalNoticeAt, suspendedAt } = story.subscription;
    expect([suspendedAt, finalNoticeAt, archivedAt]).to.deep.equal([null, null, null]);
    story.pass(60);
    expect(kinds(story).filter((kind) => kind === 'suspended')).to.have.length(2);
  });

  it('after Remove waits for retention alone, and tells nobody', () => {
    const story = begun().press('removed').pass(29);
    expect(story.archives).to.equal(0);
    story.pass(1);
    expect(story.archives).to.equal(1);
    expect(story.subscription.dataRemovedAt).to.not.equal(null);
    expect(kinds(story)).to.deep.equal(['welcome']);
  });

  it('asks a person about money that comes when the data are gone', () => {
    const story = begun().pass(100).renew();
    expect(story.runs).to.equal(false);
    expect(kinds(story).at(-1)).to.equal('paidAfterRemoval');
    expect(kinds(story.pass(3)).filter((kind) => kind === 'paidAfterRemoval')).to.have.length(1);
  });

  it('with no days at all still takes a rung a look', () => {
    const story = begun({ notice: 0, grace: 0, retention: 0, finalNotice: 0 }).sleep(32);
    const rungs = [];
    for (let look = 0; look < 6; look++) {
      rungs.push(story.decide().rung);
      story.look();
    }
    expect(rungs).to.deep.equal(['suspend', 'finalNotice', 'archive', 'remove', null, null]);
  });
});

describe('While nobody knows the day', () => {
  it('nothing lapses, nothing is taken back and nobody is warned', () => {
    const story = begun().pass(10);
    story.isDayCertain = false;
    story.sleep(100).settle();
    expect(story.runs).to.equal(true);
    story.refund();
    expect([story.runs, story.sent.length]).to.deep.equal([true, 1]);
    story.isDayCertain = true;
    expect(story.settle().subscription.reason).to.equal('Refunded');
  });

  it('who is on the way down takes no rung', () => {
    const story = expired();
    story.isDayCertain = false;
    story.sleep(60).settle();
    expect(story.subscription.finalNoticeAt).to.equal(null);
  });

  it('who is suspended stays so, and runs again when she pays', () => {
    const story = expired();
    story.isDayCertain = false;
    story.sleep(-30).settle();
    expect(story.runs).to.equal(false);
    expect(story.renew().runs).to.equal(true);
  });
});
