import { expect } from 'chai';
import { type DatedBackup, keptBackups as keptOf } from '../../../src/instance/backup-retention.ts';

const DAY = 24 * 3600_000;
const TODAY = Date.UTC(2026, 10, 27, 2);

const keptBackups = (backups: readonly DatedBackup[]) => keptOf(backups, new Date(TODAY));

/** A backup of so many days ago, called by that number. */
const ago = (days: number, isProven = false): DatedBackup => ({
  ...{ snapshot: String(days), proof: isProven ? 'data' : 'none', isByHand: false },
  date: new Date(TODAY - days * DAY),
});

describe('which backups are kept', () => {
  it('none where there is none', () => {
    expect(keptBackups([])).to.have.property('size', 0);
  });

  it('of a year of nights: 7 days, 4 weeks, 12 months', () => {
    const kept = keptBackups(Array.from({ length: 400 }, (_, days) => ago(days)));
    const of = (why: string) => [...kept].filter(([, it]) => it === why).map(([id]) => Number(id));
    expect(of('newest')).to.deep.equal([0]);
    expect(of('daily')).to.deep.equal([1, 2, 3, 4, 5, 6]);
    // The last of each week: Sundays, 2026-11-22 and before. The first two weeks have theirs among the days.
    expect(of('weekly')).to.deep.equal([12, 19]);
    expect(of('monthly')[0]).to.equal(27);
    expect(of('monthly')).to.have.length(11);
    expect(kept.size).to.equal(1 + 6 + 2 + 11);
  });

  it('the newest and the newest proven one, whatever their age', () => {
    const recent = Array.from({ length: 30 }, (_, days) => ago(days));
    const kept = keptBackups([...recent, ago(900, true), ago(901, true)]);
    expect(kept.get('0')).to.equal('newest');
    expect(kept.get('900')).to.equal('proven');
    expect(kept.has('901')).to.equal(false);
    expect(keptBackups([ago(5000)]).get('5000')).to.equal('newest');
  });

  it('what a person has asked for, for a week', () => {
    const asked = (days: number) => ({
      ...ago(days),
      ...{ snapshot: `asked ${days}`, isByHand: true },
      date: new Date(TODAY - days * DAY - 3_600_000),
    });
    const kept = keptBackups([ago(0), ago(6), asked(6), ago(8), asked(8)]);
    expect(kept.get('asked 6')).to.equal('by_hand');
    expect(kept.has('asked 8')).to.equal(false);
  });

  it('the last one of each end of the instance, for good: the proven one, else the last', () => {
    const of = (ending: string, days: number, isProven = false) => ({
      ...ago(days, isProven),
      ...{ snapshot: `${ending} ${days}`, ending },
    });
    const ends = [
      of('first', 2000, true),
      of('first', 1999),
      of('second', 1500),
      of('second', 1499),
    ];
    const kept = keptBackups([ago(0), ago(1000, true), ...ends]);
    expect([...kept].filter(([, why]) => why === 'end').map(([id]) => id)).to.deep.equal([
      'second 1499',
      'first 2000',
    ]);
    expect(keptBackups([of('first', 0, true)]).get('first 0')).to.equal('end');
  });

  it('of several on a day a proven one rather than a later one that is not', () => {
    const proven = { ...ago(1, true), snapshot: 'proven' };
    const later = { ...ago(1), snapshot: 'later', date: new Date(TODAY - DAY + 3_600_000) };
    const kept = keptBackups([proven, later, ago(0, true)]);
    expect(kept.get('proven')).to.equal('daily');
    expect(kept.has('later')).to.equal(false);
  });

  it('of several on a day the last one', () => {
    const morning = { ...ago(3), snapshot: 'morning' };
    const evening = { ...ago(3), snapshot: 'evening', date: new Date(TODAY - 3 * DAY + 3_600_000) };
    const kept = keptBackups([evening, morning, ago(0)]);
    expect([...kept.keys()]).to.have.members(['0', 'evening']);
  });
});
