import { foreignData, RetryableError, TerminalError } from '../errors.ts';
import { decide, foreignPart } from '../instance/decide.ts';
import { isOverdue, planSpares, SPARE_MB, withoutFailing } from '../instance/spare-plan.ts';
import type { Plan, Spare } from '../instance/types.ts';
import type { Listed } from '../interfaces.ts';
import { makeActions } from './actions.ts';
import type { ControllerContext } from './controller-context.ts';
import { type FailedSpares, isOfItsContent } from './failed-spares.ts';
import { observe } from './reconcile.ts';
import { rehearseSpare } from './rehearse-spare.ts';
import { NO_CUSTOMER } from './slots.ts';
import type { WorkSignals } from './work-queue.ts';

/** Rounds in the making of one spare: as many as an instance takes from nothing to its first answer, and some for ports that are lost. */
const MAX_STEPS = 12;

/** Room that must be left after a spare was made, in MB: otherwise it would have to go again at once. */
const RESERVE_MB = SPARE_MB;

type Signals = Pick<WorkSignals, 'stop' | 'superseded'>;

/**
 * Sees to it that the spares are there that are wanted (ADR 17): removes those that nobody is to get, and makes those that are missing, one
 * after the other. Level-triggered, as an instance's reconcile is; what was cut off goes on from what is observed.
 * @param failed is told of plans of which no spare can be made, and asked
 * @param signals `superseded`: a customer's instance is about to start, for which everything else waits
 * @returns whether all is done; otherwise it is to be called again after a quiet while
 */
export async function keepSpares(
  context: ControllerContext,
  failed: FailedSpares,
  signals: Signals,
): Promise<boolean> {
  const { engine, hasMemory, manager, managerCheck, spareMemoryMb } = context;
  // What an older database calls a spare may be a customer's.
  if (!(await managerCheck.isTrusted())) return true;
  const [plans, spares] = await Promise.all([
    spareMemoryMb > 0 ? manager.plans([]) : [],
    spareRows(context),
  ]);
  const possible = withoutFailing(
    plans.filter(({ templateCode }) => engine.mayBeSpare(templateCode)),
    spares,
    (content) => failed.has(content),
  );
  // A customer's instance that waits for memory gets the spares'.
  const budgetMb = hasMemory() ? spareMemoryMb : 0;
  const { finish, make, remove } = planSpares(possible, spares, budgetMb);
  const attempt = (plan: Plan, work: () => Promise<void>) => () =>
    attemptMaking(plan, work, context, failed, signals);
  return attemptAll(
    [
      ...remove.map((spare) => () => removeSpare(spare, context, signals)),
      ...finish.map(({ plan, spare }) =>
        attempt(plan, () => makeSpare(spare.id, context, signals)),
      ),
      ...make.map((plan) => attempt(plan, () => addSpare(plan, context, signals))),
    ],
    context,
    signals,
  );
}

/** All spares, as Odoo has them; one that does not become ready, or is to be and does not answer any more, is not fresh. */
async function spareRows({ engine, manager }: ControllerContext): Promise<Spare[]> {
  const known = await manager.spares();
  // Without a look at Docker where there are none.
  const listed = known.length > 0 ? await engine.list() : new Map<number, Listed>();
  const isWell = async (id: number): Promise<boolean> => {
    const containers = listed.get(id);
    return containers?.running === true && (await engine.probe(id, containers)) === 'well';
  };
  return Promise.all(
    known.map(async (spare) => {
      const isUnfit = spare.spareState === 'ready' ? !(await isWell(spare.id)) : isOverdue(spare);
      return isUnfit ? { ...spare, isFresh: false } : spare;
    }),
  );
}

/**
 * Does one work after the other. One spare that cannot be made keeps none of the others from being.
 * @returns false when it was cut off
 * @throws the first failure, at the end: Odoo, Docker or Postgres may be away, and whoever calls knows what to do about that
 */
