import cron, { type ScheduledTask } from 'node-cron';
import { unavailableService } from '../errors.ts';
import {
  type BackupAges,
  type BackupFacts,
  backupAges,
  dueBackup,
  lastNight,
} from '../instance/backup-policy.ts';
import { type ShownState, shownState } from '../instance/shown-state.ts';
import type { DesiredInstance, InstanceState, Key, SweptInstance } from '../instance/types.ts';
import type { CertificateState } from '../interfaces.ts';
import { type BackupKind, backUp } from './back-up.ts';
import { backUpManager } from './back-up-manager.ts';
import { claim } from './claim.ts';
import type { ControllerContext } from './controller-context.ts';
import { DiskWatch } from './disk-watch.ts';
import { FailedSpares } from './failed-spares.ts';
import { keepSpares } from './keep-spares.ts';
import { LoggedVisits } from './logged-visits.ts';
import { preparePlan } from './prepare-plan.ts';
import { reconcile } from './reconcile.ts';
import { poll, sweep, withoutDatabase } from './resync.ts';
import { NO_CUSTOMER } from './slots.ts';
import {
  counted,
  Heartbeats,
  type Loop,
  type Part,
  type QueueVitals,
  type Vitals,
} from './vitals.ts';
import type { WakeOutcome } from './wakes.ts';
import { WorkQueue, type WorkSignals } from './work-queue.ts';

/** How often Docker's containers are compared with Odoo's instances: finds what the event stream has missed. */
const SWEEP_SCHEDULE = '*/5 * * * *';

/** How many keys are worked on concurrently. Long waits give their worker up, and are limited by `ControllerContext.slots`. */
const WORKERS = 32;

/** How many jobs are done concurrently: one that takes long delays the others, not all of them. */
const JOBS = 2;

/** Exponential backoff of one key: 1 s, 2 s, 4 s … five minutes. */
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 300_000;

/** How long after a sale the clone pool is refilled: until then the new instance's first login has the processors. */
const RESTOCK_DELAY_MS = 2_000;

/** How long after the last sale or start spare instances are made: nobody is starting then. */
const QUIET_MS = 20_000;

/** How long changes of names and ports are gathered before the door gets them: a sale makes two. */
const DOOR_DELAY_MS = 200;

/** How often it is looked for instances that are to fall asleep or to wake, in milliseconds. */
const SLEEP_INTERVAL_MS = 30_000;

/** How often the liveness probes that are due are begun. */
const LIVENESS_INTERVAL_MS = 1_000;

/** Of these, backups are made: a draft has nothing yet, and in what was removed nothing changes any more. */
const MAY_HAVE_DATA: ReadonlySet<InstanceState> = new Set(['running', 'stopped', 'error']);

const SERVICE_PARTS = [
  ['Odoo', 'odoo'],
  ['Docker', 'docker'],
  ['Postgres', 'postgres'],
] as const;

export interface ControllerOptions {
  readonly context: ControllerContext;
  readonly pollSeconds: number;
}

