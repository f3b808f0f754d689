import { expect } from 'chai';
import { decide, effectiveState } from '../../../src/instance/decide.ts';
import { driftOf } from '../../../src/instance/drift.ts';
import type { DesiredInstance, ObservedInstance } from '../../../src/instance/types.ts';
import { anInstance, anObservation, aSubscription } from '../../support/samples.ts';

/** Why the next step is taken, where nobody has asked for it. */
function found(desired: Partial<DesiredInstance>, seen: Partial<ObservedInstance>) {
  const [instance, observed] = [anInstance(desired), anObservation(seen)];
  const state = effectiveState(instance, null);
  const step = decide(instance, state, observed);
  if (step === null) throw new Error('nothing is to be done');
  return driftOf(instance, state, observed, step);
}

describe('drift', () => {
  const STOPPED = { state: 'stopped', desiredState: 'stopped', reason: 'Stopped' } as const;
  for (const [what, desired, seen, expected] of [
    ['containers that are gone', {}, { containers: 'none' }, 'ContainersGone'],
    ['containers that have ended', {}, { containers: 'stopped' }, 'ContainersEnded'],
    ['containers that are paused', {}, { containers: 'paused' }, 'ContainersPaused'],
    ['containers of which one has ended', {}, { containers: 'partial' }, 'ContainersInPart'],
    ['an own Postgres that has ended', {}, { database: 'offline' }, 'DatabaseEnded'],
    [
      'an own Postgres that is gone with all',
      {},
      { database: 'offline', containers: 'none' },
      'ContainersGone',
    ],
    ['an Odoo that hangs', {}, { hung: true, answering: false }, 'Silent'],
    ['what was stopped and is up', STOPPED, {}, 'StartedByOthers'],
  ] as const)
    it(`is ${what}`, () => expect(found(desired, seen)).to.equal(expected));

  for (const [what, desired, seen] of [
    ['Start pressed', { ...STOPPED, desiredState: 'running' }, { containers: 'stopped' }],
    ['Stop pressed', { desiredState: 'stopped' }, {}],
    ['Restart pressed', {}, { containers: 'outdated' }],
    ['a step that goes on after a kill', { reason: 'Starting' }, { containers: 'none' }],
    [
      'a failure that is tried again',
      { state: 'error', reason: 'StartFailed' },
      { containers: 'none' },
    ],
    ['one that wakes', { isAsleep: true }, { containers: 'stopped' }],
    ['a first answer', {}, { answering: false }],
    ['a suspension', { subscription: aSubscription({ suspendedAt: new Date(0) }) }, {}],
    ['data that are missing', {}, { data: 'partial' }],
  ] as const)
    it(`is not ${what}`, () => expect(found(desired, seen)).to.equal(null));
});
