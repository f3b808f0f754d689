import { PortTakenError, RetryableError } from '../errors.ts';
import type { Action, DesiredInstance } from '../instance/types.ts';
import { enoughMemory } from './enough-memory.ts';
import { logLine, progressReport } from './progress.ts';
import type { WorkSignals } from './work-queue.ts';
import type { World } from './world.ts';

/** Two starts may want the same pair; more rounds than this mean that something else is wrong. */
const MAX_PORT_ROUNDS = 100;

/** A start keeps its room until the first answer, but no longer than this: a silent instance must not hold up others. */
const ROOM_PER_START = 10_000;

type Signals = Pick<WorkSignals, 'stop' | 'again'>;
type Act = (desired: DesiredInstance, signals: Signals) => Promise<void>;

/** What each step does: thin calls into the adapters. Whether it worked is for the next observation to say. */
export function makeActions(world: World): Record<Action, Act> {
  const { archives, manager, engine, databases, reporter, whenRoom, hasMemory } = world;

  /** Checked twice, as the seed asks: against the database, then by a bind on the host. */
  async function assignPorts(desired: DesiredInstance, unusable: readonly number[]): Promise<void> {
    const exclude = [...unusable];
    for (let round = 0; round < MAX_PORT_ROUNDS; round++) {
      const ports = await manager.suggestPorts(exclude);
      if (ports === null) break;
      const bound = await engine.boundPorts(ports);
      if (bound.length === 0 && (await manager.assignPorts(desired, ports))) return;
      exclude.push(...bound);
    }
    throw new RetryableError(
      'NoFreePorts',
      'No free pair of ports is left in the ranges of the settings.',
    );
  }

  /** A bind that was lost since the ports were tested takes the next pair, and says so. */
  async function start(desired: DesiredInstance, signals: Signals): Promise<void> {
    // The ports may have changed since the database was made, or the pattern of the URLs.
    await databases.setUrl(desired);
    try {
      await engine.start(desired, signals.stop);
    } catch (error) {
      if (!(error instanceof PortTakenError) || desired.ports === null) throw error;
      const { http, longpolling } = desired.ports;
      await reporter.report({
        id: desired.id,
        revision: desired.revision,
        log: [
          logLine(world.now(), `Port ${http} or ${longpolling} is taken; using the next pair.`),
        ],
      });
      return assignPorts(desired, [http, longpolling]);
    }
    await firstAnswer(desired, signals);
  }

  /** In the order asked: whoever waits for memory keeps her place before those who came later. */
  async function startWithMemory(desired: DesiredInstance, signals: Signals): Promise<void> {
    await enoughMemory(
      hasMemory,
      () => reporter.progress(progressReport(desired, 'WaitingForMemory', world.now())),
      AbortSignal.any([signals.stop, signals.again]),
    );
    await start(desired, signals);
  }

  /** Waits for the answer while the start has its room; a longer wait is a step of its own. */
  async function firstAnswer(desired: DesiredInstance, signals: Signals): Promise<void> {
    const roomIsOver = new AbortController();
    const timer = setTimeout(() => roomIsOver.abort(), ROOM_PER_START);
    const signal = AbortSignal.any([signals.stop, signals.again, roomIsOver.signal]);
    try {
      await engine.awaitAnswer(desired, signal);
    } catch (error) {
      if (!roomIsOver.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The files go last: they hold what is needed to go on after a crash. */
  async function purge(desired: DesiredInstance, stop: AbortSignal): Promise<void> {
    if (desired.wasReady) await archives.verify(desired);
    await databases.drop(desired);
    await engine.purge(desired, stop);
  }

  /** Docker takes as long to make the containers as Postgres to make the clone: both at once. */
  async function createDatabase(desired: DesiredInstance, { stop }: Signals): Promise<void> {
    const containers = engine
      .create(desired, stop)
      .catch((err) => world.log.warn({ instance: desired.id, err }, 'containers not made ahead')); // start() says it where it matters
    const onProgress = (reason: string) =>
      reporter.progress(progressReport(desired, reason, world.now()));
    try {
      await databases.create(desired, onProgress, stop);
    } finally {
      await containers;
    }
  }

  return {
    assignPorts: (desired) => assignPorts(desired, []),
    fetchRepositories: async (desired, { stop }) => {
      const commits = await engine.fetchRepositories(desired, stop);
      await reporter.report({ id: desired.id, revision: desired.revision, commits });
    },
    render: (desired) => engine.render(desired),
    startDatabase: async (desired, { stop }) => {
      await engine.startDatabase(desired, stop);
      await databases.awaitServer(desired, stop);
    },
    createDatabase: (desired, signals) => whenRoom(() => createDatabase(desired, signals)),
    start: (desired, signals) => whenRoom(() => startWithMemory(desired, signals)),
    // Only a wait may be cut short by a person: every other step is best finished.
    awaitAnswer: (desired, { stop, again }) =>
      engine.awaitAnswer(desired, AbortSignal.any([stop, again])),
    stop: (desired, { stop }) => engine.stop(desired, stop),
    takeDown: (desired, { stop }) => engine.takeDown(desired, stop),
    purge: (desired, { stop }) => purge(desired, stop),
  };
}
