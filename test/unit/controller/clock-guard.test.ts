import { expect } from 'chai';
import { ClockGuard } from '../../../src/controller/clock-guard.ts';

const HOUR = 3_600_000;

describe('ClockGuard', () => {
  let clock: number;
  let uptime: number;
  let clockGuard: ClockGuard;
  let said: boolean[];
  beforeEach(() => {
    said = [];
    clock = Date.parse('2026-11-22T12:00:00Z');
    uptime = 50_000;
    clockGuard = new ClockGuard(
      () => new Date(clock),
      () => uptime,
      (isCertain) => void said.push(isCertain),
    );
  });

  const pass = (ms: number) => {
    clock += ms;
    uptime += ms;
  };
  /** Odoo's clock, so many milliseconds ahead of the sidecar's. */
  const isCertain = (ahead = 0) => clockGuard.isDayCertain(new Date(clock + ahead));

  it('is certain while the clocks agree and advance evenly', () => {
    for (let day = 0; day < 400; day++) {
      expect(isCertain(day % 2 === 0 ? 60_000 : -60_000)).to.equal(true);
      pass(24 * HOUR);
    }
  });

  for (const ahead of [24, -24])
    it(`is uncertain while Odoo's clock is ${ahead} h ahead`, () => {
      expect(isCertain(ahead * HOUR)).to.equal(false);
      expect(isCertain()).to.equal(true);
    });

  it('calls onChange once when the day becomes uncertain, and once when it is certain again', () => {
    for (const ahead of [0, 24, 25, 24, 0, 0]) isCertain(ahead * HOUR);
    expect(said).to.deep.equal([false, true]);
  });

  for (const jump of [24, -24])
    it(`is uncertain for a day after both clocks have jumped by ${jump} h together`, () => {
      clock += jump * HOUR;
      expect(isCertain()).to.equal(false);
      pass(23 * HOUR);
      expect(isCertain()).to.equal(false);
      pass(2 * HOUR);
      expect(isCertain()).to.equal(true);
    });

  it('is uncertain for a day after the clock was corrected', () => {
    clock += 24 * HOUR;
    expect(isCertain()).to.equal(false);
    pass(HOUR);
    clock -= 24 * HOUR;
    expect(isCertain()).to.equal(false);
    pass(25 * HOUR);
    expect(isCertain()).to.equal(true);
  });
});
