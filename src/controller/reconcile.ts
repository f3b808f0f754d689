import {
  filesMissing,
  foreignData,
  isDiskFull,
  ManagerError,
  notEnoughDisk,
  RetryableError,
  TerminalError,
} from '../errors.ts';
import { decide, effectiveState } from '../instance/decide.ts';
import type {
  Action,
  DesiredInstance,
  EffectiveState,
  ObservedInstance,
} from '../instance/types.ts';
import { makeActions, type StepResult } from './actions.ts';
import { applySubscription } from './apply-subscription.ts';
import { archive } from './archive.ts';
import type { ControllerContext } from './controller-context.ts';
import { finalReport, nextReview } from './final-report.ts';
import { logLine, stepReport } from './progress.ts';
import type { WorkSignals } from './work-queue.ts';

/** The longest way through decide() is eight steps, the books take two; the rest is slack for a moving world. */
const MAX_STEPS = 14;

/**
 * Brings one instance in line with what the manager wants: desired → books → observe → decide → act → look again.
 * Level-triggered: the id says which instance, never what happened to it.
 * Throws what is worth retrying (the work queue backs off); what only a person can mend is reported and swallowed.
 */
export async function reconcile(
  id: number,
  context: ControllerContext,
  signals: WorkSignals,
): Promise<void> {
  const { manager, reporter, now } = context;
  const actions = makeActions(context);
  const durations: string[] = [];
  const recordDuration = (what: string, ms: number) =>
    durations.push(`${what} ${(ms / 1000).toFixed(2)} s`);
  let last: Look | undefined;
  /** What Odoo wants after a step, where it need not be asked: for one look only. */
  let nextDesired: DesiredInstance | undefined;
  let hasAdvanced = false;
  let reviewAt: Date | null = null;

  try {
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      signals.stop.throwIfAborted();
      if (!nextDesired) signals.markObserved();
      const desired: DesiredInstance | undefined = nextDesired ?? (await manager.desired([id]))[0];
      nextDesired = undefined;
      if (!desired) return; // an orphan: the sweep names it, nothing touches it
      const state = effectiveState(desired);
      last = { desired, state };

      if (context.managerCheck.distrust) {
        await keepUp(last, context, actions, signals);
        return;
      }
      const applied = await applySubscription(desired, context, !hasAdvanced);
      reviewAt = applied.reviewAt;
      hasAdvanced ||= applied.stage !== null;
      if (applied.isWritten) continue;
      const step = decide(desired, state, await observe(last, context));
      if (step === null && applied.stage === 'archive') {
        const write = () => archive(desired, state, applied.change, context, signals.stop);
        await signals.aside(() => context.slots.archives.run(desired.partnerId, write));
        continue;
      }
      if (step === null) {
        await reporter.report(finalReport(desired, state, applied, durations, context));
        return;
      }
      if ('stall' in step) throw stalled(step.stall, step.because, step.detail);

      if (IS_NO_WAY_BACK.has(step.do) && !(await context.managerCheck.isTrusted())) return;
      // While it is tried again by itself, people go on reading what went wrong.
      if (signals.failures === 0) reporter.progress(stepReport(desired, step.do, now()));
      const log = context.log.child({ instance: id, name: desired.name, step: step.do });
      log.info({ because: step.because }, 'step');
      const began = now().getTime();
      const act = async (): Promise<StepResult> => (await actions[step.do](desired, signals)) ?? {};
      const result = await (BRIEF.has(step.do) ? act() : signals.aside(act));
      const { firstPart } = result;
      if (firstPart) recordDuration(firstPart.name, firstPart.ms);
      recordDuration(STEP_NAME[step.do], now().getTime() - began - (firstPart?.ms ?? 0));
      nextDesired = result.nextDesired;
      if (signals.superseded.aborted) return;
    }
    throw new RetryableError(
      'NotConverging',
      `The instance is not settled after ${MAX_STEPS} steps.`,
    );
  } catch (error) {
    if (signals.stop.aborted || signals.superseded.aborted) return;
    if (last)
      await reportFailure(last, error, context, { isNews: signals.failures === 0, reviewAt });
    if (!(error instanceof TerminalError)) throw error;
    context.log.error(
      { instance: id, name: last?.desired.name, reason: error.reason, err: error },
      'stalled',
    );
  }
}

/** What Odoo wants at one look, and what that comes to. */
interface Look {
  readonly desired: DesiredInstance;
  readonly state: EffectiveState;
}

/** What is not done on the word of a database that may be older than the host. */
const IS_NO_WAY_BACK: ReadonlySet<Action> = new Set(['removeContainers', 'purge']);

/** What keeps a customer's Odoo up and changes nothing else. */
const KEEPS_UP: ReadonlySet<Action> = new Set(['startDatabase', 'start', 'awaitAnswer', 'restart']);

/**
 * All that is done while the manager's database is in doubt: what has run before, is wanted running and is the instance's own by
 * its marks runs on. Nothing is reported: what is written now may belong to somebody else.
 */
