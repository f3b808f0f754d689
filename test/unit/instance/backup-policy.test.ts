import { expect } from 'chai';
import {
  type BackupFacts,
  dueBackup,
  isBootDue,
  lastNight,
} from '../../../src/instance/backup-policy.ts';

const HOUR = 3600;
const NIGHT = 1_800_000_000;
const never: BackupFacts = { lastBackupAt: 0, lastProofAt: 0, lastFailureAt: 0 };

describe('when a backup is due', () => {
  const table: Array<[string, Partial<BackupFacts>, number, 'backup' | 'prove' | null]> = [
    ['in the night, one that has none', {}, 1, 'backup'],
    ['by day too, one that has had a night and has none', {}, 9, 'backup'],
    ['last night’s is there and not proven', { lastBackupAt: NIGHT + 60 }, 1, 'prove'],
    ['last night’s is proven', { lastBackupAt: NIGHT + 60, lastProofAt: NIGHT + 90 }, 1, null],
    [
      'an older proof proves no newer backup',
      { lastBackupAt: NIGHT + 60, lastProofAt: NIGHT },
      1,
      'prove',
    ],
    ['that of the night before', { lastBackupAt: NIGHT - 24 * HOUR }, 1, 'backup'],
    [
      'that of the night before, by day, not a day old',
      { lastBackupAt: NIGHT - 12 * HOUR },
      8,
      null,
    ],
    ['older than 26 hours: by day too', { lastBackupAt: NIGHT - 24 * HOUR }, 8, 'backup'],
    ['a backup of a clock that was wrong is none', { lastBackupAt: NIGHT + 1e7 }, 1, 'backup'],
    ['nor is such a failure', { lastFailureAt: NIGHT + 1e7 }, 1, 'backup'],
    ['a failure half an hour ago', { lastFailureAt: NIGHT + 1800 }, 1, null],
    ['a failure more than an hour ago', { lastFailureAt: NIGHT + 60 }, 2, 'backup'],
    [
      'a proof that could not be had, an hour later',
      { lastBackupAt: NIGHT + 60, lastFailureAt: NIGHT + 90 },
      3,
      'prove',
    ],
  ];
  for (const [title, facts, hours, expected] of table)
    it(title, () => {
      expect(dueBackup({ ...never, ...facts }, NIGHT, NIGHT + hours * HOUR)).to.equal(expected);
    });

  it('what is sold by day waits for its first night', () => {
    const sold = NIGHT + 8 * HOUR;
    expect(dueBackup(never, NIGHT, sold + HOUR, sold)).to.equal(null);
    expect(dueBackup(never, NIGHT + 24 * HOUR, NIGHT + 31 * HOUR, sold)).to.equal('backup');
  });

  it('a night begins at its time of this host’s day, of today or of yesterday', () => {
    const noon = new Date(2026, 10, 27, 12, 0);
    expect(lastNight('02:30', noon)).to.deep.equal(new Date(2026, 10, 27, 2, 30));
    expect(lastNight('23:15', noon)).to.deep.equal(new Date(2026, 10, 26, 23, 15));
    expect(lastNight('12:00', noon)).to.deep.equal(noon);
  });
});

describe('in which nights Odoo is started with an instance’s backup', () => {
  const DAY = 24 * HOUR;
  const made = (night: number, proof: 'data' | 'boot') => ({
    date: new Date((night + HOUR) * 1000),
    proof,
  });
  /** @param missed nights without any backup */
  const bootsOf = (id: number, missed: readonly number[] = []) => {
    const backups: Array<ReturnType<typeof made>> = [];
    const booted: number[] = [];
    for (let day = 0; day < 60; day++) {
      if (missed.includes(day)) continue;
      const night = NIGHT + day * DAY;
      backups.push(made(night, 'data'));
      if (!isBootDue(id, backups.slice(-7), night)) continue;
      booted.push(day);
      backups.splice(-1, 1, made(night, 'boot'));
    }
    return booted;
  };

  it('every seventh, from its first week on', () => {
    for (let id = 1; id <= 7; id++) {
      const booted = bootsOf(id);
      expect(booted[0]).to.be.below(7);
      expect(booted.slice(1).map((day, at) => day - (booted[at] ?? 0))).to.deep.equal(
        Array(booted.length - 1).fill(7),
      );
    }
  });

  it('about as many in each night, whatever day they were sold', () => {
    const perNight = new Map<number, number>();
    for (let id = 1; id <= 70; id++)
      for (const day of bootsOf(id)) perNight.set(day, (perNight.get(day) ?? 0) + 1);
    expect(new Set(perNight.values())).to.deep.equal(new Set([10]));
  });

  it('the next one, where the host was off in its turn', () => {
    const [first = 0] = bootsOf(3);
    const booted = bootsOf(3, [first + 7, first + 8]);
    expect(booted.slice(0, 3)).to.deep.equal([first, first + 9, first + 14]);
  });
});
