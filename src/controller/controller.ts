import cron, { type ScheduledTask } from 'node-cron';
import { whoIsAway } from '../errors.ts';
import type { InstanceState, Key } from '../instance/types.ts';
import { claim } from './claim.ts';
import type { ControllerContext } from './controller-context.ts';
import { DiskWatch } from './disk-watch.ts';
import { preparePlan } from './prepare-plan.ts';
import { reconcile } from './reconcile.ts';
import { poll, sweep, withoutDatabase } from './resync.ts';
import { NOBODY } from './start-slots.ts';
import { WorkQueue, type WorkSignals } from './work-queue.ts';

/** How often Docker's list is held against Odoo's: finds what the event stream has missed. */
const SWEEP_SCHEDULE = '*/5 * * * *';

/** How many keys are looked at together. What takes longer waits aside, and is limited by `World.rooms`. */
const WORKERS = 32;

/** Retries of one key: 1 s, 2 s, 4 s … five minutes. */
const FIRST_RETRY = 1_000;
const LAST_RETRY = 300_000;

/** How long a new instance has the processors to itself before the next customer's clone is made, in milliseconds. */
const RESTOCK_DELAY = 2_000;

/** How often instances that are due are looked at, in milliseconds. */
const LOOK_INTERVAL = 1_000;

export interface DaemonOptions {
  readonly context: ControllerContext;
  readonly pollSeconds: number;
}