async function attemptAll(
  works: ReadonlyArray<() => Promise<void>>,
  { log }: ControllerContext,
  { stop, superseded }: Signals,
): Promise<boolean> {
  const failures: unknown[] = [];
  for (const work of works) {
    if (stop.aborted || superseded.aborted) return false;
    try {
      await work();
    } catch (error) {
      if (stop.aborted || superseded.aborted) return false;
      if (error instanceof TerminalError || error instanceof RetryableError)
        log.warn({ err: error }, 'a spare is not there as it should be; will be tried again');
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return true;
}

/**
 * Does a work that makes a spare of a plan. Where it fails for what the plan says, what was begun goes, and no other is begun before the plan
 * says something else, or a day is over.
 */
async function attemptMaking(
  plan: Plan,
  work: () => Promise<void>,
  context: ControllerContext,
  failed: FailedSpares,
  signals: Signals,
): Promise<void> {
  // By an earlier one of this round.
  if (failed.has(plan.spareContent)) return;
  try {
    await work();
  } catch (error) {
    const isCutOff = signals.stop.aborted || signals.superseded.aborted;
    if (isCutOff || !isOfItsContent(error)) throw error;
    failed.record(plan.spareContent);
    const said =
      'no spare of this plan can be made; tried again in a day, or when the plan changes';
    context.log.error({ plan: plan.id, err: error }, said);
    const begun = (await context.manager.spares()).filter(
      ({ planId, spareState }) => planId === plan.id && spareState === 'making',
    );
    for (const spare of begun) await removeSpare(spare, context, signals);
  }
}

/** Reserves one more spare of a plan and makes it, where there is memory for it and Odoo wants it still. */
async function addSpare(plan: Plan, context: ControllerContext, signals: Signals): Promise<void> {
  const { hasMemory, manager, managerCheck } = context;
  if (!hasMemory(SPARE_MB + RESERVE_MB)) return;
  const above = managerCheck.highestInstance;
  const id = await manager.reserveSpare(plan, above);
  if (id === null) return;
  managerCheck.recordClaimed([id], above);
  await makeSpare(id, context, signals);
}

/** Makes one spare, by the steps by which an instance is made, and reports it when it is ready for its customer. */
async function makeSpare(id: number, context: ControllerContext, signals: Signals): Promise<void> {
  const { engine, log, manager } = context;
  const actions = makeActions(context);
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    signals.stop.throwIfAborted();
    signals.superseded.throwIfAborted();
    const spare = (await manager.spares()).find((it) => it.id === id);
    if (spare?.spareState !== 'making' || !spare.isFresh) return;
    const seen = await observe({ desired: spare, state: 'running' }, context);
    const step = decide(spare, 'running', seen);
    if (step === null) {
      await context.slots.starts.run(NO_CUSTOMER, () =>
        rehearseSpare(spare, context, AbortSignal.any([signals.stop, signals.superseded])),
      );
      if (await manager.reportSpare(id, 'ready', await engine.imageDigest(spare)))
        log.info({ spare: id, plan: spare.planId }, 'a spare is ready');
      return;
    }
    if ('stall' in step) throw new TerminalError(step.stall, step.because);
    log.info({ spare: id, step: step.do, because: step.because }, 'step');
    await actions[step.do](spare, signals);
  }
  throw new RetryableError(
    'NotConverging',
    `The spare ${id} is not ready after ${MAX_STEPS} steps.`,
  );
}

/** Throws a spare away, unless somebody has got it meanwhile. The files go last: they hold what is needed to go on after a crash. */
async function removeSpare(
  spare: Spare,
  context: ControllerContext,
  { stop }: Signals,
): Promise<void> {
  const { databases, engine, log, manager, managerCheck } = context;
  if (!(await managerCheck.isTrusted())) return;
  if (!(await manager.reportSpare(spare.id, 'leaving'))) return;
  // Odoo's database may have been restored from before it was sold.
  const seen = await observe({ desired: spare, state: 'purged' }, context);
  // That the database has its identity says nothing: its customer's has it too.
  const isWithoutMark = seen.directory === 'nobody' && seen.database !== 'absent';
  const foreign = foreignPart(spare, seen) ?? (isWithoutMark ? 'directory' : null);
  if (foreign) throw foreignData(foreign);
  await engine.removeContainers(spare, stop);
  await databases.drop(spare);
  await engine.purge(spare, stop);
  await manager.reportSpare(spare.id, 'gone');
  log.info({ spare: spare.id, fresh: spare.isFresh }, 'a spare was removed');
}
