import { expect } from 'chai';
import type { FreePolicy, Money, Terms } from '../../../src/billing/subscription-types.ts';
import { aPeriod } from '../../support/samples.ts';
import { Story } from '../../support/subscription-story.ts';

/** Began on 10 January, paid until 9 February, told of it 7 days before, 3 days of grace. */
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
  ['begins on its first day', () => begun(), { state: 'active', runs: true, endDay: '2026-02-09' }],
  ['the day before notice', () => begun().pass(22), { state: 'active', runs: true }],
  ['notice', () => begun().pass(23), { state: 'expiring_soon', runs: true }],
  ['the last paid day', () => begun().pass(30), { state: 'expiring_soon', runs: true }],
  ['the last day of grace', () => begun().pass(33), { state: 'expiring_soon', runs: true }],
  ['after grace', () => expired(), { state: 'expired', runs: false, reason: 'Expired' }],
  ['no grace by the plan', () => begun({ grace: 0 }).pass(31), { state: 'expired', runs: false }],
  [
    'more grace by the plan',
    () => begun({ grace: 10 }).pass(40),
    { state: 'expiring_soon', runs: true },
  ],
  ['no notice by the plan', () => begun({ notice: 0 }).pass(29), { state: 'active', runs: true }],
  ['a month of downtime', () => begun().sleep(60).settle(), { state: 'expired', runs: false }],
];

const RENEWED: readonly Row[] = [
  [
    'early: from the old end',
    () => begun().pass(5).renew(),
    { state: 'active', runs: true, endDay: '2026-03-09' },
  ],
  [
    'in grace: days of grace are not free, from the old end',
    () => begun().pass(32).renew(),
    { state: 'active', runs: true, endDay: '2026-03-09' },
  ],
  [
    'while suspended: from today, and it is resumed',
    () => expired().renew(),
    { state: 'active', runs: true, endDay: '2026-03-13', reason: '' },
  ],
  [
    'twice by two lines',
    () => begun().renew().renew(),
    { state: 'active', runs: true, endDay: '2026-04-09' },
  ],
  [
    'for a year',
    () => begun().renew({ months: 12 }),
    { state: 'active', runs: true, endDay: '2027-02-09' },
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
    { state: 'active', runs: true, endDay: '2026-02-09' },
  ],
  [
    'stopped by hand: stays stopped',
    () => begun().press('stopped').pass(40).renew(),
    { state: 'paused', runs: false, endDay: '2026-03-18' },
  ],
  [
    'cancelled: paid time is delivered',
    () => begun().cancel().renew(),
    { state: 'cancelled', runs: true, endDay: '2026-03-09' },
  ],
  [
    'after grace, not suspended yet: from the day of the payment',
    () =>
      begun()
        .sleep(40)
        .renew({ paidAt: new Date('2026-02-17T09:00:00Z') }),
    { state: 'active', runs: true, endDay: '2026-03-16' },
  ],
  [
    'in grace, and applied later: from the old end',
    () =>
      begun()
        .sleep(40)
        .renew({ paidAt: new Date('2026-02-11T09:00:00Z') }),
    { state: 'active', runs: true, endDay: '2026-03-09' },
  ],
  [
    'begun on the 31st',
    () => new Story('2026-01-31').settle(),
    { state: 'active', runs: true, endDay: '2026-02-27' },
  ],
  [
    'begun on the 31st, then a month',
    () => new Story('2026-01-31').settle().renew(),
    { state: 'active', runs: true, endDay: '2026-03-30' },
  ],
  [
    'begun on the 31st, then three months one by one',
    () => new Story('2026-01-31').settle().renew().renew().renew(),
    { state: 'active', runs: true, endDay: '2026-05-30' },
  ],
  [
    'begun on the 31st, renewed in grace of February',
    () => new Story('2026-01-31').settle().pass(30).renew(),
    { state: 'active', runs: true, endDay: '2026-03-30' },
  ],
  [
    'begun on the 31st, and a person moved the end: the anchor is the new day',
    () => {
      const story = new Story('2026-01-31').settle();
      story.write({ endDay: '2026-03-04' });
      return story.renew();
    },
    { state: 'active', runs: true, endDay: '2026-04-04' },
  ],
];

