import { ManagerError, RetryableError, TerminalError } from '../errors.ts';
import { decide } from '../instance/decide.ts';
import { nextSubscription } from '../instance/subscription.ts';
import type { Action, DesiredInstance, InstanceState, Report } from '../instance/types.ts';
import { makeActions } from './actions.ts';
import { logLine, stepReport } from './progress.ts';
import type { WorkSignals } from './work-queue.ts';
import type { World } from './world.ts';

/** The longest way through decide() is seven steps; the rest is slack for a moving world. */
const MAX_STEPS = 12;

/**
 * Brings one instance in line with what the manager wants: desired → observe → decide → act → look again.
 * Level-triggered: the id says which instance, never what happened to it.
 * Throws what is worth retrying (the work queue backs off); what only a person can mend is reported and swallowed.
 */
export async function reconcile(id: number, world: World, signals: WorkSignals): Promise<void> {
  const { manager, engine, databases, reporter, now } = world;
  const actions = makeActions(world);
  const durations: string[] = [];
  let last: DesiredInstance | undefined;

  try {
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      signals.stop.throwIfAborted();
      const [desired] = await manager.desired([id]);
      if (!desired) return; // an orphan: the sweep names it, nothing touches it
      last = desired;

      const database =
        desired.desiredState === 'running' && desired.ports !== null
          ? await databases.observe(desired)
          : 'absent';
      const seen = { ...(await engine.observe(desired)), database };
      const step = decide(desired, seen);
      if (step === null) {
        await reporter.report(settled(desired, world, durations));
        return;
      }
      if ('stall' in step) throw new TerminalError(step.stall, STALLED[step.stall] ?? step.because);

      // While it is tried again by itself, people go on reading what went wrong.
      if (signals.failures === 0) reporter.progress(stepReport(desired, step.do, now()));
      const log = world.log.child({ instance: id, name: desired.name, step: step.do });
      log.info({ because: step.because }, 'step');
      const began = now().getTime();
      await actions[step.do](desired, signals);
      durations.push(`${STEP_NAME[step.do]} ${((now().getTime() - began) / 1000).toFixed(2)} s`);
      if (signals.again.aborted) return;
    }
    throw new RetryableError(
      'NotConverging',
      `The instance is not settled after ${MAX_STEPS} steps.`,
    );
  } catch (error) {
    if (signals.stop.aborted || signals.again.aborted) return;
    if (last) await reportFailure(last, error, world, signals.failures === 0);
    if (!(error instanceof TerminalError)) throw error;
    world.log.error(
      { instance: id, name: last?.name, reason: error.reason, err: error },
      'stalled',
    );
  }
}

const STALLED: Readonly<Record<string, string>> = {
  DatabaseMissing:
    'The database of this instance has disappeared. Nothing was created in its place: restore it from a backup.',
};

const STEP_NAME: Record<Action, string> = {
  assignPorts: 'ports',
  fetchRepositories: 'repositories',
  render: 'files',
  startDatabase: 'database server',
  createDatabase: 'database',
  start: 'container',
  awaitAnswer: 'first answer',
  stop: 'stop',
  takeDown: 'removal',
};

const SETTLED: Record<DesiredInstance['desiredState'], { reason: string; message: string }> = {
  draft: { reason: '', message: '' },
  running: { reason: 'Running', message: 'Running.' },
  stopped: { reason: 'Stopped', message: 'Stopped. Its data is kept.' },
  removed: { reason: 'Removed', message: 'Removed. Its data is kept.' },
};

/** What is reported once the world is as it should be. */
function settled(desired: DesiredInstance, world: World, durations: readonly string[]): Report {
  const state: InstanceState = desired.desiredState;
  const now = world.now();
  const isRunning = state === 'running';
  const isFirstAnswer = isRunning && !desired.wasReady;
  const secondsToReady = Math.max(0.01, now.getTime() / 1000 - desired.requestedAt);
  const subscription = nextSubscription(desired, isRunning, now);
  const { reason, message } = SETTLED[state];
  const log = [];
  if (desired.state !== state && message) log.push(logLine(now, message));
  if (isFirstAnswer)
    log.push(
      logLine(
        now,
        `${[`Answering ${secondsToReady.toFixed(2)} s after the request`, ...durations].join(', ')}.`,
      ),
    );
  return {
    id: desired.id,
    revision: desired.revision,
    state,
    reason,
    message,
    detail: '',
    nextReview: null,
    ...(log.length > 0 ? { log } : {}),
    ...(isRunning ? { instanceUrl: world.engine.url(desired) } : {}),
    ...(isFirstAnswer ? { secondsToReady } : {}),
    ...(subscription ? { subscription } : {}),
    ...(state === 'removed' ? { active: false, ports: { http: 0, longpolling: 0 } } : {}),
  };
}

/** Says in Odoo what went wrong. When Odoo itself is away nobody can be told, and the queue tries again. */
async function reportFailure(
  desired: DesiredInstance,
  error: unknown,
  world: World,
  isNews: boolean,
): Promise<void> {
  if (error instanceof ManagerError && error.retryable) return;
  const reasoned = error instanceof TerminalError || error instanceof RetryableError ? error : null;
  const isTerminal = error instanceof TerminalError;
  const message =
    reasoned?.message ?? 'Something unexpected happened. The operator finds it in the log.';
  const again = isTerminal ? 'Press Start to try again.' : 'It is tried again by itself.';
  const told = world.reporter.report({
    id: desired.id,
    revision: desired.revision,
    state: 'error',
    reason: reasoned?.reason ?? 'Unexpected',
    message,
    detail: reasoned?.detail ?? '',
    // A sidecar that starts afresh finds it by the poll; until then the work queue brings it back.
    nextReview: isTerminal ? null : new Date(world.now().getTime() + RETRY_AFTER_RESTART),
    ...(isNews ? { log: [logLine(world.now(), `${message} ${again}`)] } : {}),
  });
  // What is final must be told, so that one is tried again; the others come up again anyway.
  if (isTerminal) await told;
  else
    await told.catch((err) =>
      world.log.warn({ instance: desired.id, err }, 'failure not reported'),
    );
}

const RETRY_AFTER_RESTART = 60_000;
