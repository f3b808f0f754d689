import { expect } from 'chai';
import fc from 'fast-check';
import { addMonths, dayIn, startOfDay } from '../../../src/billing/days.ts';

const NOW = new Date('2026-11-22T23:30:00Z');

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

describe('startOfDay', () => {
  for (const [zone, day, expected] of [
    ['UTC', '2026-11-22', '2026-11-22T00:00:00.000Z'],
    ['Europe/Madrid', '2026-07-01', '2026-06-30T22:00:00.000Z'],
    ['Pacific/Kiritimati', '2026-11-22', '2026-11-21T10:00:00.000Z'],
    ['America/Santiago', '2026-09-06', '2026-09-06T04:00:00.000Z'], // no midnight: clocks go from 24:00 to 1:00
    ['Not/AZone', '2026-11-22', '2026-11-22T00:00:00.000Z'],
  ] as const)
    it(`${day} in ${zone}`, () => {
      expect(startOfDay(zone, day).toISOString()).to.equal(expected);
    });

  it('is the first minute of the day, everywhere and always', () => {
    const zones = fc.constantFrom(...Intl.supportedValuesOf('timeZone'));
    const days = fc.date({
      min: new Date('2000-01-01'),
      max: new Date('2040-01-01'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(zones, days, (zone, date) => {
        const day = date.toISOString().slice(0, 10);
        const start = startOfDay(zone, day);
        expect(dayIn(zone, start) >= day, 'the day has begun').to.equal(true);
        expect(dayIn(zone, new Date(start.getTime() - 60_000)) < day, 'not before').to.equal(true);
      }),
    );
  });
});