const BY_HAND: readonly Row[] = [
  ['stopped', () => begun().press('stopped'), { state: 'paused', runs: false }],
  [
    'stopped and started: no day is added',
    () => begun().press('stopped').pass(10).press('running'),
    { state: 'active', runs: true, endDay: '2026-02-09' },
  ],
  [
    'stopped until grace is over',
    () => begun().press('stopped').pass(35),
    { state: 'expired', runs: false },
  ],
  [
    'cancelled: runs to the last paid day',
    () => begun().cancel().pass(30),
    { state: 'cancelled', runs: true },
  ],
  [
    'cancelled: no grace',
    () => begun().cancel().pass(31),
    { state: 'cancelled', runs: false, reason: 'Cancelled' },
  ],
  ['removed', () => begun().press('removed'), { state: 'removed', runs: false }],
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
  [
    'removed, and its data removed',
    () => begun().press('removed').pass(30),
    { state: 'removed', runs: false },
  ],
  [
    'cancelled and removed: stays cancelled',
    () => begun().cancel().press('removed').press('running'),
    { state: 'cancelled', runs: true },
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
    { state: 'active', runs: true, endDay: '2026-02-09' },
  ],
  [
    'the first sale, paid again ten days later: those days are not lost',
    () => begun().pass(3).refund(31).pass(10).payAgain(31),
    { state: 'active', runs: true, endDay: '2026-02-19' },
  ],
  [
    'a renewal, with days of the first month left',
    () => begun().renew().pass(2).refund(),
    { state: 'active', runs: true, endDay: '2026-02-09' },
  ],
  [
    'a renewal, with nothing left: no grace',
    () => begun().renew().pass(31).refund(),
    { state: 'expired', runs: false, endDay: '2026-02-09', reason: 'Refunded' },
  ],
  [
    'a renewal after a gap: the end is where it was',
    () => expired().renew().pass(1).refund(),
    { state: 'expired', runs: false, endDay: '2026-02-09', reason: 'Refunded' },
  ],
  [
    'the first of two months: the second stays',
    () => begun().renew().pass(5).refund(31),
    { state: 'active', runs: true, endDay: '2026-02-06' },
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
    'the invoice is reversed: at once',
    () => begun().money({ paymentState: 'reversed', reversedRatio: 1 }),
    { state: 'expired', runs: false, reason: 'Refunded' },
  ],
  [
    'the plan warns',
    () => begun({ refund: 'warn' }).refund().pass(2),
    { state: 'active', runs: true, endDay: '2026-02-09' },
  ],
  [
    'the plan ignores it',
    () => begun({ refund: 'ignore' }).refund(),
    { state: 'active', runs: true, endDay: '2026-02-09' },
  ],
  [
    'corrected by another invoice: the same days',
    () => begun().renew().pass(10).refund().renew({ replaces: 101 }),
    { state: 'active', runs: true, endDay: '2026-03-09' },
  ],
  [
    'corrected to a longer term',
    () => begun().renew().refund().renew({ replaces: 101, months: 3 }),
    { state: 'active', runs: true, endDay: '2026-05-09' },
  ],
  [
    'the first sale corrected',
    () =>
      begun()
        .pass(3)
        .refund(31)
        .renew({ replaces: 31, sold: { unit: 1, quantity: 1, removed: [] } }),
    { state: 'active', runs: true, endDay: '2026-02-09' },
  ],
  [
    'corrected where the plan ignores reversals: nothing is added',
    () => begun({ refund: 'ignore' }).renew().refund().renew({ replaces: 101 }),
    { state: 'active', runs: true, endDay: '2026-03-09' },
  ],
];

/** What people do to a paid invoice, often for a minute. */
const CORRECTED: ReadonlyArray<readonly [name: string, money: Partial<Money>]> = [
  ['the invoice is reset to draft', { state: 'draft' }],
  ['the invoice is cancelled', { state: 'cancel', paymentState: 'not_paid' }],
  ['the payment is unreconciled', { paymentState: 'not_paid' }],
  ['one of several payments bounces', { paymentState: 'partial' }],
];

/** Half of what 31 days cost. */
const HALF = { reversedRatio: 0.5 };

