import { expect } from 'chai';
import { decide as decideFor, effectiveState } from '../../../src/instance/decide.ts';
import type { DesiredInstance, ObservedInstance } from '../../../src/instance/types.ts';
import { anInstance, aSubscription, aWorld } from '../../support/samples.ts';

const decide = (desired: DesiredInstance, seen: ObservedInstance) =>
  decideFor(desired, effectiveState(desired), seen);

const fresh = anInstance({ wasReady: false });
const stopped = anInstance({ desiredState: 'stopped' });
const removed = anInstance({ desiredState: 'removed' });
const suspendedAt = new Date('2026-11-20T12:00:00Z');
const suspended = anInstance({ subscription: aSubscription({ suspendedAt }) });
const removedWhileSuspended = anInstance({
  desiredState: 'removed',
  subscription: aSubscription({ suspendedAt }),
});
const purged = anInstance({
  desiredState: 'removed',
  subscription: aSubscription({ suspendedAt, dataRemovedAt: suspendedAt }),
});
const nothingLeft = aWorld({
  directory: 'nobody',
  containerOwner: 'nobody',
  files: 'absent',
  data: 'absent',
  database: 'absent',
  containers: 'none',
  answering: false,
});

const legacy = anInstance({ mayAdopt: true });
const UNMARKED = {
  directory: 'unmarked',
  database: 'unmarked',
  containerOwner: 'unmarked',
} as const;

