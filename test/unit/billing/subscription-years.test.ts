import { expect } from 'chai';
import { addDays, daysBetween } from '../../../src/billing/days.ts';
import { noticeKey, type Period } from '../../../src/billing/subscription-types.ts';
import { Story } from '../../support/subscription-story.ts';

const LIVES = 1_000;
const DAYS = 3 * 365;

/** A customer's habits, drawn once. */
interface Habits {
  /** Always pays renewals in time, and never asks for a refund. */
  readonly isFaithful: boolean;
  readonly stopsByHand: boolean;
}

/** A pseudorandom generator with a fixed seed: the same numbers in every run. */
function randomness(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

/** The events of one day, at most one of each kind. */
function happen(story: Story, { isFaithful, stopsByHand }: Habits, random: () => number): void {
  const { endDay, periods, startDay } = story.subscription;
  const left = endDay ? daysBetween(story.today, endDay) : 99;
  const months = random() < 0.2 ? 3 : 1;
  const paid = periods.filter(isPaid);
  if (isFaithful) {
    if (startDay && left <= 5 && !periods.some((it) => !it.applied)) story.pay({ months });
  } else {
    if (random() < 0.03) story.pay({ months });
    if (random() < 0.004 && paid[0]) story.moveMoney({ reversedRatio: 1 }, paid[0].lineId);
    if (random() < 0.004 && paid[0]) story.moveMoney({ reversedRatio: 0.4 }, paid[0].lineId);
    if (random() < 0.01 && paid[0]) story.moveMoney({ paymentState: 'not_paid' }, paid[0].lineId);
    const lost = periods.find((period) => !isPaid(period));
    if (random() < 0.05 && lost) story.moveMoney({}, lost.lineId);
    if (random() < 0.0005) story.subscription = { ...story.subscription, state: 'cancelled' };
    if (random() < 0.0005) story.desiredState = 'removed';
    else if (story.desiredState === 'removed' && random() < 0.03) story.desiredState = 'running';
  }
  if (stopsByHand && random() < 0.02 && story.desiredState !== 'removed')
    story.desiredState = story.desiredState === 'running' ? 'stopped' : 'running';
}

function isPaid({ money }: Period): boolean {
  return money?.reversedRatio === 0 && money.paymentState === 'paid';
}

/** Whether the paid days and the applied days agree, except where money is being reconsidered. */
function areDaysConsistent({ subscription: { dataRemovedAt, periods, startDay } }: Story): boolean {
  if (!startDay || dataRemovedAt) return true;
  return periods.every((period) => {
    const { applied, missingSince, money } = period;
    const given = applied ? applied.days - applied.reversedDays : 0;
    if (isPaid(period)) return applied?.reversedDays === 0 && missingSince === null;
    if (money?.reversedRatio === 1) return given === 0 && missingSince === null;
    const share = money?.paymentState === 'paid' ? 1 - (money?.reversedRatio ?? 0) : 0;
    return missingSince !== null || given === Math.ceil((applied?.days ?? 0) * share - 1e-3);
  });
}

/** Which guarantee is broken on a day. Plain comparisons, because it runs a million times. */
function brokenService(story: Story, { isFaithful, stopsByHand }: Habits): string {
  const { dataRemovedAt, endDay, startDay, state, terms } = story.subscription;
  if (dataRemovedAt) {
    if (story.runs) return 'runs without its data';
    return story.archives > 0 ? '' : 'data gone without a verified archive';
  }
  if (!startDay) return '';
  if (story.runs && daysBetween(endDay, story.today) > terms.grace) return 'runs unpaid past grace';
  if (!story.runs && endDay >= story.today && story.desiredState === 'running')
    return 'paid for, and down';
  const isServed = state === 'active' || state === 'expiring_soon';
  return isFaithful && !stopsByHand && !isServed ? `faithful, and ${state}` : '';
}

/** The latest possible last paid day: the latest beginning of a period and all days in effect. */
function latestEnd({ subscription, today }: Story): string {
  const counted = subscription.periods.flatMap(({ applied: it }) =>
    it && it.days > it.reversedDays ? [it] : [],
  );
  const starts = counted.map(({ after, days }) => addDays(after, -days));
  const [latest = today] = [today, ...starts].sort().reverse();
  return addDays(
    latest,
    counted.reduce((sum, { days, reversedDays: taken }) => sum + days - taken, 0),
  );
}

function live(seed: number): Story {
  const random = randomness(seed);
  const habits = { isFaithful: random() < 0.4, stopsByHand: random() < 0.3 };
  const story = new Story('2026-01-10');
  let isDownUntil = '';
  for (let day = 0; day < DAYS; day++) {
    story.today = addDays(story.today, 1);
    happen(story, habits, random);
    if (random() < 0.005) isDownUntil = addDays(story.today, Math.floor(random() * 20));
    if (story.today < isDownUntil) continue;
    // A crash before the write loses the decision; Odoo has all of it or nothing.
    if (random() < 0.02) story.decide();
    if (story.isDue && !areDaysConsistent(story.settle()))
      throw new Error(`life ${seed}: paid and applied days differ`);
    const broken = brokenService(story, habits);
    if (broken) throw new Error(`life ${seed}, ${story.today}: ${broken}`);
  }
  return story;
}

describe('A thousand subscriptions through three years', () => {
  it('keep every guarantee through payments, stops, refunds, crashes and downtime', function () {
    this.timeout(60_000);
    let removed = 0;
    for (let seed = 1; seed <= LIVES; seed++) {
      const story = live(seed);
      const keys = story.sent.map(noticeKey);
      expect(new Set(keys).size, `life ${seed}: a notice twice`).to.equal(keys.length);
      const lines = story.sent.filter(({ kind }) => kind === 'renewed').map(({ period }) => period);
      expect(new Set(lines).size, `life ${seed}: a renewal twice`).to.equal(lines.length);
      const { endDay } = story.subscription;
      expect(endDay <= latestEnd(story), `life ${seed}: days counted twice`).to.equal(true);
      if (story.subscription.dataRemovedAt) removed += 1;
    }
    expect(removed, 'lives that ended in removal').to.be.greaterThan(50);
  });
});