const IN_PART: readonly Row[] = [
  [
    'half of the first month, on its third day: half of the days, rounded up',
    () => begun().pass(3).money(HALF).pass(1),
    { state: 'active', runs: true, endDay: '2026-01-25' },
  ],
  [
    'half of the first month, nothing left: suspended without grace',
    () => begun().pass(20).money(HALF).pass(1),
    { state: 'expired', runs: false, endDay: '2026-01-25', reason: 'Refunded' },
  ],
  [
    'half a year of a year',
    () => {
      const story = begun().renew({ months: 12 });
      return story.money(HALF).pass(1);
    },
    { state: 'active', runs: true, endDay: '2026-08-11' },
  ],
  [
    'half, and then the rest',
    () => begun().renew().money(HALF).pass(1).refund(),
    { state: 'active', runs: true, endDay: '2026-02-09' },
  ],
  [
    'half, and the credit note is cancelled',
    () => begun().renew().money(HALF).pass(5).payAgain(),
    { state: 'active', runs: true, endDay: '2026-03-09' },
  ],
  [
    'half of two units: one whole instance, after it was reconsidered',
    () => {
      const story = begun();
      const [first] = story.subscription.periods;
      const sold = { unit: 2, quantity: 2, removed: [] };
      story.subscription = { ...story.subscription, periods: first ? [{ ...first, sold }] : [] };
      return story.money(HALF).pass(1);
    },
    { state: 'expired', runs: false, reason: 'Refunded' },
  ],
];

/** An instance that nobody sold: a person made it, or its invoice has no plan. */
function withoutPlan(): Story {
  const story = new Story();
  const period = aPeriod({ lineId: 0, months: 0, money: null, sold: null });
  story.subscription = { ...story.subscription, periods: [period] };
  return story.settle();
}

/** A plan that costs nothing, and what it says of the end of its term. */
const free = (policy: FreePolicy, today = '2026-01-10') =>
  new Story(today, { free: policy }).settle();

const NOT_SOLD: readonly Row[] = [
  ['without a plan', () => withoutPlan(), { state: 'active', runs: true, endDay: '' }],
  ['without a plan, years later', () => withoutPlan().pass(800), { state: 'active', runs: true }],
  [
    'without a plan, and a person has written an end',
    () => {
      const story = withoutPlan();
      story.write({ endDay: '2026-03-01' });
      return story.pass(60);
    },
    { state: 'expired', runs: false, endDay: '2026-03-01', reason: 'Expired' },
  ],
  [
    'free, and it continues',
    () => free('continue').pass(100),
    { state: 'active', runs: true, endDay: '2026-05-09' },
  ],
  [
    'free since the 31st, and it continues',
    () => free('continue', '2026-01-31').pass(45),
    { state: 'active', runs: true, endDay: '2026-03-30' },
  ],
  [
    'free, it continues, and a person cancels',
    () => free('continue').pass(100).cancel().pass(30),
    { state: 'cancelled', runs: false, reason: 'Cancelled' },
  ],
  [
    'free, and it ends',
    () => free('end').pass(34),
    { state: 'expired', runs: false, endDay: '2026-02-09', reason: 'Expired' },
  ],
];

