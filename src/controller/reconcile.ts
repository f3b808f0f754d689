import { filesMissing, foreignData, RetryableError, TerminalError } from '../errors.ts';
import { decide, effectiveState, mayBeNobodys, replacesData } from '../instance/decide.ts';
import { type Drift, driftOf } from '../instance/drift.ts';
import type {
  Action,
  DesiredInstance,
  EffectiveState,
  ObservedInstance,
  Pins,
  Step,
} from '../instance/types.ts';
import { makeActions, type StepResult } from './actions.ts';
import { applySubscription } from './apply-subscription.ts';
import { archive } from './archive.ts';
import type { ControllerContext } from './controller-context.ts';
import { reportFailure } from './failure-report.ts';
import { fallAsleep } from './fall-asleep.ts';
import { finalReport } from './final-report.ts';
import { limitUsers } from './limit-users.ts';
import { stepReport } from './progress.ts';
import { renewUrl } from './renew-url.ts';
import type { WorkSignals } from './work-queue.ts';

/** Rounds of one reconcile. The longest way through decide() is eight steps, the subscription takes two; the rest is for what changes meanwhile. */
const MAX_STEPS = 14;

/**
 * Brings one instance in line with what the manager wants: read what is desired, apply its subscription, observe, decide, act, and
 * begin again, until there is nothing to do. Level-triggered: the id says which instance, never what happened to it.
 * Throws what is worth retrying (the work queue backs off); what only a person can fix is reported and not thrown.
 * @param claimed what Odoo has said a moment ago, so that it need not be asked at first
 */
export async function reconcile(
  id: number,
  context: ControllerContext,
  signals: WorkSignals,
  claimed?: DesiredInstance,
): Promise<void> {
  const { manager, reporter, now } = context;
  const actions = makeActions(context);
  const durations: string[] = [];
  const recordDuration = (what: string, ms: number) =>
    durations.push(`${what} ${(ms / 1000).toFixed(2)} s`);
  let last: Wanted | undefined;
  /** The desired instance that the claim or a step has returned, so that the next round, and only that one, need not ask Odoo. */
  let nextDesired = claimed;
  let hasAdvanced = false;
  /** Counted and said once: the steps that follow mend the same. */
  let mended: Drift | null = null;
  /** What Odoo showed before the first answer was waited for, which changes nothing: containers that are being removed are there for a moment. */
  let before: Pick<DesiredInstance, 'state' | 'reason'> | null = null;
  let reviewAt: Date | null = null;

  try {
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      signals.stop.throwIfAborted();
      if (!nextDesired) signals.markObserved();
      const desired: DesiredInstance | undefined = nextDesired ?? (await manager.desired([id]))[0];
      nextDesired = undefined;
      if (!desired) return; // an orphan: the sweep names it, nothing touches it
      context.activity?.learn(id, desired);
      const state = effectiveState(desired, context.activity?.of(id) ?? null);
      last = { desired, state };

      if (context.managerCheck.distrust) {
        await keepUp(last, context, actions, signals);
        return;
      }
      context.door?.routes.compare(desired);
      context.door?.domains.hurry(desired.domains);
      await askForJob(last, context);
      const applied = await applySubscription(desired, context, !hasAdvanced);
      reviewAt = applied.reviewAt;
      hasAdvanced ||= applied.stage !== null;
      if (applied.isWritten) continue;
      if (state === 'asleep' && !desired.isAsleep && context.activity) {
        const { activity } = context;
        // A tenant's database may take seconds to say what work it has.
        const putToSleep = () => fallAsleep(desired, activity, context);
        await signals.withoutSlot(() => context.slots.stops.run(desired.partnerId, putToSleep));
        continue;
      }
      const seen = await observe(last, context);
      const decided = decide(desired, state, seen);
      const isLent = context.backups?.lent.has(id) === true;
      const step = isLent && isStop(decided) ? null : decided;
      if (step === null && applied.stage === 'archive') {
        const write = () => archive(desired, state, applied.change, context, signals.stop);
        await signals.withoutSlot(() => context.slots.archives.run(desired.partnerId, write));
        continue;
      }
      if (step === null) {
        if (isRenamed(last, context)) await renewUrl(desired, context);
        const versions = state === 'running' ? await versionsToNote(desired, context) : {};
        const report = { ...finalReport(desired, state, applied, durations, context), ...versions };
        await reporter.report(report);
        context.activity?.reported(desired, report);
        if (report.secondsToReady !== undefined) context.meter?.usable(report.secondsToReady);
        // After the report: who waits for their Odoo need not wait for this, and a tenant may delay it.
        if (state === 'running') await signals.withoutSlot(() => limitUsers(desired, context));
        return;
      }
      if ('stall' in step) throw stalled(step);

      if (IRREVERSIBLE.has(step.do) && !(await context.managerCheck.isTrusted())) return;
      // During automatic retries Odoo keeps showing the last error, not the progress.
      const drift: Drift | null =
        mended === null ? driftOf({ ...desired, ...before }, state, seen, step) : null;
      mended ??= drift;
      before =
        step.do === 'awaitAnswer'
          ? (before ?? { state: desired.state, reason: desired.reason })
          : null;
      if (signals.failures === 0) reporter.progress(stepReport(desired, step.do, now(), drift));
      const log = context.log.child({ instance: id, name: desired.name, step: step.do });
      log.info({ because: step.because }, 'step');
      const began = now().getTime();
      const act = async (): Promise<StepResult> => (await actions[step.do](desired, signals)) ?? {};
      const result = await (BRIEF.has(step.do) ? act() : signals.withoutSlot(act));
      if (drift) context.meter?.mended(drift);
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
    context.wakes.failed(id);
    if (last) {
      const isNews = signals.failures === 0;
      await reportFailure(last.desired, last.state, error, context, { isNews, reviewAt });
    }
    if (!(error instanceof TerminalError)) throw error;
    // Foreseen, so where it was thrown says nothing; what it came from may.
    const { cause, detail, message, reason } = error;
    const because = cause === undefined ? {} : { err: cause };
    const name = last?.desired.name;
    context.log.error({ instance: id, name, reason, detail, message, ...because }, 'stalled');
  }
}