/** The loop: a webhook, a poll, a Docker event and a timer only put keys on one queue. */
export class Controller {
  readonly #context: ControllerContext;
  readonly #options: DaemonOptions;
  readonly #queue: WorkQueue<Key>;
  /** Building a template database takes minutes, a spare clone seconds: no customer and no button waits behind one. */
  readonly #plans: WorkQueue<Key>;
  readonly #stop = new AbortController();
  #pollTimer: NodeJS.Timeout | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #restockTimer: NodeJS.Timeout | undefined;
  #sweepTask: ScheduledTask | undefined;
  #watching: Promise<void> = Promise.resolve();
  /** What is away at present: said once when it goes and once when it comes back. */
  readonly #away = new Set<'Odoo' | 'Docker' | 'Postgres'>();
  #isHostSilent = false;
  readonly #knownOrphans = new Set<number>();
  readonly #diskWatch: DiskWatch;
  #states: readonly InstanceState[] | null = null;
  /** The firewall's rules could not be laid down, and that was said. */
  #isOpen = false;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#context = options.context;
    this.#diskWatch = new DiskWatch(options.context);
    this.#queue = this.#makeQueue(WORKERS);
    this.#plans = this.#makeQueue(1);
  }

  /** How many keys wait or are worked on, the next customer's clone among them. */
  get backlog(): number {
    return this.#queue.size + this.#plans.size + (this.#restockTimer ? 1 : 0);
  }

  /** How long the key that has waited longest has not been begun, in seconds. */
  get backlogSeconds(): number {
    return Math.max(this.#queue.ageSeconds, this.#plans.ageSeconds);
  }

  /** The state of each instance at the last sweep; null before the first. */
  get states(): readonly InstanceState[] | null {
    return this.#states;
  }

  async start(): Promise<void> {
    this.#watching = this.#context.engine.watch(
      (id) => (id === null ? void this.#sweep() : this.#add([`instance:${id}`])),
      this.#stop.signal,
    );
    this.#sweepTask = cron.schedule(SWEEP_SCHEDULE, () => this.#sweep(), { noOverlap: true });
    this.#lookAndRepeat();
    await Promise.all([this.#sweep(), this.#pollAndRepeat()]);
  }

  /** Somebody says that these have changed: they come up at once, whatever they were waiting for. */
  addNow(keys: readonly Key[]): void {
    for (const key of keys) this.#queueOf(key).addNow(key);
  }

  /** Ends the loop and waits for the steps under way. May be called twice. */
  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#pollTimer);
    clearTimeout(this.#lookTimer);
    clearTimeout(this.#restockTimer);
    await this.#sweepTask?.destroy();
    await Promise.all([this.#queue.close(), this.#plans.close()]);
    await this.#watching;
  }

  #makeQueue(concurrency: number): WorkQueue<Key> {
    return new WorkQueue<Key>({
      concurrency,
      work: (key, signals) => this.#work(key, signals),
      backoffMs: (failures) => Math.min(FIRST_RETRY * 2 ** (failures - 1), LAST_RETRY),
      onFailure: (key, error, retryInMs) => this.#failed(key, error, retryInMs),
    });
  }

  #queueOf(key: Key): WorkQueue<Key> {
    return key.startsWith('plan:') || key === 'spares' ? this.#plans : this.#queue;
  }

  #add(keys: readonly Key[]): void {
    for (const key of keys) this.#queueOf(key).add(key);
  }

  async #work(key: Key, signals: WorkSignals): Promise<void> {
    const [kind, id] = key.split(':');
    if (kind === 'instance') {
      await reconcile(Number(id), this.#context, signals);
      this.#restockSoon();
      await this.#lookForPostgres();
      return;
    }
    if (kind === 'spares') {
      const { databases, slots } = this.#context;
      return slots.starts.run(NOBODY, () => databases.restock());
    }
    if (kind === 'plan') return preparePlan(Number(id), this.#context, signals.stop);
    const instances = await claim(Number(id), this.#context);
    this.addNow(instances.map((instance): Key => `instance:${instance}`));
  }

  #restockSoon(): void {
    if (this.#stop.signal.aborted) return;
    this.#restockTimer ??= setTimeout(() => {
      this.#restockTimer = undefined;
      this.#add(['spares']);
    }, RESTOCK_DELAY);
  }

  #failed(key: Key, error: unknown, retryInMs: number): void {
    if (this.#sayAway(error)) return;
    this.#context.log.warn({ key, err: error, retryInMs }, 'failed, will be tried again');
  }

  /** Says once that Odoo, Docker or Postgres is away. @returns whether that is what the error is about. */
  #sayAway(error: unknown): boolean {
    const who = whoIsAway(error);
    if (who === null) return false;
    if (!this.#away.has(who))
      this.#context.log.warn({ who, err: error }, 'away, will be tried again');
    this.#away.add(who);
    return true;
  }

  #sayBack(...answered: ReadonlyArray<'Odoo' | 'Docker' | 'Postgres'>): void {
    for (const who of answered)
      if (this.#away.delete(who)) this.#context.log.info({ who }, 'back again');
  }

  /** Asked only while it is away: an idle poll costs Postgres nothing. */
  async #lookForPostgres(): Promise<void> {
    if (!this.#away.has('Postgres')) return;
    await this.#context.databases.ping().then(
      () => this.#sayBack('Postgres'),
      () => {}, // still away, and said so already
    );
  }

  async #pollAndRepeat(): Promise<void> {
    const looked = this.#guarded(() => this.#diskWatch.look());
    await this.#guarded(async () => {
      // The person who confirms does it in another process.
      if (this.#context.managerCheck.distrust) await this.#context.managerCheck.isTrusted();
      this.#add(await poll(this.#context));
      this.#sayBack('Odoo');
      await this.#lookForPostgres();
    });
    await looked;
    if (this.#stop.signal.aborted) return;
    this.#pollTimer = setTimeout(
      () => void this.#pollAndRepeat(),
      this.#options.pollSeconds * 1000,
    );
  }

  #lookAndRepeat(): void {
    if (this.#stop.signal.aborted) return;
    const { liveness, log } = this.#context;
    void this.#guarded(() => liveness.tick());
    if (liveness.isHostSilent !== this.#isHostSilent) {
      this.#isHostSilent = liveness.isHostSilent;
      if (this.#isHostSilent)
        log.error(
          'so many instances do not answer that the host must be the cause: none is restarted',
        );
      else log.info('the instances answer again');
    }
    this.#lookTimer = setTimeout(() => this.#lookAndRepeat(), LOOK_INTERVAL);
  }

  async #sweep(): Promise<void> {
    await this.#guarded(() => this.#wallIn());
    // By itself: while Postgres is away, containers are still compared.
    await this.#guarded(async () => {
      await this.#context.managerCheck.sweep();
    });
    await this.#guarded(async () => {
      const { keys, plans, orphans, states, watched } = await sweep(this.#context);
      this.#states = [...states.values()];
      this.#context.liveness.watch(watched);
      this.#sayBack('Odoo', 'Docker');
      this.#add([...keys, ...plans.map(({ id }): Key => `plan:${id}`)]);
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
    });
  }

  /** Lays the firewall's rules down again: a reboot, Docker or a person may have lost them. Without them instances run all the same. */
  async #wallIn(): Promise<void> {
    const { firewall, log } = this.#context;
    try {
      await firewall?.ensure();
      if (this.#isOpen) log.info('the firewall rules are in place again');
      this.#isOpen = false;
    } catch (error) {
      if (whoIsAway(error) !== null) throw error;
      if (!this.#isOpen)
        log.warn(
          { err: error },
          'no firewall rules: instances reach this host and its networks; microsaas doctor says more',
        );
      this.#isOpen = true;
    }
  }

  /** Runs a periodic task: its failure is said, and the next round tries again. */
  async #guarded(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (this.#stop.signal.aborted || this.#sayAway(error)) return;
      this.#context.log.error({ err: error }, 'a periodic check failed');
    }
  }
}
