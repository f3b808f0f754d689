import { expect } from 'chai';
import { type BackupFacts, dueBackup, lastNight } from '../../../src/instance/backup-policy.ts';

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