/** The desired instance of one round, and its effective state. */
interface Wanted {
  readonly desired: DesiredInstance;
  readonly state: EffectiveState;
}

/** Whether it runs at another address than was last reported: after this report nobody would know the one that its database has. */
function isRenamed({ desired, state }: Wanted, { engine }: ControllerContext): boolean {
  const { instanceUrl } = desired;
  return state === 'running' && instanceUrl !== '' && instanceUrl !== engine.url(desired);
}

/**
 * The versions that Odoo does not have yet: its first image and modules, and of one from before they were noted what it runs now, and what
 * its plan has now.
 */
async function versionsToNote(
  desired: DesiredInstance,
  { engine }: ControllerContext,
): Promise<Partial<Pins>> {
  return {
    ...(desired.imageDigest === '' && { imageDigest: await engine.imageDigest(desired) }),
    ...(desired.givenModules === null && { givenModules: desired.modules }),
  };
}

/**
 * Has what a person waits for done. What wants only its swap is done here: the other queue would send it back, and where the swap cannot
 * go on without a person, back again, without end. The next sweep tries that again.
 */
async function askForJob({ desired, state }: Wanted, { backups }: ControllerContext) {
  const { id, job } = desired;
  if (!backups || !job) return;
  const isPrepared =
    replacesData(job) && (await backups.restores.prepared(desired)) === job.identity;
  if (!isPrepared || state === 'purged') backups.onJob(id);
}

function isStop(step: Step | null): boolean {
  return step !== null && 'do' in step && step.do === 'stop';
}

/** What is not done for a manager's database that may be older than the host. */
const IRREVERSIBLE: ReadonlySet<Action> = new Set(['removeContainers', 'purge', 'swapData']);

/** What keeps a customer's Odoo up and changes nothing else. */
const KEEPS_UP: ReadonlySet<Action> = new Set(['startDatabase', 'start', 'awaitAnswer', 'restart']);

/**
 * All that is done while the manager's database is in doubt: what has run before, is wanted running and is the instance's own by
 * its marks runs on. Nothing is reported: the record may be another customer's.
 */
async function keepUp(
  wanted: Wanted,
  context: ControllerContext,
  actions: ReturnType<typeof makeActions>,
  signals: WorkSignals,
): Promise<void> {
  const { desired, state } = wanted;
  if (!desired.wasReady) return;
  const step = decide(desired, state, await observe(wanted, context));
  if (step === null || 'stall' in step || !KEEPS_UP.has(step.do)) return;
  context.log.info({ instance: desired.id, step: step.do, because: step.because }, 'step');
  await actions[step.do](desired, signals);
}

/** Stopping and removing containers must work without Postgres, so then it is not even asked. */
export async function observe(
  { desired, state }: Wanted,
  { backups, databases, engine, liveness, wakes }: ControllerContext,
): Promise<ObservedInstance> {
  const needsDatabase = state === 'purged' || (state === 'running' && desired.ports !== null);
  const observed = await engine.observe(desired, state);
  if (observed.answering) {
    liveness.answered(desired.id);
    wakes.answers(desired.id);
  }
  const hung = !observed.answering && liveness.isHung(desired.id);
  const preparedJob = desired.job && backups ? await backups.restores.prepared(desired) : '';
  const seen = { ...observed, hung, preparedJob, isHandedOver: true };
  // Without its secrets nobody gets into a Postgres of its own; and decide() goes no further anyway.
  if (state === 'running' && desired.wasReady && seen.data !== 'whole')
    return { ...seen, database: 'offline' as const };
  // What is another's is not even observed, and what has no mark not before it has one.
  const isOwn = seen.directory === 'own' || seen.directory === 'nobody';
  const database =
    needsDatabase && isOwn ? await databases.observe(desired, state) : ('absent' as const);
  const isHandedOver = !mayBeNobodys(desired, database) || (await databases.isHandedOver(desired));
  return { ...seen, database, isHandedOver };
}

function stalled({
  because,
  detail = '',
  stall,
}: Extract<Step, { stall: unknown }>): TerminalError {
  if (stall === 'ForeignData') return foreignData(detail);
  return stall === 'FilesMissing' ? filesMissing() : new TerminalError(stall, because);
}

/** Steps that wait for this host's disk and Odoo alone. All others release their worker slot: a tenant can influence how long they take. */
const BRIEF: ReadonlySet<Action> = new Set(['assignPorts', 'render']);

/**
 * What a step is called in the list of durations. `createDatabase` reports its first part under a name of its own (`firstPart`),
 * so the rest of it, the start, has the name of `start`.
 */
const STEP_NAME: Record<Action, string> = {
  adopt: 'marks',
  assignPorts: 'ports',
  fetchRepositories: 'repositories',
  render: 'files',
  startDatabase: 'database server',
  createDatabase: 'container',
  handOver: 'hand-over',
  start: 'container',
  awaitAnswer: 'first answer',
  restart: 'restart',
  updateAppsList: 'list of apps',
  applyLimits: 'limits',
  stop: 'stop',
  removeContainers: 'removal',
  purge: 'removal of the data',
  swapData: 'other data',
};
