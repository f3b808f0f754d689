import { expect } from 'chai';
import fc from 'fast-check';
import { addMonths, dayIn, nextSubscription } from '../../../src/instance/subscription.ts';
import type { DesiredInstance, Subscription } from '../../../src/instance/types.ts';
import { anInstance, aSubscription } from '../../support/samples.ts';

const NOW = new Date('2026-11-22T23:30:00Z');

function next(
  subscription: Partial<Subscription>,
  isRunning: boolean,
  over: Partial<DesiredInstance> = {},
) {
  return nextSubscription(
    anInstance({ subscription: aSubscription(subscription), ...over }),
    isRunning,
    NOW,
  );
}

describe('nextSubscription', () => {
  it('begins on the day, where the company is, on which the instance first runs', () => {
    const days = { startDay: '2026-11-23', endDay: '2026-12-23' };
    expect(next({}, true)).to.include({ state: 'active', ...days });
    expect(next({}, true, { companyTimeZone: 'America/Lima' })?.startDay).to.equal('2026-11-22');
  });

  it('keeps the days that a person has written', () => {
    const days = { startDay: '2026-11-01', endDay: '2027-01-15' };
    expect(next(days, true)).to.include({ state: 'active', ...days });
  });

  const stopped = { desiredState: 'stopped' } as const;
  const table = [
    ['draft, not running', next({}, false), undefined],
    ['active and running', next({ state: 'active' }, true), undefined],
    ['active, stopped by hand', next({ state: 'active' }, false, stopped), 'paused'],
    ['active, down by itself', next({ state: 'active' }, false), undefined],
    ['paused, still stopped', next({ state: 'paused' }, false, stopped), undefined],
    ['paused, running again', next({ state: 'paused' }, true), 'active'],
    ['cancelled, running', next({ state: 'cancelled' }, true), undefined],
    ['none', nextSubscription(anInstance({ subscription: null }), true, NOW), undefined],
  ] as const;
  for (const [when, result, expected] of table)
    it(`${when} → ${expected ?? 'no change'}`, () => {
      expect(result?.state).to.equal(expected);
    });

  it('gives no paused day back', () => {
    const days = { startDay: '2026-10-01', endDay: '2026-11-01' };
    expect(next({ state: 'paused', ...days }, true)).to.include(days);
  });
});

describe('addMonths', () => {
  for (const [day, months, expected] of [
    ['2026-01-15', 1, '2026-02-15'],
    ['2026-01-31', 1, '2026-02-28'],
    ['2028-01-31', 1, '2028-02-29'],
    ['2028-02-29', 12, '2029-02-28'],
    ['2026-08-31', 3, '2026-11-30'],
    ['2026-11-30', 3, '2027-02-28'],
    ['2026-12-31', 6, '2027-06-30'],
  ] as const)
    it(`${day} + ${months} → ${expected}`, () => {
      expect(addMonths(day, months)).to.equal(expected);
    });

  it('always lands in the month that many months on, on the same day or its last', () => {
    const days = fc.date({
      min: new Date('2000-01-01'),
      max: new Date('2099-12-31'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(days, fc.constantFrom(1, 3, 6, 12), (date, months) => {
        const from = date.toISOString().slice(0, 10);
        const to = addMonths(from, months);
        const monthOf = (day: string) => Number(day.slice(0, 4)) * 12 + Number(day.slice(5, 7));
        expect(monthOf(to)).to.equal(monthOf(from) + months);
        if (to.slice(8) === from.slice(8)) return;
        const dayAfter = new Date(Date.parse(to) + 86_400_000);
        expect(dayAfter.getUTCDate(), `${to} is a month's last day`).to.equal(1);
      }),
    );
  });
});

describe('dayIn', () => {
  for (const [zone, expected] of [
    ['UTC', '2026-11-22'],
    ['Europe/Madrid', '2026-11-23'],
    ['Pacific/Auckland', '2026-11-23'],
    ['America/Mexico_City', '2026-11-22'],
    ['Not/AZone', '2026-11-22'],
    ['', '2026-11-22'],
  ] as const)
    it(`${zone || 'no zone'} → ${expected}`, () => {
      expect(dayIn(zone, NOW)).to.equal(expected);
    });
});