async function keepUp(
  look: Look,
  context: ControllerContext,
  actions: ReturnType<typeof makeActions>,
  signals: WorkSignals,
): Promise<void> {
  const { desired, state } = look;
  if (!desired.wasReady) return;
  const step = decide(desired, state, await observe(look, context));
  if (step === null || 'stall' in step || !KEEPS_UP.has(step.do)) return;
  context.log.info({ instance: desired.id, step: step.do, because: step.because }, 'step');
  await actions[step.do](desired, signals);
}

/** Stopping and taking down must work whatever has become of Postgres, so it is not even asked. */
async function observe(
  { desired, state }: Look,
  { databases, engine, liveness }: ControllerContext,
): Promise<ObservedInstance> {
  const needsDatabase = state === 'purged' || (state === 'running' && desired.ports !== null);
  const looked = await engine.observe(desired, state);
  if (looked.answering) liveness.answered(desired.id);
  const hung = !looked.answering && liveness.isHung(desired.id);
  const seen = { ...looked, hung };
  // Without its secrets nobody gets into a Postgres of its own; and decide() goes no further anyway.
  if (state === 'running' && desired.wasReady && seen.data !== 'whole')
    return { ...seen, database: 'offline' as const };
  // What is another's is not even looked into, and what has no mark not before it has one.
  const isMine = seen.directory === 'own' || seen.directory === 'nobody';
  const database =
    needsDatabase && isMine ? await databases.observe(desired, state) : ('absent' as const);
  return { ...seen, database };
}

function stalled(reason: string, because: string, detail = ''): TerminalError {
  if (reason === 'ForeignData') return foreignData(detail);
  return new TerminalError(reason, STALLED[reason] ?? because, { detail });
}

const STALLED: Readonly<Record<string, string>> = {
  FilesMissing: filesMissing().message,
  DatabaseMissing:
    'The database of this instance has disappeared. Nothing was created in its place: restore it from a backup.',
};

/** Steps that wait for nothing but this host's disk and Odoo. All others wait aside: a tenant may have a hand in how long. */
const BRIEF: ReadonlySet<Action> = new Set(['assignPorts', 'render']);

/** What a step, or its last part, is called among the seconds that an instance took. */
const STEP_NAME: Record<Action, string> = {
  adopt: 'marks',
  assignPorts: 'ports',
  fetchRepositories: 'repositories',
  render: 'files',
  startDatabase: 'database server',
  createDatabase: 'container',
  start: 'container',
  awaitAnswer: 'first answer',
  restart: 'restart',
  updateAppsList: 'list of apps',
  stop: 'stop',
  removeContainers: 'removal',
  purge: 'removal of the data',
};

/** Says in Odoo what went wrong. When Odoo itself is away nobody can be told, and the queue tries again. */
async function reportFailure(
  { desired, state }: Look,
  thrown: unknown,
  context: ControllerContext,
  { isNews, reviewAt }: { readonly isNews: boolean; readonly reviewAt: Date | null },
): Promise<void> {
  if (thrown instanceof ManagerError && thrown.retryable) return;
  // Whoever ran into a full disk said so in words of their own.
  const isFull = !(thrown instanceof TerminalError) && isDiskFull(thrown);
  const error = isFull ? notEnoughDisk(await context.disk.shortage(), thrown) : thrown;
  const reasoned = error instanceof TerminalError || error instanceof RetryableError ? error : null;
  const isTerminal = error instanceof TerminalError;
  const message =
    reasoned?.message ?? 'Something unexpected happened. The operator finds it in the log.';
  // Nobody presses Start on what is on its way out.
  const isLeaving = isTerminal && state !== 'running';
  const tomorrow = new Date(context.now().getTime() + DAY);
  const again = isLeaving
    ? 'It is tried again once a day.'
    : isTerminal
      ? 'Press Start to try again.'
      : 'It is tried again by itself.';
  const retryAt = new Date(context.now().getTime() + RETRY_AFTER_RESTART);
  const told = context.reporter.report({
    id: desired.id,
    revision: desired.revision,
    state: 'error',
    reason: reasoned?.reason ?? 'Unexpected',
    message,
    detail: reasoned?.detail ?? '',
    // A sidecar that starts afresh finds it by the poll; until then the work queue brings it back.
    nextReview: isTerminal
      ? nextReview(desired, reviewAt ?? (isLeaving ? tomorrow : null), context.now())
      : retryAt,
    ...(isNews ? { log: [logLine(context.now(), `${message} ${again}`)] } : {}),
  });
  // What is final must be told, so that one is tried again; the others come up again anyway.
  if (isTerminal) await told;
  else
    await told.catch((err) =>
      context.log.warn({ instance: desired.id, err }, 'failure not reported'),
    );
}

const RETRY_AFTER_RESTART = 60_000;

const DAY = 24 * 60 * 60_000;