describe('decideSubscription', () => {
  for (const [title, rows] of [
    ['as time passes', IN_TIME],
    ['renewed', RENEWED],
    ['by hand', BY_HAND],
    ['payment reversed', GONE_BACK],
    ['payment reversed in part', IN_PART],
    ['without a sale', NOT_SOLD],
  ] as const)
    describe(title, () => {
      for (const [name, tell, expected] of rows)
        it(`${name} → ${expected.state}, ${expected.runs ? 'runs' : 'down'}`, () => {
          const story = tell();
          const { state, endDay, reason } = story.subscription;
          expect({ endDay, reason, state, runs: story.runs }).to.include(expected);
        });
    });

  it('credits of several units first those whose instances are removed, then the last', () => {
    const outcome = (unit: number, removed: readonly number[], credited: number) => {
      const story = begun();
      const [first] = story.subscription.periods;
      if (!first) throw new Error('no first period');
      const sold = { unit, quantity: 4, removed };
      story.subscription = { ...story.subscription, periods: [{ ...first, sold }] };
      return story.money({ reversedRatio: credited / 4 }).pass(1).runs;
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

describe('Dunning', () => {
  const kinds = (story: Story) => story.sent.map(({ kind }) => kind);

  it('enters stage after stage, each once, with its notice', () => {
    const story = begun();
    expect(kinds(story)).to.deep.equal(['welcome']);
    story.pass(23);
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

  it('enters one stage per review, and counts each from the one before', () => {
    const story = begun().sleep(400);
    while (story.review() && !story.subscription.suspendedAt);
    story.settle();
    expect(story.subscription.finalNoticeAt, 'not in the same night').to.equal(null);
    story.sleep(400).settle();
    expect(story.subscription.finalNoticeAt).to.not.equal(null);
    expect(story.archives, 'a week after the final notice, whenever that was').to.equal(0);
    story.sleep(7).review();
    expect([story.archives, story.subscription.dataRemovedAt]).to.deep.equal([1, null]);
    story.review();
    expect(story.subscription.dataRemovedAt).to.not.equal(null);
  });

  it('begins again with the first stage after a payment', () => {
    const story = expired().pass(25).renew();
    const { archivedAt, finalNoticeAt, suspendedAt } = story.subscription;
    expect([suspendedAt, finalNoticeAt, archivedAt]).to.deep.equal([null, null, null]);
    story.pass(60);
    expect(kinds(story).filter((kind) => kind === 'suspended')).to.have.length(2);
  });

  it('waits only for retention after Remove, and notifies the customer twice', () => {
    const story = begun().press('removed');
    expect(kinds(story)).to.deep.equal(['welcome', 'removed']);
    story.pass(22);
    expect(kinds(story)).to.have.length(2);
    story.pass(1);
    expect(kinds(story).at(-1)).to.equal('finalNotice');
    expect(story.pass(6).archives).to.equal(0);
    expect(story.pass(1).archives).to.equal(1);
    expect(story.subscription.dataRemovedAt).to.not.equal(null);
    expect(kinds(story)).to.have.length(3);
  });

  it('begins with the first stage after Remove, whatever was sent before', () => {
    const story = expired().pass(28);
    expect(story.subscription.finalNoticeAt).to.not.equal(null);
    story.press('removed').pass(29);
    expect(story.archives, 'a whole retention from Remove').to.equal(0);
    expect(story.pass(1).archives).to.equal(1);
  });

  it('does not notify of the removal of what never ran, but asks a person about its payment', () => {
    const story = new Story();
    story.desiredState = 'removed';
    story.subscription = { ...story.subscription, suspendedAt: new Date('2026-01-10T12:00:00Z') };
    expect(kinds(story.settle().pass(31))).to.deep.equal(['paidAfterRemoval']);
  });

  it('keeps the data paid for after Remove until that time is over, and asks a person', () => {
    const story = begun().press('removed').pass(25).renew();
    expect(kinds(story)).to.deep.equal(['welcome', 'removed', 'finalNotice', 'paidThoughRemoved']);
    expect([story.subscription.endDay, story.runs]).to.deep.equal(['2026-03-09', false]);
    story.pass(32); // 8 March: long past what retention alone would be
    expect(story.archives).to.equal(0);
    story.pass(23);
    expect(story.archives, '31 March').to.equal(0);
    expect(kinds(story.pass(8)).filter((kind) => kind === 'finalNotice')).to.have.length(2);
    expect(story.archives, '8 April: paid until 9 March, and retention').to.equal(1);
  });

  it('no longer keeps them once that payment was refunded', () => {
    const story = begun().press('removed').pass(25).renew().pass(1).refund();
    expect(story.pass(7).archives).to.equal(1);
  });

  it('asks a person about a payment after the data were removed', () => {
    const story = begun().pass(100).renew();
    expect(story.runs).to.equal(false);
    expect(kinds(story).at(-1)).to.equal('paidAfterRemoval');
    expect(kinds(story.pass(3)).filter((kind) => kind === 'paidAfterRemoval')).to.have.length(1);
  });

  it('enters one stage per review, also without any days to wait', () => {
    const story = begun({ notice: 0, grace: 0, retention: 0, finalNotice: 0 }).sleep(31);
    const rungs = [];
    for (let review = 0; review < 6; review++) {
      rungs.push(story.decide().stage);
      story.review();
    }
    expect(rungs).to.deep.equal(['suspend', 'finalNotice', 'archive', 'remove', null, null]);
  });
});

describe('While the day is uncertain', () => {
  it('nothing lapses, nothing is reversed and nobody is notified', () => {
    const story = begun().pass(10);
    story.isDayCertain = false;
    story.sleep(100).settle();
    expect(story.runs).to.equal(true);
    story.refund();
    expect([story.runs, story.sent.length]).to.deep.equal([true, 1]);
    story.isDayCertain = true;
    expect(story.settle().subscription.reason).to.equal('Refunded');
  });

  it('a lapsed subscription enters no stage', () => {
    const story = expired();
    story.isDayCertain = false;
    story.sleep(60).settle();
    expect(story.subscription.finalNoticeAt).to.equal(null);
  });

  it('a suspension stays, and a payment ends it', () => {
    const story = expired();
    story.isDayCertain = false;
    story.sleep(-30).settle();
    expect(story.runs).to.equal(false);
    expect(story.renew().runs).to.equal(true);
  });
});

describe('Missing money', () => {
  for (const [name, money] of CORRECTED) {
    it(`${name}, and paid again within the reconsideration time: nothing changes`, () => {
      const story = begun({ reconsider: 48 }).pass(3);
      const { endDay, sent } = { endDay: story.subscription.endDay, sent: story.sent.length };
      story.money(money).pass(1);
      expect(story.runs).to.equal(true);
      expect(story.subscription.periods[0]?.missingSince, 'it is remembered').to.not.equal(null);
      story.payAgain();
      expect(story.subscription).to.include({ state: 'active', endDay, reason: '' });
      expect(story.subscription.periods[0]).to.deep.include({ missingSince: null });
      expect(story.pass(5).sent, 'nobody is mailed').to.have.length(sent);
    });

    it(`${name}, and stays so: the days are reversed when the time is over`, () => {
      const story = begun().pass(3).money(money);
      expect([story.runs, story.sent.length]).to.deep.equal([true, 1]);
      story.pass(1);
      expect(story.subscription).to.include({ state: 'expired', reason: 'Refunded' });
      expect(story.sent.at(-1)?.kind).to.equal('suspended');
    });
  }

  it('is counted for each line from when its own money went missing', () => {
    const story = begun({ reconsider: 48 }).renew().money({ paymentState: 'not_paid' }, 31).pass(1);
    story.money({ paymentState: 'not_paid' }).pass(1);
    expect(story.subscription, 'the first month').to.include({ endDay: '2026-02-06' });
    expect(story.pass(1).subscription.endDay).to.equal('2026-01-09');
  });

  it('is reviewed to the hour', () => {
    const story = begun().pass(3).money({ paymentState: 'not_paid' });
    expect(story.decide().reviewAt?.toISOString()).to.equal('2026-01-14T12:00:00.000Z');
  });

  it('is reconsidered as long before the first start', () => {
    const story = new Story();
    story.moveMoney({ paymentState: 'not_paid' });
    story.desiredState = 'stopped'; // it has not answered yet
    expect(story.settle().subscription).to.include({ suspendedAt: null, reason: '' });
    expect(story.pass(1).subscription.reason).to.equal('Refunded');
  });

  it('reverses nothing while the time is uncertain', () => {
    const story = begun().pass(3);
    story.isDayCertain = false;
    story.money({ paymentState: 'not_paid' });
    expect(story.subscription.periods[0]?.missingSince).to.equal(null);
  });

  it('warns a person only then, where the plan says so', () => {
    const story = begun({ refund: 'warn' }).money({ paymentState: 'not_paid' });
    expect(story.sent.map(({ kind }) => kind)).to.deep.equal(['welcome']);
    expect(story.pass(1).sent.at(-1)?.kind).to.equal('refundWarning');
  });

  it('does not lose the days of a correction that comes while the day is uncertain', () => {
    const story = begun().renew();
    story.isDayCertain = false;
    story.refund().renew({ replaces: 101 });
    story.isDayCertain = true;
    expect(story.settle().subscription.endDay).to.equal('2026-03-09');
  });
});

describe('A free plan', () => {
  const kinds = (story: Story) => story.sent.map(({ kind }) => kind);

  it('continues quietly for ever', () => {
    const story = new Story('2026-01-10', { free: 'continue' }).settle().pass(400);
    expect(kinds(story)).to.deep.equal(['welcome']);
  });

  it('is renewed without a notice where somebody invoices it', () => {
    const story = new Story('2026-01-10', { free: 'continue' }).settle().renew();
    expect(kinds(story)).to.deep.equal(['welcome']);
    expect(story.subscription.endDay).to.equal('2026-03-09');
  });

  it('ends quietly, but the customer is notified before the data are removed', () => {
    const story = new Story('2026-01-10', { free: 'end' }).settle().pass(70);
    expect(kinds(story)).to.deep.equal(['welcome', 'finalNotice']);
    expect(story.archives).to.equal(1);
  });
});
