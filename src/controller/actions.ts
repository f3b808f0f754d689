import { notEnoughDisk, PortTakenError, RetryableError, TerminalError } from '../errors.ts';
import { effectiveState } from '../instance/decide.ts';
import type { ProgressReason } from '../instance/reasons.ts';
import type { Action, CopyOf, DesiredInstance, Job, PortPair } from '../instance/types.ts';
import { failureOf } from './back-up.ts';
import type { ControllerContext } from './controller-context.ts';
import { ensureServer, startServer } from './own-server.ts';
import { logLine, logReason, progressReport } from './progress.ts';
import { renewUrl } from './renew-url.ts';
import { waitForMemory } from './wait-for-memory.ts';
import type { WorkSignals } from './work-queue.ts';

/** The host may use some ports of the range itself; more rounds than this mean that something else is wrong. */
const MAX_PORT_ROUNDS = 100;

/** How long the step that starts an instance waits for its first answer; a longer wait is a step of its own, which says so. */
const FIRST_ANSWER_TIMEOUT_MS = 10_000;

/** A restore is nearly done when the data are swapped; an update has yet to be made then. */
const UPDATING = { reason: 'Updating', percent: 70 } as const;
const SWAPPING = { reason: 'SwappingData', percent: 85 } as const;

type Signals = Pick<WorkSignals, 'stop' | 'superseded'>;

/** What a step hands back to reconcile(); most have nothing to say. */
export interface StepResult {
  /** What Odoo wants now, after a step so short that Odoo need not be asked again. */
  readonly nextDesired?: DesiredInstance;
  /** What the step began with, and how long that took, in milliseconds; the rest has the step's own name. */
  readonly firstPart?: { readonly name: string; readonly ms: number };
}

type Act = (desired: DesiredInstance, signals: Signals) => Promise<StepResult> | Promise<void>;

/**
 * What each step does: thin calls into the adapters, in the order in which decide() comes to them. Whether it worked is for the next
 * observation to say.
 */