describe('decide', () => {
  const table = [
    ['never started', anInstance({ desiredState: 'draft' }), aWorld(), null],
    ['no ports yet', anInstance({ ports: null }), aWorld(), 'assignPorts'],
    ['a checkout is missing', fresh, aWorld({ checkouts: 'missing' }), 'fetchRepositories'],
    ['no files', fresh, aWorld({ files: 'absent' }), 'render'],
    ['the plan or a port has changed', fresh, aWorld({ files: 'stale' }), 'render'],
    ['its own Postgres is not up', fresh, aWorld({ database: 'offline' }), 'startDatabase'],
    [
      'no database yet',
      fresh,
      aWorld({ database: 'absent', containers: 'none' }),
      'createDatabase',
    ],
    [
      'its own Postgres is up, and nothing in it',
      fresh,
      aWorld({ database: 'absent', containers: 'partial' }),
      'createDatabase',
    ],
    ['up before its database', fresh, aWorld({ database: 'absent' }), 'stop'],
    ['a database that has been there', anInstance(), aWorld({ database: 'absent' }), 'stall'],
    ['files that have been there', anInstance(), aWorld({ data: 'absent' }), 'stall'],
    ['a part of them', anInstance(), aWorld({ data: 'partial', containers: 'none' }), 'stall'],
    ['a database whose files are gone', fresh, aWorld({ data: 'partial' }), 'stall'],
    [
      'only what can be made again is gone',
      anInstance(),
      aWorld({ files: 'absent', containers: 'none' }),
      'render',
    ],
    ['somebody has paused it', anInstance(), aWorld({ containers: 'paused' }), 'start'],
    ['no containers', fresh, aWorld({ containers: 'none' }), 'start'],
    ['a container died', fresh, aWorld({ containers: 'stopped' }), 'start'],
    ['one of two died', fresh, aWorld({ containers: 'partial' }), 'start'],
    ['made from older files', fresh, aWorld({ containers: 'outdated' }), 'start'],
    ['up, silent', fresh, aWorld({ answering: false }), 'awaitAnswer'],
    ['up, silent for long', anInstance(), aWorld({ answering: false, hung: true }), 'restart'],
    ['up, answering', fresh, aWorld(), null],
    ['it has other repositories', fresh, aWorld({ appsList: 'stale' }), 'updateAppsList'],
    ['to be stopped, up', stopped, aWorld(), 'stop'],
    ['to be stopped, half up', stopped, aWorld({ containers: 'partial' }), 'stop'],
    ['to be stopped, up from old files', stopped, aWorld({ containers: 'outdated' }), 'stop'],
    ['to be stopped, down', stopped, aWorld({ containers: 'stopped' }), null],
    ['to be stopped, never made', stopped, aWorld({ containers: 'none' }), null],
    ['to be stopped, paused', stopped, aWorld({ containers: 'paused' }), 'stop'],
    ['to be stopped, its files gone', stopped, aWorld({ data: 'absent' }), 'stop'],
    ['to be removed, paused', removed, aWorld({ containers: 'paused' }), 'removeContainers'],
    ['to be removed, its files gone', removed, aWorld({ data: 'absent' }), 'removeContainers'],
    ['suspended, up', suspended, aWorld(), 'stop'],
    ['suspended, paused', suspended, aWorld({ containers: 'paused' }), 'stop'],
    ['suspended, down', suspended, aWorld({ containers: 'stopped' }), null],
    [
      'suspended, its database gone',
      suspended,
      aWorld({ containers: 'none', database: 'absent' }),
      null,
    ],
    [
      'suspended before it was made',
      suspended,
      aWorld({ containers: 'none', files: 'absent' }),
      null,
    ],
    ['suspended, then removed by a person', removedWhileSuspended, aWorld(), 'removeContainers'],
    ['retention over, up', purged, aWorld(), 'purge'],
    [
      'retention over, database left',
      purged,
      aWorld({ containers: 'none', files: 'absent' }),
      'purge',
    ],
    [
      'retention over, files left',
      purged,
      aWorld({ containers: 'none', database: 'absent' }),
      'purge',
    ],
    [
      'retention over, containers left',
      purged,
      aWorld({ files: 'absent', database: 'absent' }),
      'purge',
    ],
    ['purged', purged, nothingLeft, null],
    ['to be removed, up', removed, aWorld(), 'removeContainers'],
    ['to be removed, down', removed, aWorld({ containers: 'stopped' }), 'removeContainers'],
    ['removed', removed, aWorld({ containers: 'none' }), null],
    ['suspended, up', suspended, aWorld(), 'stop'],
    ['retention is over', purged, aWorld({ files: 'absent' }), 'purge'],
    ['nothing is left', purged, nothingLeft, null],
    ['made before there were marks', legacy, aWorld(UNMARKED), 'adopt'],
    ['made before, and another’s by now', legacy, aWorld({ database: 'foreign' }), 'stall'],
    ['containers from files of before', anInstance(), aWorld({ containerOwner: 'unmarked' }), null],
  ] as const;
  for (const [when, desired, seen, expected] of table)
    it(`${when} → ${expected ?? 'nothing'}`, () => {
      const step = decide(desired, seen);
      expect(step && ('do' in step ? step.do : 'stall')).to.equal(expected);
    });

  for (const desired of [fresh, anInstance(), stopped, removed, suspended, purged])
    for (const [part, seen] of [
      ['directory', { directory: 'foreign' }],
      ['directory', { directory: 'unmarked' }],
      ['database', { database: 'foreign' }],
      ['database', { database: 'unmarked' }],
      ['container', { containerOwner: 'foreign' }],
      ['container', { directory: 'nobody', containerOwner: 'unmarked' }],
    ] as const)
      it(`does nothing to a ${part} that is not its own: ${JSON.stringify(seen)}, ${desired.desiredState}`, () => {
        expect(decide(desired, aWorld(seen))).to.include({ stall: 'ForeignData', detail: part });
      });

  it('asks nothing of what was never started', () => {
    const draft = anInstance({ desiredState: 'draft' });
    expect(decide(draft, aWorld({ directory: 'foreign', database: 'foreign' }))).to.equal(null);
  });

  it('prepares everything before it starts anything', () => {
    const nothing = aWorld({ checkouts: 'missing', files: 'absent', database: 'absent' });
    expect(decide(fresh, { ...nothing, containers: 'none', answering: false })).to.include({
      do: 'fetchRepositories',
    });
  });
});
