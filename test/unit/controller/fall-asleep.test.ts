import { expect } from 'chai';
import { planSleep } from '../../../src/controller/fall-asleep.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = Date.parse('2026-11-22T12:00:00Z');
const at = (ms: number) => new Date(NOW + ms);

describe('planSleep', () => {
  for (const [what, work, expected] of [
    ['no work: a day', null, { wakeAt: NOW + 24 * HOUR }],
    ['work tomorrow: until then', at(20 * HOUR), { wakeAt: NOW + 20 * HOUR }],
    ['work next year: a day', at(9_000 * HOUR), { wakeAt: NOW + 24 * HOUR }],
    ['work in a while: until then', at(11 * MINUTE), { wakeAt: NOW + 11 * MINUTE }],
    ['work soon: awake for it', at(10 * MINUTE), { awakeUntil: NOW + 20 * MINUTE }],
    [
      'work that has just come up: awake for it',
      at(-9 * MINUTE),
      { awakeUntil: NOW + 10 * MINUTE },
    ],
    ['work that nobody does: an hour', at(-10 * MINUTE), { wakeAt: NOW + HOUR }],
    ['work of long ago: an hour', new Date(0), { wakeAt: NOW + HOUR }],
    ['mail to be fetched: awake', 'always', { awakeUntil: NOW + HOUR }],
  ] as const)
    it(what, () => expect(planSleep(work, NOW)).to.deep.equal(expected));
});
