import { expect } from 'chai';
import { decide as decideFor, effectiveState, mayBeNobodys } from '../../../src/instance/decide.ts';
import type { DesiredInstance, Job, ObservedInstance } from '../../../src/instance/types.ts';
import { anInstance, anObservation, aSubscription, identityOf } from '../../support/samples.ts';

const decide = (desired: DesiredInstance, seen: ObservedInstance) =>
  decideFor(desired, effectiveState(desired, ATTENTION), seen);

/** Nobody has visited for two hours. */
const NOW = Date.parse('2026-11-22T12:00:00Z');
const ATTENTION = { now: NOW, lastRequestAt: NOW - 7_200_000, awakeUntil: 0, since: 0 };

const fresh = anInstance({ wasReady: false });
const stopped = anInstance({ desiredState: 'stopped' });
const idle = anInstance({ sleepHours: 1 });
const suspendedAsleep = anInstance({
  sleepHours: 1,
  isAsleep: true,
  subscription: aSubscription({ suspendedAt: new Date(0) }),
});
const removed = anInstance({ desiredState: 'removed' });
const suspendedAt = new Date('2026-11-20T12:00:00Z');
const suspension = aSubscription({ suspendedAt });
const suspended = anInstance({ subscription: suspension });
const removedWhileSuspended = anInstance({ desiredState: 'removed', subscription: suspension });
const purged = anInstance({
  desiredState: 'removed',
  subscription: aSubscription({ suspendedAt, dataRemovedAt: suspendedAt }),
});
const nothingLeft = anObservation({
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

const CONTAINERS = ['running', 'outdated', 'partial', 'paused', 'stopped', 'none'] as const;

/** Ways for an instance to differ from a whole one that are no reason to do anything to it unless it is to run. */
const WHATEVER_ELSE: ReadonlyArray<Partial<ObservedInstance>> = [
  {},
  { files: 'absent' },
  { files: 'stale' },
  { data: 'absent' },
  { data: 'partial' },
  { database: 'absent' },
  { database: 'offline' },
  { checkouts: 'missing' },
  { appsList: 'stale' },
  { limits: 'other' },
  { answering: false },
  { answering: false, hung: true },
  { directory: 'nobody', containerOwner: 'nobody', files: 'absent', data: 'absent' },
];

/** The next step's name, `stall` for a step that only a person can take. */
function stepFor(desired: DesiredInstance, seen: ObservedInstance): string | null {
  const step = decide(desired, seen);
  return step && ('do' in step ? step.do : 'stall');
}

describe('decide', () => {
  const table = [
    ['never started', anInstance({ desiredState: 'draft' }), anObservation(), null],
    ['no ports yet', anInstance({ ports: null }), anObservation(), 'assignPorts'],
    ['a checkout is missing', fresh, anObservation({ checkouts: 'missing' }), 'fetchRepositories'],
    ['no files', fresh, anObservation({ files: 'absent' }), 'render'],
    ['the plan or a port has changed', fresh, anObservation({ files: 'stale' }), 'render'],
    ['its own Postgres is not up', fresh, anObservation({ database: 'offline' }), 'startDatabase'],
    [
      'no database yet',
      fresh,
      anObservation({ database: 'absent', containers: 'none' }),
      'createDatabase',
    ],
    [
      'its own Postgres is up, and nothing in it',
      fresh,
      anObservation({ database: 'absent', containers: 'partial' }),
      'createDatabase',
    ],
    ['up before its database', fresh, anObservation({ database: 'absent' }), 'stop'],
    [
      'a database that has been there',
      anInstance(),
      anObservation({ database: 'absent' }),
      'stall',
    ],
    ['files that have been there', anInstance(), anObservation({ data: 'absent' }), 'stall'],
    [
      'a part of them',
      anInstance(),
      anObservation({ data: 'partial', containers: 'none' }),
      'stall',
    ],
    ['a database whose files are gone', fresh, anObservation({ data: 'partial' }), 'stall'],
    [
      'only what can be made again is gone',
      anInstance(),
      anObservation({ files: 'absent', containers: 'none' }),
      'render',
    ],
    ['somebody has paused it', anInstance(), anObservation({ containers: 'paused' }), 'start'],
    ['no containers', fresh, anObservation({ containers: 'none' }), 'start'],
    ['a container died', fresh, anObservation({ containers: 'stopped' }), 'start'],
    ['one of two died', fresh, anObservation({ containers: 'partial' }), 'start'],
    ['made from older files', fresh, anObservation({ containers: 'outdated' }), 'start'],
    ['up, silent', fresh, anObservation({ answering: false }), 'awaitAnswer'],
    [
      'up, silent for long',
      anInstance(),
      anObservation({ answering: false, hung: true }),
      'restart',
    ],
    ['up, answering', fresh, anObservation(), null],
    ['it has other repositories', fresh, anObservation({ appsList: 'stale' }), 'updateAppsList'],
    ['its plan gives other limits', fresh, anObservation({ limits: 'other' }), 'applyLimits'],
    ['to be stopped, up', stopped, anObservation(), 'stop'],
    ['to be stopped, half up', stopped, anObservation({ containers: 'partial' }), 'stop'],
    [
      'to be stopped, up from old files',
      stopped,
      anObservation({ containers: 'outdated' }),
      'stop',
    ],
    ['to be stopped, down', stopped, anObservation({ containers: 'stopped' }), null],
    ['to be stopped, never made', stopped, anObservation({ containers: 'none' }), null],
    ['to be stopped, paused', stopped, anObservation({ containers: 'paused' }), 'stop'],
    ['to be stopped, its files gone', stopped, anObservation({ data: 'absent' }), 'stop'],
    ['to be removed, paused', removed, anObservation({ containers: 'paused' }), 'removeContainers'],
    [
      'to be removed, its files gone',
      removed,
      anObservation({ data: 'absent' }),
      'removeContainers',
    ],
    ['nobody uses it, up', idle, anObservation(), 'stop'],
    ['nobody uses it, down', idle, anObservation({ containers: 'stopped' }), null],
    ['asleep, then suspended', suspendedAsleep, anObservation({ containers: 'stopped' }), null],
    ['suspended, up', suspended, anObservation(), 'stop'],
    ['suspended, paused', suspended, anObservation({ containers: 'paused' }), 'stop'],
    ['suspended, down', suspended, anObservation({ containers: 'stopped' }), null],
    [
      'suspended, its database gone',
      suspended,
      anObservation({ containers: 'none', database: 'absent' }),
      null,
    ],
    [
      'suspended before it was made',
      suspended,
      anObservation({ containers: 'none', files: 'absent' }),
      null,
    ],
    [
      'suspended, then removed by a person',
      removedWhileSuspended,
      anObservation(),
      'removeContainers',
    ],
    ['retention over, up', purged, anObservation(), 'purge'],
    [
      'retention over, database left',
      purged,
      anObservation({ containers: 'none', files: 'absent' }),
      'purge',
    ],
    [
      'retention over, files left',
      purged,
      anObservation({ containers: 'none', database: 'absent' }),
      'purge',
    ],
    [
      'retention over, containers left',
      purged,
      anObservation({ files: 'absent', database: 'absent' }),
      'purge',
    ],
    ['purged', purged, nothingLeft, null],
    ['to be removed, up', removed, anObservation(), 'removeContainers'],
    ['to be removed, down', removed, anObservation({ containers: 'stopped' }), 'removeContainers'],
    ['removed', removed, anObservation({ containers: 'none' }), null],
    ['retention is over', purged, anObservation({ files: 'absent' }), 'purge'],
    ['made before there were marks', legacy, anObservation(UNMARKED), 'adopt'],
    ['made before, and another’s by now', legacy, anObservation({ database: 'foreign' }), 'stall'],
    [
      'containers from files of before',
      anInstance(),
      anObservation({ containerOwner: 'unmarked' }),
      null,
    ],
  ] as const;
  for (const [when, desired, seen, expected] of table)
    it(`${when} → ${expected ?? 'nothing'}`, () =>
      expect(stepFor(desired, seen)).to.equal(expected));

  describe('what is not to run', () => {
    /** The next step for each of CONTAINERS, in its order. */
    const STOPS = ['stop', 'stop', 'stop', 'stop', null, null] as const;
    const REMOVES = [...Array(5).fill('removeContainers'), null] as const;

    for (const [what, desired, steps] of [
      ['stopped', stopped, STOPS],
      ['stopped while suspended', { ...stopped, subscription: suspension }, STOPS],
      ['suspended', suspended, STOPS],
      ['idle', { ...idle, isAsleep: true }, STOPS],
      ['removed', removed, REMOVES],
      ['removed while suspended', removedWhileSuspended, REMOVES],
    ] as const)
      for (const [index, containers] of CONTAINERS.entries())
        it(`${what}, its containers: ${containers} → ${steps[index] ?? 'nothing'}, whatever else is there`, () => {
          for (const wish of [
            desired,
            { ...desired, ports: null },
            { ...desired, wasReady: false },
          ])
            for (const rest of WHATEVER_ELSE)
              expect(
                stepFor(wish, anObservation({ containers, ...rest })),
                JSON.stringify(rest),
              ).to.equal(steps[index]);
        });

    it('suspends nothing that people have not asked to run yet', () => {
      const draft = { ...suspended, desiredState: 'draft' } as const;
      expect(stepFor(draft, anObservation())).to.equal(null);
    });

    it('runs again once the suspension is over', () => {
      const resumed = anInstance({ subscription: aSubscription() });
      expect(stepFor(resumed, anObservation({ containers: 'stopped' }))).to.equal('start');
    });
  });

  describe('what is to be purged', () => {
    const everyWish = (['running', 'stopped', 'removed', 'draft'] as const).map((desiredState) => ({
      ...purged,
      desiredState,
    }));

    for (const containers of CONTAINERS)
      it(`whatever people want, its containers: ${containers} → purge${containers === 'none' ? ', unless files and database are gone too' : ''}`, () => {
        for (const wish of everyWish)
          for (const files of ['current', 'stale', 'absent'] as const)
            for (const database of ['ready', 'offline', 'absent'] as const)
              for (const data of ['whole', 'partial', 'absent'] as const) {
                const seen = { containers, files, database, data };
                const isGone = containers === 'none' && files === 'absent' && database === 'absent';
                expect(stepFor(wish, anObservation(seen)), JSON.stringify(seen)).to.equal(
                  isGone ? null : 'purge',
                );
              }
      });

    it('is at rest when nothing is left, checkouts and the list of Apps aside', () => {
      const seen = { ...nothingLeft, checkouts: 'missing', appsList: 'stale' } as const;
      expect(stepFor(purged, seen)).to.equal(null);
    });
  });

  describe('what was made before there were marks', () => {
    for (const [what, desired] of [
      ['running', {}],
      ['stopped', { desiredState: 'stopped' }],
      ['removed', { desiredState: 'removed' }],
      ['suspended', { subscription: suspension }],
      ['purged', { desiredState: 'removed', subscription: purged.subscription }],
    ] as const) {
      const old = anInstance({ mayAdopt: true, ...desired });
      it(`is marked before anything else is done: ${what}`, () => {
        expect(stepFor(old, anObservation(UNMARKED))).to.equal('adopt');
        expect(
          stepFor(old, anObservation({ ...UNMARKED, containers: 'none', files: 'absent' })),
        ).to.equal('adopt');
      });
      it(`is left alone where a part is another's: ${what}`, () => {
        for (const part of ['directory', 'database', 'containerOwner'] as const)
          expect(stepFor(old, anObservation({ ...UNMARKED, [part]: 'foreign' })), part).to.equal(
            'stall',
          );
      });
    }
  });

  for (const [what, desired] of [
    ['running for the first time', fresh],
    ['running', anInstance()],
    ['stopped', stopped],
    ['removed', removed],
    ['removed while suspended', removedWhileSuspended],
    ['suspended', suspended],
    ['purged', purged],
  ] as const)
    for (const [part, seen] of [
      ['directory', { directory: 'foreign' }],
      ['directory', { directory: 'unmarked' }],
      ['database', { database: 'foreign' }],
      ['database', { database: 'unmarked' }],
      ['container', { containerOwner: 'foreign' }],
      ['container', { directory: 'nobody', containerOwner: 'unmarked' }],
    ] as const)
      it(`does nothing to a ${part} that is not its own: ${JSON.stringify(seen)}, ${what}`, () => {
        expect(decide(desired, anObservation(seen))).to.include({
          stall: 'ForeignData',
          detail: part,
        });
      });

  it('asks nothing of what was never started', () => {
    const draft = anInstance({ desiredState: 'draft' });
    expect(decide(draft, anObservation({ directory: 'foreign', database: 'foreign' }))).to.equal(
      null,
    );
  });

  it('hands over what was a spare first of all, whether it runs or not, and only where it runs for somebody', () => {
    const sold = anInstance({ spare: 'sold', wasReady: false });
    for (const containers of CONTAINERS)
      expect(
        decide(sold, anObservation({ isHandedOver: false, containers })),
        containers,
      ).to.have.property('do', 'handOver');
    const hangs = anObservation({ isHandedOver: false, answering: false });
    expect(decide(sold, hangs), 'it would be waited for').to.have.property('do', 'stop');
    const isDown = { isHandedOver: false, answering: false, containers: 'stopped' } as const;
    expect(decide(sold, anObservation(isDown))).to.have.property('do', 'handOver');
    const isNobodys = anObservation({ isHandedOver: false });
    expect(decide({ ...sold, desiredState: 'stopped' }, isNobodys)).to.have.property('do', 'stop');
    expect(decide(sold, anObservation())).to.equal(null);
  });

  it('may find a spare’s data only in what was sold as one and has never answered', () => {
    const sold = anInstance({ spare: 'sold', wasReady: false });
    expect(mayBeNobodys(sold, 'ready')).to.equal(true);
    expect(mayBeNobodys(sold, 'absent')).to.equal(false);
    expect(mayBeNobodys({ ...sold, wasReady: true }, 'ready')).to.equal(false);
    for (const spare of ['no', 'kept'] as const)
      expect(mayBeNobodys({ ...sold, spare }, 'ready'), spare).to.equal(false);
  });

  it('prepares everything before it starts anything', () => {
    const nothing = anObservation({ checkouts: 'missing', files: 'absent', database: 'absent' });
    expect(decide(fresh, { ...nothing, containers: 'none', answering: false })).to.include({
      do: 'fetchRepositories',
    });
  });

  it('a removed staging copy is purged at once, and one that is stopped is kept', () => {
    const copyOf = { id: 3, identity: anInstance().identity, snapshot: 'ab'.repeat(32) };
    const copy = anInstance({ subscription: null, copyOf });
    expect(effectiveState({ ...copy, desiredState: 'removed' }, ATTENTION)).to.equal('purged');
    expect(effectiveState({ ...copy, desiredState: 'stopped' }, ATTENTION)).to.equal('stopped');
    const absent = anObservation({ database: 'absent', data: 'absent', containers: 'none' });
    expect(decide({ ...copy, wasReady: false }, absent)).to.include({ do: 'createDatabase' });
  });

  const REPLACES: Readonly<Record<Job['kind'], boolean>> = {
    ...{ backup: false, prove: false, export: false, erase: false },
    ...{ restore: true, undo_restore: true, update: true, undo_update: true },
  };
  for (const [kind, replaces] of Object.entries(REPLACES) as Array<[Job['kind'], boolean]>)
    it(`${replaces ? 'puts' : 'never puts'} prepared data in place for a job that is ${kind}`, () => {
      const identity = identityOf(5);
      const desired = anInstance({ job: { id: 5, identity, kind, snapshot: '' } });
      const step = replaces ? 'swapData' : null;
      expect(stepFor(desired, anObservation({ preparedJob: identity }))).to.equal(step);
    });
});
