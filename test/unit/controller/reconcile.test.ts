import { expect } from 'chai';
import { reconcile } from '../../../src/controller/reconcile.ts';
import { RetryableError, TenantDatabaseError } from '../../../src/errors.ts';
import type { Action, DesiredInstance, DesiredState } from '../../../src/instance/types.ts';
import { FakeEngine, hasOwnDatabase } from '../../fakes/engine.ts';
import { Life } from '../../fakes/life.ts';
import { aRepository } from '../../support/samples.ts';
import { atOnce, Simulation } from '../../support/simulation.ts';

/** The adapter call that each step is made of. */
const CALLS: Record<Action, string> = {
  adopt: 'engine.adopt',
  assignPorts: 'manager.assignPorts',
  fetchRepositories: 'engine.fetchRepositories',
  render: 'engine.render',
  startDatabase: 'engine.startDatabase',
  createDatabase: 'databases.personalise',
  handOver: 'databases.handOver',
  start: 'engine.start',
  awaitAnswer: 'engine.awaitLogin',
  restart: 'engine.restart',
  updateAppsList: 'engine.updateAppsList',
  applyLimits: 'engine.applyLimits',
  stop: 'engine.stop',
  swapData: 'restores.carryOut',
  removeContainers: 'engine.removeContainers',
  purge: 'engine.purge',
};

/** Everything that may have become of an instance before anybody looks, a step further each. */
const HISTORIES: ReadonlyArray<readonly Action[]> = [
  [],
  ['assignPorts'],
  ['assignPorts', 'render'],
  ['assignPorts', 'fetchRepositories', 'render'],
  ['assignPorts', 'fetchRepositories', 'render', 'startDatabase'],
  ['assignPorts', 'fetchRepositories', 'render', 'startDatabase', 'createDatabase'],
  // The containers came up while the database was made, and then that failed.
  ['assignPorts', 'fetchRepositories', 'render', 'start'],
  ['assignPorts', 'fetchRepositories', 'render', 'createDatabase', 'start'],
  ['assignPorts', 'fetchRepositories', 'render', 'createDatabase', 'start', 'awaitAnswer'],
  [
    ...(['assignPorts', 'fetchRepositories', 'render', 'createDatabase', 'start'] as const),
    ...(['awaitAnswer', 'updateAppsList'] as const),
  ],
  ['assignPorts', 'fetchRepositories', 'render', 'createDatabase', 'start', 'stop'],
  ['assignPorts', 'fetchRepositories', 'render', 'createDatabase', 'start', 'removeContainers'],
];

/** The steps that are taken on the way to each state from one or another of the histories, and so can be interrupted. */
const STEPS_TO: Record<string, readonly Action[]> = {
  running: [
    ...(['assignPorts', 'fetchRepositories', 'render', 'createDatabase', 'start'] as const),
    ...(['awaitAnswer', 'updateAppsList', 'stop'] as const),
  ],
  'running with its own Postgres': ['startDatabase'],
  stopped: ['stop'],
  removed: ['removeContainers'],
};

interface Interruption {
  readonly step: Action;
  readonly moment: 'before' | 'after';
}

const ID = 1;
const repository = aRepository();