export function makeActions(context: ControllerContext): Record<Action, Act> {
  const { archives, background, backups, databases, disk, engine, liveness } = context;
  const { manager, reporter, slots } = context;

  /** What was made before there were marks gets them, once. */
  async function adopt(desired: DesiredInstance): Promise<void> {
    await engine.adopt(desired);
    await databases.adopt(desired);
    await reporter.report({ id: desired.id, revision: desired.revision, adopted: true });
  }

  async function assignPorts(desired: DesiredInstance): Promise<StepResult> {
    return { nextDesired: await withPorts(desired, []) };
  }

  async function fetchRepositories(desired: DesiredInstance, { stop }: Signals): Promise<void> {
    await requireDisk();
    const fetch = () => engine.fetchRepositories(desired, stop);
    const { commits, remarks } = await slots.fetches.run(desired.partnerId, fetch);
    const log = remarks.map(({ detail, reason }) => logReason(context.now(), reason, detail));
    await reporter.report({ id: desired.id, revision: desired.revision, commits, log });
  }

  async function render(desired: DesiredInstance): Promise<StepResult> {
    await engine.render(desired);
    return { nextDesired: desired };
  }

  async function startDatabase(desired: DesiredInstance, { stop }: Signals): Promise<void> {
    // A copy's server begins empty.
    if (!desired.copyOf || desired.wasReady) await prepareFor(desired, stop);
    await startServer(desired, context, stop);
  }

  async function createDatabase(desired: DesiredInstance, signals: Signals): Promise<StepResult> {
    if (desired.copyOf) return restoreCopy(desired, desired.copyOf, signals);
    const began = context.now().getTime();
    await prepareFor(desired, signals.stop);
    return withStartSlot(desired, signals, async () => {
      const ended = await withRoom(desired, signals, () => cloneAndStart(desired, signals));
      return { firstPart: { name: 'database', ms: ended.getTime() - began } };
    });
  }

  /** Minutes of work for nobody's customer, so it takes no start slot; the next step starts it. */
  async function restoreCopy(
    desired: DesiredInstance,
    of: CopyOf,
    { stop, superseded }: Signals,
  ): Promise<StepResult> {
    const { backups, hasMemory } = context;
    if (!backups) throw new TerminalError('BackupGone', 'no backups are made on this host');
    await requireDisk();
    if (!hasMemory())
      throw new RetryableError('NotEnoughMemory', 'no memory is left for a staging copy');
    await slots.archives.run(desired.partnerId, async () => {
      superseded.throwIfAborted();
      await backups.copies.make(desired, of, progressOf(desired), stop);
    });
    return {};
  }

  /**
   * Docker and Odoo take longer until Odoo asks for its database than personalise() takes, so the containers start beside it
   * (ADR 8). An Odoo that is quicker all the same loads its database when it is there.
   * @returns when the database was complete
   */
  async function cloneAndStart(desired: DesiredInstance, signals: Signals): Promise<Date> {
    const clone = await databases.clone(desired, progressOf(desired), signals.stop);
    const [started, personalised] = await Promise.allSettled([
      startContainers(desired, signals.stop),
      databases.personalise(desired, clone).then(() => context.now()),
    ]);
    // Both have ended by now: the next observation must not meet containers that are still being made.
    if (personalised.status === 'rejected') throw personalised.reason;
    if (started.status === 'rejected') throw started.reason;
    if (started.value) await firstAnswer(desired, signals);
    return personalised.value;
  }

  /** The mark on the host first: what is a customer's from here on is no more taken for nobody's. */
  async function handOver(desired: DesiredInstance): Promise<StepResult> {
    await engine.renewMark(desired);
    await databases.handOver(desired);
    return { nextDesired: desired };
  }

  async function start(desired: DesiredInstance, signals: Signals): Promise<void> {
    await withRoom(desired, signals, async () => {
      await renewUrl(desired, context);
      if (await startContainers(desired, signals.stop)) await firstAnswer(desired, signals);
    });
  }

  /**
   * Where a port was taken since it was tested, the instance gets the next pair, and its log says so; but an address that
   * was sent to a customer is never changed unasked. @returns whether it has started @throws RetryableError('PortTaken')
   */
  async function startContainers(desired: DesiredInstance, stop: AbortSignal): Promise<boolean> {
    await closeNetwork(desired);
    try {
      await engine.start(desired, stop);
      return true;
    } catch (error) {
      if (!(error instanceof PortTakenError) || desired.ports === null) throw error;
      const { http, longpolling } = desired.ports;
      if (desired.wasReady) throw await portTaken(desired.ports, error);
      await reporter.report({
        id: desired.id,
        revision: desired.revision,
        log: [
          logLine(context.now(), `Port ${http} or ${longpolling} is taken; using the next pair.`),
        ],
      });
      await withPorts(desired, [http, longpolling]);
      return false;
    }
  }

  async function firstAnswer(desired: DesiredInstance, signals: Signals): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), FIRST_ANSWER_TIMEOUT_MS);
    const signal = AbortSignal.any([signals.stop, signals.superseded, late.signal]);
    try {
      await awaitAnswer(desired, signal);
    } catch (error) {
      if (!late.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A visitor who is already waiting gets the first page before the sidecar asks for one: see isServing(). */
  async function awaitAnswer(desired: DesiredInstance, signal: AbortSignal): Promise<void> {
    if (!(await engine.awaitListening(desired, signal))) return;
    context.wakes.answers(desired.id);
    await databases.awaitRequests(desired, signal);
    await engine.awaitLogin(desired, signal);
  }

  async function restart(desired: DesiredInstance, { stop }: Signals): Promise<void> {
    await closeNetwork(desired);
    try {
      await engine.restart(desired, stop);
    } catch (error) {
      if (!(error instanceof PortTakenError) || desired.ports === null) throw error;
      throw await portTaken(desired.ports, error);
    }
    liveness.restarted(desired.id);
  }

  async function updateAppsList(desired: DesiredInstance, { stop }: Signals): Promise<void> {
    if (await engine.updateAppsList(desired, stop)) return;
    const log = [logReason(context.now(), 'AppsListFailed')];
    await reporter.report({ id: desired.id, revision: desired.revision, log });
  }

  /** Stopped while it is done: some seconds. What follows starts it again, where it should run. */
  async function swapData(desired: DesiredInstance, { stop }: Signals): Promise<void> {
    const { job } = desired;
    if (!backups || !job) return;
    await manager.reportJob(job.id, { ...SWAPPING, state: 'running', detail: '' });
    await engine.stop(desired, stop);
    // Its own Postgres, where it has one, was stopped with it.
    await ensureServer(desired, context, stop);
    const isDone = await backups.turns.take(desired.id, async () => {
      if (job.kind === 'update' && !(await madeUpdate(desired, job, stop))) return false;
      const pins = await backups.updates.pins(desired);
      // First, so that what then has the instance's name is never started with other versions.
      if (pins) await reporter.report({ id: desired.id, revision: desired.revision, ...pins });
      await backups.restores.carryOut(desired, job);
      return true;
    });
    if (!isDone) return;
    await manager.reportJob(job.id, { state: 'done', reason: '', detail: '', percent: 100 });
  }

  /** Updates a copy of the data. What fails is reported, and the instance goes on as it is. @returns whether it is made */
  async function madeUpdate(desired: DesiredInstance, job: Job, stop: AbortSignal) {
    if (!backups) return false;
    // Not in the `try`: where Odoo does not answer for a moment, what was rehearsed is still good.
    await manager.reportJob(job.id, { ...UPDATING, state: 'running', detail: '' });
    try {
      await backups.updates.make(desired, stop);
      return true;
    } catch (error) {
      stop.throwIfAborted();
      await backups.updates.abandon(desired);
      context.log.error({ instance: desired.id, name: desired.name, err: error }, 'not updated');
      await manager.reportJob(job.id, { ...failureOf(error), state: 'failed', percent: 0 });
      return false;
    }
  }

  /** The files go last: they hold what is needed to go on after a crash. */
  async function purge(desired: DesiredInstance, { stop }: Signals): Promise<void> {
    const needsArchive = desired.wasReady && !desired.endsWithoutArchive && !desired.copyOf;
    if (needsArchive) await archives.verify(desired, stop);
    const remove = async () => {
      // A restore may have had the turn before.
      const [now] = await manager.desired([desired.id]);
      if (!now || effectiveState(now, null) !== 'purged') return;
      await databases.drop(desired);
      await engine.purge(desired, stop);
    };
    // A backup that is under way ends first.
    await (backups ? backups.turns.take(desired.id, remove) : remove());
  }

  // -- what several of them need ----------------------------------------------------------------------

  /** One after the other: asked together, Odoo would have to refuse the same lowest pair to all but one. */
  const withPorts = (desired: DesiredInstance, unusable: readonly number[]) =>
    context.withPortLock(() => choosePorts(desired, unusable));

  /** Checked twice: no other record has the pair, and this host can bind both ports. @returns `desired` with its ports */
  async function choosePorts(
    desired: DesiredInstance,
    unusable: readonly number[],
  ): Promise<DesiredInstance> {
    const exclude = [...unusable];
    for (let round = 0; round < MAX_PORT_ROUNDS; round++) {
      const ports = await manager.assignPorts(desired, exclude);
      if (ports === null) break;
      const occupied = await engine.occupiedPorts(ports);
      if (occupied.length === 0) return { ...desired, ports };
      exclude.push(...occupied);
    }
    throw new RetryableError(
      'NoFreePorts',
      'No free pair of ports is left in the ranges of the settings.',
    );
  }

  async function portTaken(ports: PortPair, cause: PortTakenError): Promise<RetryableError> {
    const [port = ports.http] = await engine.occupiedPorts(ports);
    const message = `Another program on the server uses port ${port} of this instance.`;
    return new RetryableError('PortTaken', message, { cause, detail: String(port) });
  }

  /** A staging copy has real data and the customer's own programs: it runs only where the firewall keeps it in. */
  async function closeNetwork({ copyOf }: DesiredInstance): Promise<void> {
    if (!copyOf) return;
    const { firewall } = context;
    if (!firewall) throw new TerminalError('CopyNotClosed', 'egress.enforce is off');
    await firewall.ensure().catch((cause) => {
      throw new RetryableError('CopyNotClosed', 'the firewall rules are not loaded', { cause });
    });
  }

  /** Nothing is sold or started on a full disk: what runs needs the rest. */
  async function requireDisk(): Promise<void> {
    const shortage = await disk.shortage();
    if (shortage) throw notEnoughDisk(shortage);
  }

  /** Only then is anything made to stand still for it: what has the memory must be able to end. @returns what `work` returns */
  async function withRoom<T>(
    desired: DesiredInstance,
    signals: Signals,
    work: () => Promise<T>,
  ): Promise<T> {
    await requireDisk();
    await awaitMemory(desired, signals);
    return background.during(work);
  }

  /** First come, first served: a start that waits for memory keeps its place before later ones. */
  async function awaitMemory(desired: DesiredInstance, signals: Signals): Promise<void> {
    await waitForMemory(
      context.hasMemory,
      () => {
        context.onMemoryShort();
        reporter.progress(progressReport(desired, 'WaitingForMemory', context.now()));
      },
      AbortSignal.any([signals.stop, signals.superseded]),
    );
  }

  /** Done before a start slot is taken: building a template takes minutes, and others start meanwhile. */
  const prepareFor = (desired: DesiredInstance, stop: AbortSignal) =>
    databases.prepareFor(desired, progressOf(desired), stop);

  const progressOf = (desired: DesiredInstance) => (reason: ProgressReason) =>
    reporter.progress(progressReport(desired, reason, context.now()));

  /** A button that was pressed while it waited for its turn ends it before it begins. */
  const withStartSlot = <T>(desired: DesiredInstance, signals: Signals, work: () => Promise<T>) =>
    slots.starts.run(desired.partnerId, async () => {
      signals.stop.throwIfAborted();
      signals.superseded.throwIfAborted();
      return work();
    });

  return {
    adopt,
    assignPorts,
    fetchRepositories,
    render,
    startDatabase,
    createDatabase,
    handOver,
    start: (desired, signals) => withStartSlot(desired, signals, () => start(desired, signals)),
    // Only a wait may be cut short by a person: every other step is best finished.
    awaitAnswer: (desired, { stop, superseded }) =>
      background.during(() => awaitAnswer(desired, AbortSignal.any([stop, superseded]))),
    restart: (desired, signals) =>
      withStartSlot(desired, signals, () => background.during(() => restart(desired, signals))),
    updateAppsList,
    applyLimits: (desired) => engine.applyLimits(desired),
    swapData: (desired, signals) =>
      slots.stops.run(desired.partnerId, () => swapData(desired, signals)),
    stop: (desired, { stop }) =>
      slots.stops.run(desired.partnerId, () => engine.stop(desired, stop)),
    removeContainers: (desired, { stop }) =>
      slots.stops.run(desired.partnerId, () => engine.removeContainers(desired, stop)),
    purge,
  };
}
