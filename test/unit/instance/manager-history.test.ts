import { expect } from 'chai';
import { checkManagerHistory } from '../../../src/instance/manager-history.ts';

const remembered = { databaseUuid: 'u', checkpoint: 5, highestInstance: 7, distrust: null };
const said = { databaseUuid: 'u', checkpoint: 5, highestInstance: 7 };

describe('checkManagerHistory', () => {
  const table = [
    ['a new host and a new manager', null, said, 0, null],
    ['a new host, a manager that has sold before', null, said, 0, null],
    ['nothing remembered, and more here than Odoo ever sold', null, said, 8, 'older'],
    ['as it was', remembered, said, 7, null],
    ['it has sold since', remembered, { ...said, highestInstance: 9 }, 9, null],
    ['a checkpoint was lost', remembered, { ...said, checkpoint: 4 }, 7, 'older'],
    ['a sale was lost, its instance is here', remembered, said, 8, 'older'],
    [
      'a sale was lost, and nothing of it is here',
      remembered,
      { ...said, highestInstance: 6 },
      0,
      'older',
    ],
    ['another database', remembered, { ...said, databaseUuid: 'v' }, 7, 'other'],
    ['in doubt before', { ...remembered, distrust: 'older' as const }, said, 7, 'older'],
  ] as const;
  for (const [when, before, now, here, expected] of table)
    it(`${when} → ${expected ?? 'trusted'}`, () => {
      expect(checkManagerHistory(before, now, here)).to.equal(expected);
    });
});
