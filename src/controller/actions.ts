import { PortTakenError, RetryableError } from '../errors.ts';
import type { Action, DesiredInstance } from '../instance/types.ts';
import { logLine, progressReport } from './progress.ts';
import type { World } from './world.ts';

/** Two starts may want the same pair; more rounds than this mean that something else is wrong. */
const MAX_PORT_ROUNDS = 100;

type Act = (desired: DesiredInstance, signal: AbortSignal) => Promise<void>;

/** What each step does: thin calls into the adapters. Whether it worked is for the next observation to say. */
export function makeActions(world: World): Record<Action, Act> {
  const { manager, engine, databases, reporter } = world;

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
  async function start(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    try {
      await engine.start(desired, signal);
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
      await assignPorts(desired, [http, longpolling]);
    }
  }

  return {
    assignPorts: (desired) => assignPorts(desired, []),
    fetchRepositories: async (desired, signal) => {
      const commits = await engine.fetchRepositories(desired, signal);
      await reporter.report({ id: desired.id, revision: desired.revision, commits });
    },
    render: (desired) => engine.render(desired),
    startDatabase: async (desired, signal) => {
      await engine.startDatabase(desired, signal);
      await databases.awaitServer(desired, signal);
    },
    createDatabase: (desired, signal) =>
      databases.create(
        desired,
        (reason) => reporter.progress(progressReport(desired, reason, world.now())),
        signal,
      ),
    start,
    awaitAnswer: (desired, signal) => engine.awaitAnswer(desired, signal),
    stop: (desired, signal) => engine.stop(desired, signal),
    takeDown: (desired, signal) => engine.takeDown(desired, signal),
  };
}