describe('reconcile', () => {
  let sim: Simulation;
  let life: Life;
  beforeEach(() => {
    sim = new Simulation();
    life = new Life();
  });
  afterEach(() => sim.end());

  const row = () => {
    const found = sim.manager.rows.get(ID);
    if (!found) throw new Error('no instance');
    return found;
  };

  /** One look at the instance, to its end. @returns what it threw, or null. */
  async function look(change: Partial<{ superseded: AbortSignal; stop: AbortSignal }> = {}) {
    const never = new AbortController().signal;
    const signals = {
      stop: never,
      superseded: never,
      markObserved: () => {},
      withoutSlot: atOnce,
      failures: 0,
      ...change,
    };
    let outcome: unknown;
    const looking = reconcile(ID, sim.context(life), signals)
      .then(() => null)
      .catch((error: unknown) => error)
      .then((value) => {
        outcome = value;
      });
    await sim.time.until('it ends', () => outcome !== undefined);
    await looking;
    return outcome;
  }

  /** Makes the instance as it would be after these steps, with nothing reported. */
  async function live(history: readonly Action[]): Promise<void> {
    const { signal } = new AbortController();
    const steps: Record<Action, (desired: DesiredInstance) => Promise<unknown>> = {
      adopt: (desired) => sim.engine.adopt(desired),
      assignPorts: (desired) =>
        sim.manager.report([
          { id: ID, revision: desired.revision, ports: { http: 20_005, longpolling: 40_005 } },
        ]),
      fetchRepositories: async (desired) => {
        const { commits } = await sim.engine.fetchRepositories(desired);
        await sim.manager.report([{ id: ID, revision: 1, commits }]);
      },
      render: (desired) => sim.engine.render(desired),
      startDatabase: (desired) => sim.engine.startDatabase(desired),
      createDatabase: async (desired) => {
        await sim.databases.prepareFor(desired, () => {});
        await sim.databases.personalise(desired, await sim.databases.clone(desired, () => {}));
      },
      handOver: (desired) => sim.databases.handOver(desired),
      start: (desired) => sim.engine.start(desired),
      awaitAnswer: (desired) => sim.engine.awaitLogin(desired, signal),
      restart: (desired) => sim.engine.restart(desired),
      updateAppsList: (desired) => sim.engine.updateAppsList(desired),
      applyLimits: (desired) => sim.engine.applyLimits(desired),
      stop: (desired) => sim.engine.stop(desired),
      swapData: async (desired) => desired.job && sim.restores.carryOut(desired, desired.job),
      removeContainers: (desired) => sim.engine.removeContainers(desired),
      purge: (desired) => sim.engine.purge(desired),
    };
    for (const step of history) await steps[step]({ ...row() });
  }

  /** What is on the host and what Odoo shows, of all that the state of an instance is made of. */
  function outcome() {
    const project = sim.engine.projects.get(ID);
    return {
      state: row().state,
      reason: row().reason,
      active: row().active,
      ports: row().ports,
      containers: project?.containers ?? 'none',
      isAnswering: project?.isAnswering ?? false,
      isDatabaseUp: project?.isDatabaseUp ?? false,
      hasDatabase: sim.databases.present.has(ID),
      isMadeFromItsFiles: project?.madeFrom === project?.files,
      appsList: project?.appsList ?? '',
    };
  }

  /** @param before what was there before anybody looked: stopping and removing take no data and make none */
  async function expectAtRest(before: ReturnType<typeof outcome>): Promise<void> {
    const kept = { ...before, isAnswering: false, isDatabaseUp: false };
    const wereThere = before.containers !== 'none';
    const expected: Record<DesiredState, Partial<typeof before>> = {
      draft: before,
      running: {
        ...{ state: 'running', reason: 'Running', active: true },
        ports: before.ports ?? { http: 20_000, longpolling: 40_000 },
        ...{ containers: 'running', isAnswering: true, isMadeFromItsFiles: true },
        isDatabaseUp: hasOwnDatabase(row()),
        hasDatabase: true,
        appsList: `commit of ${repository.branch} at ${repository.url}`,
      },
      stopped: {
        ...kept,
        ...{ state: 'stopped', reason: 'Stopped', active: true },
        containers: wereThere ? 'stopped' : 'none',
      },
      removed: {
        ...kept,
        ...{ state: 'removed', reason: 'Removed', active: false },
        containers: 'none',
        ports: null,
      },
    };
    expect(outcome()).to.deep.equal(expected[row().desiredState]);
    const { changes } = sim;
    expect(await look()).to.equal(null);
    expect(sim.changes, 'a second look changes nothing').to.equal(changes);
  }

  for (const templateCode of ['odoo', 'odoo-own-db'])
    for (const desiredState of ['running', 'stopped', 'removed'] satisfies DesiredState[])
      it(`reaches ${desiredState} (${templateCode}) from every world, interrupted at any step, and rests`, async function () {
        this.timeout(20_000);
        const interrupted = new Set<Action>();
        /** @returns the calls of a look at an instance of this history, which `interruption` has ended */
        const lookAfter = async (history: readonly Action[], interruption?: Interruption) => {
          await sim.end();
          sim = new Simulation();
          life = new Life();
          sim.manager.insert({ desiredState, templateCode, repositories: [repository] });
          await live(history);
          const before = outcome();
          const past = [
            ...history,
            interruption ? `interrupted ${interruption.moment} ${interruption.step}` : '',
          ];
          try {
            if (interruption) {
              const { step, moment } = interruption;
              const error = new Error('interrupted');
              life.failOnce(CALLS[step], moment, error);
              expect(await look(), 'what ended the look').to.equal(error);
              interrupted.add(step);
            }
            const { length } = life.calls;
            expect(await look()).to.equal(null);
            const calls = life.calls.slice(length);
            await expectAtRest(before);
            return calls;
          } catch (cause) {
            throw new Error(`${past.join(', ')}: ${(cause as Error).message}`, { cause });
          }
        };
        for (const history of HISTORIES) {
          const calls = await lookAfter(history);
          for (const step of (Object.keys(CALLS) as Action[]).filter((it) =>
            calls.includes(CALLS[it]),
          ))
            for (const moment of ['before', 'after'] as const)
              await lookAfter(history, { step, moment });
        }
        const ownSteps =
          templateCode === 'odoo-own-db' ? STEPS_TO[`${desiredState} with its own Postgres`] : [];
        expect([...interrupted]).to.have.members([
          ...(STEPS_TO[desiredState] ?? []),
          ...(ownSteps ?? []),
        ]);
      });

  it('leaves alone what Odoo does not know', async () => {
    expect(await look()).to.equal(null);
    expect(life.calls).to.deep.equal(['manager.desired']);
  });

  it('asks Odoo what it wants twice for a start: at first, and when it answers', async () => {
    sim.manager.insert({ desiredState: 'running' });
    expect(await look()).to.equal(null);
    const looks = life.calls.filter((call) => /manager.desired|databases.clone/.test(call));
    expect(looks).to.deep.equal(['manager.desired', 'databases.clone', 'manager.desired']);
  });

  it('tells a person and gives up when only she can help', async () => {
    sim.manager.insert({ desiredState: 'running', templateCode: 'unknown' });
    expect(await look()).to.equal(null);
    expect(row()).to.include({ state: 'error', reason: 'UnknownTemplate', nextReview: null });
    expect(row().log.at(-1)).to.match(
      /There is no template of this name\. Press Start to try again\.$/,
    );
  });

  it('logs what of its addons could not be used, and that their list could not be renewed', async () => {
    const fetch = sim.engine.fetchRepositories.bind(sim.engine);
    sim.engine.fetchRepositories = async (desired) => ({
      ...(await fetch(desired)),
      remarks: [{ reason: 'PackagesMissing', detail: 'https://example.com/a\nnumpy' }],
    });
    const renew = sim.engine.updateAppsList.bind(sim.engine);
    sim.engine.updateAppsList = async (desired) => {
      await renew(desired);
      return false;
    };
    sim.manager.insert({ desiredState: 'running', repositories: [aRepository({ commit: '' })] });
    expect(await look()).to.equal(null);
    expect(row()).to.include({ state: 'running', reason: 'Running' });
    expect(row().log.join()).to.include(' PackagesMissing https://example.com/a\nnumpy');
    expect(row().log.join()).to.include(' AppsListFailed');
  });

  it('says what helps itself and throws it, for the queue to back off', async () => {
    sim.manager.insert({ desiredState: 'running' });
    sim.databases.isAway = true;
    expect(await look()).to.be.instanceOf(RetryableError);
    expect(row()).to.include({ state: 'error', reason: 'PostgresUnavailable' });
    expect(row().nextReview, 'for a sidecar that starts afresh').to.be.greaterThan(sim.time.now());
  });

  it('shows people nothing of an error it does not know', async () => {
    sim.manager.insert({ desiredState: 'running' });
    life.failOnce('engine.render', 'before', new Error('EACCES /var/lib/x hunter2'));
    expect(await look()).to.be.instanceOf(Error);
    expect(row().reason).to.equal('Unexpected');
    expect(row().log.join() + row().detail).not.to.include('hunter2');
  });

  it('starts the containers while the database gets its last touches, and says what took how long', async () => {
    sim.manager.insert({ desiredState: 'running' });
    let wasThere: boolean | undefined;
    life.trap((call, moment) => {
      if (call === 'engine.start' && moment === 'before') wasThere = sim.databases.present.has(ID);
    });
    expect(await look()).to.equal(null);
    expect(wasThere).to.equal(false);
    expect(row().state).to.equal('running');
    expect(row().log.at(-1)).to.match(/files [\d.]+ s, database [\d.]+ s, container [\d.]+ s\.$/);
  });

  it('starts an Odoo anew that came up before a database which then failed', async () => {
    sim.manager.insert({ desiredState: 'running' });
    sim.databases.personalise = async () => {
      throw new RetryableError('PostgresUnavailable', 'The database server does not answer.');
    };
    sim.engine.start = async (desired) => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      await FakeEngine.prototype.start.call(sim.engine, desired);
    };
    expect(await look()).to.be.instanceOf(RetryableError);
    expect(sim.engine.projects.get(ID)?.containers, 'what has begun is over').to.equal('running');
    Reflect.deleteProperty(sim.databases, 'personalise');
    expect(await look()).to.equal(null);
    const after = life.calls.slice(life.calls.indexOf('engine.stop'));
    expect(after).to.include.members(['databases.clone', 'engine.start', 'engine.awaitLogin']);
    expect(row().state).to.equal('running');
  });

  it('runs also when the customer’s own database does not let us write the address', async () => {
    sim.manager.insert({ desiredState: 'running' });
    await live(['assignPorts', 'render', 'createDatabase']);
    const refused = new TenantDatabaseError('ms_abc123_1', new Error('a trigger'));
    life.trap((call) => {
      if (call === 'databases.setUrl') throw refused;
    });
    expect(await look()).to.equal(null);
    expect(life.calls).to.include('databases.setUrl');
    expect(row().state).to.equal('running');
  });

  it('writes a new address into the database of a running instance before it is reported, and no other time', async () => {
    sim.manager.insert({ desiredState: 'running' });
    expect(await look()).to.equal(null);
    life.calls.length = 0;
    expect(await look()).to.equal(null);
    expect(life.calls, 'nothing has changed').not.to.include('databases.setUrl');
    row().instanceUrl = 'http://before.example.com';
    expect(await look()).to.equal(null);
    expect(life.calls).to.include('databases.setUrl');
    expect(life.calls.indexOf('databases.setUrl')).to.be.below(
      life.calls.lastIndexOf('manager.report'),
    );
    expect(row().instanceUrl).to.equal(sim.engine.url(row()));
  });

  it('limits the users of a running instance as its plan does, once people know that it runs, and each time it is looked at', async () => {
    sim.manager.insert({ desiredState: 'running', userLimit: { users: 3, refusal: 'Three.' } });
    expect(await look()).to.equal(null);
    expect(sim.databases.userLimits.get(row().id)).to.equal(3);
    expect(life.calls.lastIndexOf('databases.limitUsers')).to.be.above(
      life.calls.lastIndexOf('manager.report'),
    );
    row().userLimit = null;
    expect(await look()).to.equal(null);
    expect(sim.databases.userLimits.get(row().id)).to.equal(null);
    life.calls.length = 0;
    row().desiredState = 'stopped';
    expect(await look()).to.equal(null);
    expect(life.calls).not.to.include('databases.limitUsers');
  });

  it('runs also when the customer’s own database does not let us limit its users', async () => {
    sim.manager.insert({ desiredState: 'running' });
    life.trap((call) => {
      if (call === 'databases.limitUsers')
        throw new TenantDatabaseError('ms_abc123_1', 'a trigger');
    });
    expect(await look()).to.equal(null);
    expect(row().state).to.equal('running');
  });

  it('makes no new database where there has been one', async () => {
    sim.manager.insert({ desiredState: 'running', wasReady: true });
    await sim.engine.render(row());
    expect(await look()).to.equal(null);
    expect(row()).to.include({ state: 'error', reason: 'DatabaseMissing' });
    expect(sim.databases.present.size).to.equal(0);
  });

  it('stops after a step, without a report, when a person presses something meanwhile', async () => {
    sim.manager.insert({ desiredState: 'running' });
    const superseded = new AbortController();
    life.trap((call, moment) => {
      if (call === 'engine.render' && moment === 'after') superseded.abort();
    });
    expect(await look({ superseded: superseded.signal })).to.equal(null);
    expect(life.calls).not.to.include('databases.clone');
    expect(row().state).to.equal('draft');
  });

  it('takes no step when the sidecar is stopping, and calls that no failure', async () => {
    sim.manager.insert({ desiredState: 'running' });
    expect(await look({ stop: AbortSignal.abort() })).to.equal(null);
    expect(life.calls).to.deep.equal([]);
  });

  it('gives up for now when the world never becomes what the steps make of it', async () => {
    sim.manager.insert({ desiredState: 'running' });
    sim.engine.render = async () => {};
    expect(await look())
      .to.be.instanceOf(RetryableError)
      .with.property('reason', 'NotConverging');
    expect(row()).to.include({ state: 'error', reason: 'NotConverging' });
  });

  it('reports about the revision it saw, so that what is pressed meanwhile stays due', async () => {
    sim.manager.insert({ desiredState: 'running' });
    life.trap((call, moment) => {
      const isLastLook = call === 'engine.observe' && life.calls.includes('engine.awaitLogin');
      if (isLastLook && moment === 'after') sim.people.press(ID, 'stop');
    });
    await look();
    expect(row()).to.include({ state: 'running', desiredState: 'stopped' });
    expect(await sim.manager.due(10)).to.deep.equal([ID]);
  });

  it('asks for the next pair where a port is bound or has another owner', async () => {
    sim.manager.insert({ desiredState: 'running' });
    sim.engine.foreignPorts.add(20_000).add(40_001);
    const other = sim.manager.insert({ desiredState: 'draft' });
    let isTaken = false;
    life.trap((call, moment) => {
      if (call !== 'manager.assignPorts' || moment !== 'before' || isTaken) return;
      isTaken = true;
      const mine = { id: other, revision: 1, ports: { http: 20_001, longpolling: 40_000 } };
      void sim.manager.report([mine]);
    });
    await look();
    expect(row().ports).to.deep.equal({ http: 20_002, longpolling: 40_002 });
  });

  it('moves nobody to another address unasked: it names the port, and starts once that is free', async () => {
    sim.manager.insert({ desiredState: 'running' });
    await look();
    sim.engine.die(ID);
    sim.engine.foreignPorts.add(20_000);
    expect(await look())
      .to.be.instanceOf(RetryableError)
      .with.property('reason', 'PortTaken');
    expect(row()).to.deep.include({ state: 'error', ports: { http: 20_000, longpolling: 40_000 } });
    expect(row().detail).to.equal('20000');
    sim.engine.foreignPorts.clear();
    expect(await look()).to.equal(null);
    expect(row()).to.include({ state: 'running' });
  });

  it('gives the ports of a removed customer to nobody else', async () => {
    sim.manager.insert({ desiredState: 'running' });
    await look();
    sim.people.press(ID, 'remove');
    await look();
    expect(row().ports).to.equal(null);
    const next = { id: sim.manager.insert({ desiredState: 'draft' }) };
    expect(await sim.manager.assignPorts(next, [])).to.deep.equal({
      http: 20_001,
      longpolling: 40_001,
    });
  });

  it('says that the ranges are used up, as something that may pass', async () => {
    sim.manager.insert({ desiredState: 'running' });
    sim.manager.assignPorts = async () => null;
    expect(await look())
      .to.be.instanceOf(RetryableError)
      .with.property('reason', 'NoFreePorts');
  });

  it('begins the subscription with the first answer, pauses and resumes it by the buttons', async () => {
    sim.manager.insert({ desiredState: 'running' });
    const states: unknown[] = [];
    for (const button of ['start', 'stop', 'start', 'restart'] as const) {
      sim.people.press(ID, button);
      await look();
      states.push(row().subscription?.state);
    }
    expect(states).to.deep.equal(['active', 'paused', 'active', 'active']);
  });

  it('measures from the request to the first answer, once', async () => {
    sim.manager.insert({ desiredState: 'running' });
    await sim.time.pass(1_500);
    const reports = sim.manager.report.bind(sim.manager);
    const seconds: number[] = [];
    sim.manager.report = async (all) => {
      for (const { secondsToReady } of all) if (secondsToReady) seconds.push(secondsToReady);
      await reports(all);
    };
    await look();
    await look();
    expect(seconds).to.have.length(1);
    expect(seconds[0]).to.be.within(1.5, 1.7);
  });
});