/** The control loop: nudges, polls, Docker events and timers only put keys on a work queue. */
export class Controller {
  readonly #context: ControllerContext;
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue<Key>;
  /** A queue of its own: building a template database takes minutes, a spare clone seconds, and no sale may wait for them. */
  readonly #plans: WorkQueue<Key>;
  /** A queue of its own: while one is made for minutes, another must be able to go for who waits for its memory. */
  readonly #spares: WorkQueue<Key>;
  /** The night's, one at a time, beside everything else: backups have what customers leave of the machine. */
  readonly #backups: WorkQueue<Key>;
  /** What people wait for: it does not wait for the night's backups, except for the same instance's. */
  readonly #jobs: WorkQueue<Key>;
  readonly #stop = new AbortController();
  #pollTimer: NodeJS.Timeout | undefined;
  #livenessTimer: NodeJS.Timeout | undefined;
  #sleepTimer: NodeJS.Timeout | undefined;
  #restockTimer: NodeJS.Timeout | undefined;
  #quietTimer: NodeJS.Timeout | undefined;
  readonly #failedSpares: FailedSpares;
  /** Aborted when a customer's instance is claimed: the work on spares gives way. */
  #spareWork = new AbortController();
  #doorTimer: NodeJS.Timeout | undefined;
  #sweepTask: ScheduledTask | undefined;
  #watching: Promise<unknown> = Promise.resolve();
  /** What Odoo said of instances when it made them, until they are worked on for the first time. */
  readonly #justClaimed = new Map<Key, DesiredInstance>();
  /** For each claim under way, what was added meanwhile. */
  readonly #claims = new Set<Set<Key>>();
  /** Dependencies that do not answer at present: logged once when they fail and once when they are back. */
  readonly #unavailable = new Set<'Odoo' | 'Docker' | 'Postgres'>();
  #isHostSilent = false;
  readonly #knownOrphans = new Set<number>();
  readonly #diskWatch: DiskWatch;
  /** Null: without a door there is no log. */
  readonly #visits: LoggedVisits | null;
  #states: readonly ShownState[] | null = null;
  readonly #heartbeats: Heartbeats;
  #errors: ReadonlyMap<string, number> = new Map();
  #certificates: CertificateState | null = null;
  #backupAges: BackupAges | null = null;
  /** Of the manager's own backups; null: the repository was not asked yet. */
  #managerFacts: BackupFacts | null = null;
  /** The firewall rules could not be installed, and that was logged. */
  #isFirewallMissing = false;
  /** The door could not be opened, and that was logged. */
  #isDoorShut = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#context = options.context;
    this.#diskWatch = new DiskWatch(options.context);
    this.#heartbeats = new Heartbeats(options.context.now);
    this.#failedSpares = new FailedSpares(options.context.now);
    const { activity, door, useWatch } = options.context;
    this.#visits = activity && door && new LoggedVisits(activity, door.routes, useWatch);
    this.#queue = this.#makeQueue(WORKERS);
    this.#plans = this.#makeQueue(1);
    this.#spares = this.#makeQueue(1);
    this.#backups = this.#makeQueue(1);
    this.#jobs = this.#makeQueue(JOBS);
  }

  /** How many keys wait or are worked on, pending refills of the clone pool and of the spares included. */
  get backlog(): number {
    const queued = this.#queues.reduce((sum, { size }) => sum + size, 0);
    return queued + (this.#restockTimer ? 1 : 0) + (this.#quietTimer ? 1 : 0);
  }

  /** The age of the oldest waiting key, in seconds. */
  get backlogSeconds(): number {
    return Math.max(...this.#queues.map(({ ageSeconds }) => ageSeconds));
  }

  get #queues(): readonly WorkQueue<Key>[] {
    return [this.#queue, this.#plans, this.#spares, this.#backups, this.#jobs];
  }

  /** The state of each instance at the last sweep; null before the first. */
  get states(): readonly ShownState[] | null {
    return this.#states;
  }

  get vitals(): Vitals {
    const { liveness, managerCheck } = this.#context;
    const of = ({ ageSeconds, failing, size }: WorkQueue<Key>): QueueVitals => ({
      ...{ keys: size, ageSeconds, failing },
    });
    return {
      queues: {
        instances: of(this.#queue),
        plans: of(this.#plans),
        backups: of(this.#backups),
        jobs: of(this.#jobs),
      },
      beats: this.#heartbeats.all,
      down: this.#down(),
      errors: this.#errors,
      silent: liveness.silent,
      orphans: this.#knownOrphans.size,
      failedMails: managerCheck.facts?.failedMails ?? null,
      odooCronAt: managerCheck.facts?.cronAt ?? 0,
    };
  }

  #down(): Set<Part> {
    const down = new Set<Part>();
    for (const [who, part] of SERVICE_PARTS) if (this.#unavailable.has(who)) down.add(part);
    if (this.#isFirewallMissing) down.add('firewall');
    if (this.#isDoorShut) down.add('door');
    if (this.#context.managerCheck.distrust) down.add('manager_database');
    return down;
  }

  /** The certificates of all names at the last sweep; null before the first, and where no name needs one. */
  get certificates(): CertificateState | null {
    return this.#certificates;
  }

  /** How old the proofs of backups were at the last sweep; null before the first, and where none are made. */
  get backups(): BackupAges | null {
    return this.#backupAges;
  }

  async start(): Promise<void> {
    const { door, engine } = this.#context;
    this.#watching = Promise.all([
      engine.watch(
        (id) => (id === null ? void this.#sweep() : this.#add([`instance:${id}`])),
        this.#stop.signal,
      ),
      door?.proxy.watch(() => this.#add(['door']), this.#stop.signal),
      door?.proxy.requests((request) => this.#visits?.take(request), this.#stop.signal),
    ]);
    this.#sweepTask = cron.schedule(SWEEP_SCHEDULE, () => this.#sweep(), { noOverlap: true });
    this.#probeAndRepeat();
    this.#sleepSoon();
    await Promise.all([this.#sweep(), this.#pollAndRepeat()]);
  }

  /** Adds keys that were changed by a person or named by a nudge: they are worked on at once, also while they back off. */
  addNow(keys: readonly Key[]): void {
    for (const key of keys) {
      this.#readAgain(key);
      this.#queueOf(key).addNow(key);
    }
  }

  /** Whether Odoo shows it asleep, as far as is known without asking. */
  isAsleep(id: number): boolean {
    return this.#context.activity?.isAsleep(id) ?? false;
  }

  /**
   * A visitor has come for an instance that is asleep: it is started, once for any number of visitors.
   * @param holdMs how long this visitor may be held
   */
  wake(id: number, holdMs: number): Promise<WakeOutcome> {
    const { activity, wakes } = this.#context;
    activity?.visited(id);
    // A key that backs off keeps its backoff: visitors do not make a start that fails more frequent.
    return wakes.wake(id, holdMs, () => this.#add([`instance:${id}`]));
  }

  /** Stops the loop and waits for the steps under way. Idempotent. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#context.door?.domains.stop();
    clearTimeout(this.#pollTimer);
    clearTimeout(this.#livenessTimer);
    clearTimeout(this.#sleepTimer);
    clearTimeout(this.#restockTimer);
    clearTimeout(this.#quietTimer);
    this.#spareWork.abort();
    clearTimeout(this.#doorTimer);
    await this.#sweepTask?.destroy();
    await Promise.all(this.#queues.map((queue) => queue.close()));
    await this.#watching;
  }

  #makeQueue(concurrency: number): WorkQueue<Key> {
    return new WorkQueue<Key>({
      concurrency,
      work: (key, signals) => this.#work(key, signals),
      backoffMs: (failures) => Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), MAX_RETRY_MS),
      onFailure: (key, error, retryInMs) => this.#failed(key, error, retryInMs),
    });
  }

  #queueOf(key: Key): WorkQueue<Key> {
    if (key.startsWith('backup:')) return this.#backups;
    if (key.startsWith('job:')) return this.#jobs;
    if (key === 'spares') return this.#spares;
    return key.startsWith('plan:') || key === 'clones' ? this.#plans : this.#queue;
  }

  #add(keys: readonly Key[]): void {
    for (const key of keys) {
      this.#readAgain(key);
      this.#queueOf(key).add(key);
    }
  }

  /** What its claim has said, or is about to say, may be old. */
  #readAgain(key: Key): void {
    this.#justClaimed.delete(key);
    for (const addedMeanwhile of this.#claims) addedMeanwhile.add(key);
  }

  async #work(key: Key, signals: WorkSignals): Promise<void> {
    const [kind, id] = key.split(':');
    if (kind === 'instance') {
      const desired = this.#justClaimed.get(key);
      this.#justClaimed.delete(key);
      await reconcile(Number(id), this.#context, signals, desired).finally(() => {
        // A visitor who came during this run, as while the instance was being put to sleep, waits for the next one.
        if (!this.#queue.isWaiting(key)) this.#context.wakes.ended(Number(id));
      });
      this.#restockSoon();
      await this.#checkPostgres();
      return;
    }
    if (key === 'backup:manager') return this.#backUpManager(signals.stop);
    if (kind === 'backup' || kind === 'job') return this.#backUp(Number(id), kind, signals);
    if (kind === 'clones') {
      const { databases, slots } = this.#context;
      return slots.starts.run(NO_CUSTOMER, () => databases.restock());
    }
    if (kind === 'spares') return this.#keepSpares(signals);
    if (kind === 'door') return this.#openDoor();
    if (kind === 'domains') return this.#lookAtDomains();
    if (kind === 'plan') {
      await preparePlan(Number(id), this.#context, signals.stop);
      return this.#keepSparesWhenQuiet();
    }
    await this.#claim(Number(id));
  }

  async #claim(invoice: number): Promise<void> {
    const addedMeanwhile = new Set<Key>();
    this.#claims.add(addedMeanwhile);
    const { known, claimed } = await claim(invoice, this.#context).finally(() =>
      this.#claims.delete(addedMeanwhile),
    );
    if (known.length + claimed.length === 0) return;
    this.#spareWork.abort();
    this.addNow(known.map((id): Key => `instance:${id}`));
    for (const desired of claimed) {
      const key: Key = `instance:${desired.id}`;
      // Before it is added: the queue may begin at once.
      if (!addedMeanwhile.has(key)) this.#justClaimed.set(key, desired);
      this.#queue.addNow(key);
    }
    this.#keepSparesWhenQuiet();
  }

  /** While customers' instances start, it is put off, unless they wait for the memory that spares have. */
  async #keepSpares({ stop, superseded: isAskedAgain }: WorkSignals): Promise<void> {
    const { hasMemory, slots } = this.#context;
    if (slots.starts.isBusy && hasMemory()) return this.#keepSparesWhenQuiet();
    this.#spareWork = new AbortController();
    const superseded = AbortSignal.any([this.#spareWork.signal, isAskedAgain]);
    const isDone = await keepSpares(this.#context, this.#failedSpares, { stop, superseded });
    if (!isDone) this.#keepSparesWhenQuiet();
  }

  /** Begins to wait anew with each call. */
  #keepSparesWhenQuiet(): void {
    if (this.#stop.signal.aborted || this.#context.spareMemoryMb === 0) return;
    clearTimeout(this.#quietTimer);
    this.#quietTimer = setTimeout(() => {
      this.#quietTimer = undefined;
      this.#add(['spares']);
    }, QUIET_MS);
  }

  /** To be called when an instance waits for memory that spares have. */
  giveUpSpares(): void {
    if (this.#context.spareMemoryMb > 0) this.addNow(['spares']);
  }

  async #backUp(id: number, kind: BackupKind, signals: WorkSignals): Promise<void> {
    const { backups, managerCheck } = this.#context;
    // What the manager's database says may be another customer's.
    if (!backups || managerCheck.distrust) return;
    const context = { ...this.#context, backups };
    const { oneByOne: turns } = backups;
    // Behind a backup of its own that is under way, a job waits for long: others' need not.
    if (turns.isTaken(id)) await signals.withoutSlot(() => turns.take(id, async () => {}));
    const { isToReconcile } = await turns.take(id, () => backUp(id, kind, context, signals.stop));
    // One that backs off keeps its backoff: a swap that fails would be tried without end.
    if (isToReconcile) this.#add([`instance:${id}`]);
  }

  async #backUpManager(stop: AbortSignal): Promise<void> {
    const { backups, managerCheck } = this.#context;
    if (!backups?.ofManager || managerCheck.distrust) return;
    const lastFailureAt = this.#managerFacts?.lastFailureAt ?? 0;
    const context = { ...this.#context, ...backups.ofManager };
    const { facts } = await backUpManager(context, backups.time, lastFailureAt, stop);
    this.#managerFacts = facts;
  }

  #restockSoon(): void {
    if (this.#stop.signal.aborted) return;
    this.#restockTimer ??= setTimeout(() => {
      this.#restockTimer = undefined;
      this.#add(['clones']);
    }, RESTOCK_DELAY_MS);
  }

  /** To be called when names or ports have changed: the door gets them a moment later, all at once. */
  updateDoor(): void {
    if (this.#stop.signal.aborted) return;
    this.#doorTimer ??= setTimeout(() => {
      this.#doorTimer = undefined;
      this.#add(['door']);
    }, DOOR_DELAY_MS);
  }

  /** Gives the door the present routes. While the manager's database is in doubt, names in it may be others': the door stays as it is. */
  async #openDoor(): Promise<void> {
    const { door, log, manager, managerCheck } = this.#context;
    if (!door) return;
    if (managerCheck.distrust) return door.proxy.ensureRunning();
    const routes = await manager.routes().catch(async (error) => {
      await door.proxy.ensureRunning();
      throw error;
    });
    door.routes.replace(routes);
    this.#visits?.routesKnown();
    await door.proxy.ensure(routes);
    door.domains.follow(routes.flatMap(({ domains }) => domains));
    if (this.#isDoorShut) log.info('the door is open again');
    this.#isDoorShut = false;
  }

  /** While the manager's database is in doubt, what it says of domains may be old: the next routes make them due again. */
  async #lookAtDomains(): Promise<void> {
    const { door, managerCheck } = this.#context;
    if (door && !managerCheck.distrust) await door.domains.look();
  }

  /** To be called for an instance on whose backups a person waits. */
  doJob(id: number): void {
    this.#add([`job:${id}`]);
  }

  /** To be called when customers' own domains are due. */
  lookAtDomains(): void {
    this.#add(['domains']);
  }

  #failed(key: Key, error: unknown, retryInMs: number): void {
    if (this.#markUnavailable(error)) return;
    if (key === 'door') {
      if (!this.#isDoorShut)
        this.#context.log.error(
          { err: error },
          'the door is not open as it should be; will be tried again',
        );
      this.#isDoorShut = true;
      return;
    }
    this.#context.log.warn({ key, err: error, retryInMs }, 'failed, will be tried again');
  }

  /** Logs once that Odoo, Docker or Postgres is unavailable. @returns whether that is what the error is about */
  #markUnavailable(error: unknown): boolean {
    const who = unavailableService(error);
    if (who === null) return false;
    if (!this.#unavailable.has(who))
      this.#context.log.warn({ who, err: error }, 'away, will be tried again');
    this.#unavailable.add(who);
    return true;
  }

  #markAvailable(...answered: ReadonlyArray<'Odoo' | 'Docker' | 'Postgres'>): void {
    for (const who of answered)
      if (this.#unavailable.delete(who)) this.#context.log.info({ who }, 'back again');
  }

  /** Only while it is unavailable: an idle poll costs Postgres nothing. */
  async #checkPostgres(): Promise<void> {
    if (!this.#unavailable.has('Postgres')) return;
    await this.#context.databases.ping().then(
      () => this.#markAvailable('Postgres'),
      () => {}, // still unavailable, and logged already
    );
  }

  async #pollAndRepeat(): Promise<void> {
    const diskCheck = this.#guarded(() => this.#diskWatch.check());
    await this.#guarded(async () => {
      // The confirmation (microsaas reconcile-host) happens in another process.
      if (this.#context.managerCheck.distrust) await this.#context.managerCheck.isTrusted();
      this.#add(await poll(this.#context));
      this.#markAvailable('Odoo');
      await this.#checkPostgres();
    }, 'poll');
    await diskCheck;
    if (this.#stop.signal.aborted) return;
    this.#pollTimer = setTimeout(
      () => void this.#pollAndRepeat(),
      this.#options.pollSeconds * 1000,
    );
  }

  #sleepSoon(): void {
    if (this.#stop.signal.aborted || !this.#context.activity) return;
    this.#sleepTimer = setTimeout(() => {
      void this.#guarded(() => this.#fallAsleepAndWake(), 'sleep');
      this.#sleepSoon();
    }, SLEEP_INTERVAL_MS);
  }

  async #fallAsleepAndWake(): Promise<void> {
    const { activity, reporter } = this.#context;
    if (!activity) return;
    this.#add(activity.due().map((id): Key => `instance:${id}`));
    await Promise.all(activity.unreported().map((report) => reporter.report(report)));
  }

  #probeAndRepeat(): void {
    if (this.#stop.signal.aborted) return;
    const { liveness, log, useWatch } = this.#context;
    void this.#guarded(() => liveness.tick(), 'liveness');
    void this.#guarded(() => useWatch.tick());
    if (liveness.isHostSilent !== this.#isHostSilent) {
      this.#isHostSilent = liveness.isHostSilent;
      if (this.#isHostSilent)
        log.error(
          'so many instances do not answer that the host must be the cause: none is restarted',
        );
      else log.info('the instances answer again');
    }
    this.#livenessTimer = setTimeout(() => this.#probeAndRepeat(), LIVENESS_INTERVAL_MS);
  }

  async #sweep(): Promise<void> {
    await this.#guarded(async () => this.#context.backups?.exports.dropOld());
    await this.#guarded(() => this.#ensureFirewall());
    if (this.#context.door) this.#add(['door']);
    await this.#guarded(() => this.#checkCertificates());
    // Guarded separately: while Postgres is unavailable, containers are still compared.
    await this.#guarded(async () => {
      await this.#context.managerCheck.sweep();
    });
    await this.#guarded(async () => {
      const { keys, plans, orphans, states, watched } = await sweep(this.#context);
      const own = [...states.values()].filter(({ isCopy }) => !isCopy);
      // With the setting off there are none but those of an earlier start.
      if (this.#states === null) this.#add(['spares']);
      this.#keepSparesWhenQuiet();
      this.#states = own.map(shownState);
      const failing = own.filter(({ state }) => state === 'error');
      this.#errors = counted(failing.map(({ reason }) => reason));
      this.#context.activity?.replace(states);
      this.#context.liveness.watch(watched);
      this.#context.useWatch.watch(watched);
      this.#markAvailable('Odoo', 'Docker');
      this.#add([
        ...keys,
        ...plans.map(({ id }): Key => `plan:${id}`),
        ...this.#dueBackups(states),
      ]);
      for (const id of orphans) {
        if (this.#knownOrphans.has(id)) continue;
        this.#knownOrphans.add(id);
        this.#context.log.warn(
          { instance: id },
          'orphan: containers of ours that Odoo does not know',
        );
      }
      this.#add(await withoutDatabase(this.#context, watched));
      const left = await this.#context.engine.removeStaleHelpers();
      if (left.length > 0)
        this.#context.log.warn({ containers: left }, 'removed what a killed sidecar had left');
      const dropped = await this.#context.databases.trim(plans);
      if (dropped.length > 0) this.#context.log.info({ dropped }, 'template databases dropped');
    }, 'sweep');
    await this.#guarded(() => this.#reportUse());
  }

  /** While the manager's database is in doubt, the instances of its numbers may be others. */
  async #reportUse(): Promise<void> {
    const { managerCheck, useWatch } = this.#context;
    if (!managerCheck.distrust) await useWatch.report();
  }

  #dueBackups(states: ReadonlyMap<number, SweptInstance>): Key[] {
    const { backups, now } = this.#context;
    if (!backups) return [];
    // Who waits for what is gone by now is told so.
    const waiting = [...states].filter(([, { hasJob }]) => hasJob).map(([id]): Key => `job:${id}`);
    if (!backups.isNightly) return waiting;
    const night = lastNight(backups.time, now()).getTime() / 1000;
    const withData = [...states].filter(
      ([, { isCopy, state }]) => !isCopy && MAY_HAVE_DATA.has(state),
    );
    const own = backups.ofManager && this.#managerFacts ? [this.#managerFacts] : [];
    this.#backupAges = backupAges([...withData.map(([, known]) => known), ...own]);
    const isDue = (known: BackupFacts) => dueBackup(known, night, now().getTime() / 1000) !== null;
    const due = withData.filter(([, known]) => isDue(known));
    return [
      ...waiting,
      ...due.map(([id]): Key => `backup:${id}`),
      // Last: it has the keys of all repositories, and Odoo's list of what is in them.
      ...(this.#isManagerDue(night) ? ['backup:manager' as const] : []),
    ];
  }

  /** Before the repository was asked, it is. */
  #isManagerDue(night: number): boolean {
    const { backups, now } = this.#context;
    if (!backups?.ofManager) return false;
    const seconds = now().getTime() / 1000;
    const facts = this.#managerFacts;
    return !facts || dueBackup(facts, night, seconds, backups.ofManager.since) !== null;
  }

  async #checkCertificates(): Promise<void> {
    const { certificates, routes } = this.#context.door ?? {};
    this.#certificates = (routes && (await certificates?.state(routes.hosts))) || null;
  }

  /** Installs the firewall rules again: a reboot, Docker or a person may have removed them. Instances run without them too. */
  async #ensureFirewall(): Promise<void> {
    const { firewall, log } = this.#context;
    try {
      await firewall?.ensure();
      if (this.#isFirewallMissing) log.info('the firewall rules are in place again');
      this.#isFirewallMissing = false;
    } catch (error) {
      if (unavailableService(error) !== null) throw error;
      if (!this.#isFirewallMissing)
        log.warn(
          { err: error },
          'no firewall rules: instances reach this host and its networks; microsaas doctor says more',
        );
      this.#isFirewallMissing = true;
    }
  }

  /** Runs a periodic task: its failure is logged, and the next round retries. @param loop of which it is the end */
  async #guarded(task: () => Promise<void>, loop?: Loop): Promise<void> {
    try {
      await task();
      if (loop) this.#heartbeats.beat(loop);
    } catch (error) {
      if (this.#stop.signal.aborted || this.#markUnavailable(error)) return;
      this.#context.log.error({ err: error }, 'a periodic check failed');
    }
  }
}
