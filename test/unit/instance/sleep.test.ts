import { expect } from 'chai';
import { effectiveState } from '../../../src/instance/decide.ts';
import { type Attention, isToSleep, lastRequestOf } from '../../../src/instance/sleep.ts';
import type { InstanceState, Sleep } from '../../../src/instance/types.ts';
import { anInstance, aSubscription } from '../../support/samples.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-11-22T12:00:00Z');
const hoursAgo = (hours: number) => NOW - hours * HOUR;
const seconds = (ms: number) => ms / 1000;

const known = (
  over: Partial<Sleep & { state: InstanceState }> = {},
): Sleep & { state: InstanceState } => ({
  state: 'running',
  sleepHours: 2,
  isAsleep: false,
  lastRequestAt: seconds(hoursAgo(3)),
  wakeAt: 0,
  ...over,
});
const attention = (over: Partial<Attention> = {}): Attention => ({
  now: NOW,
  lastRequestAt: 0,
  awakeUntil: 0,
  since: hoursAgo(24),
  ...over,
});

describe('isToSleep', () => {
  const asleep = { isAsleep: true, lastRequestAt: seconds(hoursAgo(30)) };
  const table = [
    ['nobody came for the hours of its plan', {}, {}, true],
    ['its plan has no hours', { sleepHours: 0 }, {}, false],
    ['hours that are no number', { sleepHours: Number.NaN }, {}, false],
    ['hours below zero', { sleepHours: -1 }, {}, false],
    ['a visit that Odoo knows of', { lastRequestAt: seconds(hoursAgo(1)) }, {}, false],
    ['a visit that the door has seen', {}, { lastRequestAt: hoursAgo(1) }, false],
    [
      'an old visit in memory, a newer one in Odoo',
      { lastRequestAt: seconds(hoursAgo(1)) },
      { lastRequestAt: hoursAgo(9) },
      false,
    ],
    [
      'no visit is known, and the sidecar has started lately',
      { lastRequestAt: 0 },
      { since: hoursAgo(1) },
      false,
    ],
    [
      'no visit is known since the sidecar has started',
      { lastRequestAt: 0 },
      { since: hoursAgo(2) },
      true,
    ],
    ['the sidecar has just started', {}, { since: NOW - 60_000 }, false],
    ['it has work to do', {}, { awakeUntil: NOW + 1 }, false],
    ['it has done its work', {}, { awakeUntil: NOW }, true],
    ['it is in error', { state: 'error' }, {}, false],
    ['it starts', { state: 'draft' }, {}, false],
    ['asleep, nothing planned', asleep, {}, true],
    ['asleep, and the sidecar has just started', asleep, { since: NOW }, true],
    ['asleep, though nobody has ever come', { ...asleep, lastRequestAt: 0 }, { since: NOW }, true],
    ['asleep, its work is due later', { ...asleep, wakeAt: seconds(NOW) + 1 }, {}, true],
    ['asleep, its work is due', { ...asleep, wakeAt: seconds(NOW) }, {}, false],
    [
      'asleep, its work was due while the sidecar was away',
      { ...asleep, wakeAt: seconds(hoursAgo(9)) },
      { since: NOW },
      false,
    ],
    ['asleep, and somebody comes', asleep, { lastRequestAt: NOW }, false],
    ['asleep, and its plan has no hours any more', { ...asleep, sleepHours: 0 }, {}, false],
  ] as const;
  for (const [when, row, seen, expected] of table)
    it(`${when} → ${expected ? 'asleep' : 'awake'}`, () =>
      expect(isToSleep(known(row), attention(seen))).to.equal(expected));

  it('never, where nobody sees visitors: nobody could wake it', () => {
    expect(isToSleep(known(), null)).to.equal(false);
    expect(isToSleep(known(asleep), null)).to.equal(false);
  });
});

describe('effectiveState', () => {
  const idle = { sleepHours: 2, lastRequestAt: seconds(hoursAgo(3)) };
  it('is asleep for what should run and nobody uses', () => {
    expect(effectiveState(anInstance(idle), attention())).to.equal('asleep');
    expect(effectiveState(anInstance(idle), null)).to.equal('running');
  });

  it('is what people or the subscription want before that', () => {
    const suspended = aSubscription({ suspendedAt: new Date(NOW) });
    const purged = aSubscription({ dataRemovedAt: new Date(NOW) });
    for (const [wish, expected] of [
      [{ desiredState: 'stopped' }, 'stopped'],
      [{ desiredState: 'removed' }, 'removed'],
      [{ subscription: suspended }, 'suspended'],
      [{ subscription: purged }, 'purged'],
    ] as const)
      for (const isAsleep of [true, false])
        expect(effectiveState(anInstance({ ...idle, ...wish, isAsleep }), attention())).to.equal(
          expected,
        );
  });

  it('is not kept awake by a visit of the future: a clock was ahead when it was written down', () => {
    const ahead = { lastRequestAt: seconds(NOW + 48 * HOUR) };
    expect(lastRequestOf(ahead, attention({ now: NOW, lastRequestAt: 0 }))).to.equal(0);
    const before = attention({ now: NOW, lastRequestAt: hoursAgo(3) });
    expect(lastRequestOf(ahead, before)).to.equal(hoursAgo(3));
  });
});
