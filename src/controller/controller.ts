import cron, { type ScheduledTask } from 'node-cron';
import { whoIsAway } from '../errors.ts';
import type { InstanceState, Key } from '../instance/types.ts';
import { claim } from './claim.ts';
import type { ControllerContext } from './controller-context.ts';
import { DiskWatch } from './disk-watch.ts';
import { preparePlan } from './prepare-plan.ts';
import { reconcile } from './reconcile.ts';
import { poll, sweep, withoutDatabase } from './resync.ts';
import { NO_CUSTOMER } from './start-slots.ts';
import { WorkQueue, type WorkSignals } from './work-queue.ts';

/** How often Docker's list is held against Odoo's: finds what the event stream has missed. */
const SWEEP_SCHEDULE = '*/5 * * * *';

/** How many keys are looked at together. What takes longer waits aside, and is limited by `World.rooms`. */
const WORKERS = 32;

/** Retries of one key: 1 s, 2 s, 4 s … five minutes. */
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 300_000;

/** How long a new instance has the processors to itself before the next customer's clone is made, in milliseconds. */
const RESTOCK_DELAY_MS = 2_000;

/** How often instances that are due are looked at, in milliseconds. */
const LIVENESS_INTERVAL_MS = 1_000;

export interface ControllerOptions {
  readonly context: ControllerContext;
  readonly pollSeconds: number;
}

/** The loop: a webhook, a poll, a Docker event and a timer only put keys on one queue. */
export class Controller {
  readonly #context: ControllerContext;
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue<Key>;
  /** Building a template database takes minutes, a spare clone seconds: no customer and no button waits behind one. */
  readonly #plans: WorkQueue<Key>;
  readonly #stop = new AbortController();
  #pollTimer: NodeJS.Timeout | undefined;
  #livenessTimer: NodeJS.Timeout | undefined;
  #restockTimer: NodeJS.Timeout | undefined;
  #sweepTask: ScheduledTask | undefined;
  #watching: Promise<void> = Promise.resolve();
  /** What is away at present: said once when it goes and once when it comes back. */
  readonly #unavailable = new Set<'Odoo' | 'Docker' | 'Postgres'>();
  #isHostSilent = false;
  readonly #knownOrphans = new Set<number>();
  readonly #diskWatch: DiskWatch;
  #states: readonly InstanceState[] | null = null;
  /** The firewall's rules could not be laid down, and that was said. */
  #isFirewallMissing = false;

  constructor(options: ControllerOptions) {
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
    this.#probeAndRepeat();
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
    clearTimeout(this.#livenessTimer);
    clearTimeout(this.#restockTimer);
    await this.#sweepTask?.destroy();
    await Promise.all([this.#queue.close(), this.#plans.close()]);
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
      await this.#checkPostgres();
      return;
    }
    if (kind === 'spares') {
      const { databases, slots } = this.#context;
      return slots.starts.run(NO_CUSTOMER, () => databases.restock());
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
    }, RESTOCK_DELAY_MS);
  }

  #failed(key: Key, error: unknown, retryInMs: number): void {
    if (this.#markUnavailable(error)) return;
    this.#context.log.warn({ key, err: error, retryInMs }, 'failed, will be tried again');
  }

  /** Says once that Odoo, Docker or Postgres is away. @returns whether that is what the error is about. */
  #markUnavailable(error: unknown): boolean {
    const who = whoIsAway(error);
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

  /** Asked only while it is away: an idle poll costs Postgres nothing. */
  async #checkPostgres(): Promise<void> {
    if (!this.#unavailable.has('Postgres')) return;
    await this.#context.databases.ping().then(
      () => this.#markAvailable('Postgres'),
      () => {}, // still away, and said so already
    );
  }

  async #pollAndRepeat(): Promise<void> {
    const looked = this.#guarded(() => this.#diskWatch.check());
    await this.#guarded(async () => {
      // The person who confirms does it in another process.
      if (this.#context.managerCheck.distrust) await this.#context.managerCheck.isTrusted();
      this.#add(await poll(this.#context));
      this.#markAvailable('Odoo');
      await this.#checkPostgres();
    });
    await looked;
    if (this.#stop.signal.aborted) return;
    this.#pollTimer = setTimeout(
      () => void this.#pollAndRepeat(),
      this.#options.pollSeconds * 1000,
    );
  }

  #probeAndRepeat(): void {
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
    this.#livenessTimer = setTimeout(() => this.#probeAndRepeat(), LIVENESS_INTERVAL_MS);
  }

  async #sweep(): Promise<void> {
    await this.#guarded(() => this.#ensureFirewall());
    // By itself: while Postgres is away, containers are still compared.
    await this.#guarded(async () => {
      await this.#context.managerCheck.sweep();
    });
    await this.#guarded(async () => {
      const { keys, plans, orphans, states, watched } = await sweep(this.#context);
      this.#states = [...states.values()];
      this.#context.liveness.watch(watched);
      this.#markAvailable('Odoo', 'Docker');
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
  async #ensureFirewall(): Promise<void> {
    const { firewall, log } = this.#context;
    try {
      await firewall?.ensure();
      if (this.#isFirewallMissing) log.info('the firewall rules are in place again');
      this.#isFirewallMissing = false;
    } catch (error) {
      if (whoIsAway(error) !== null) throw error;
      if (!this.#isFirewallMissing)
        log.warn(
          { err: error },
          'no firewall rules: instances reach this host and its networks; microsaas doctor says more',
        );
      this.#isFirewallMissing = true;
    }
  }

  /** Runs a periodic task: its failure is said, and the next round tries again. */
  async #guarded(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (this.#stop.signal.aborted || this.#markUnavailable(error)) return;
      this.#context.log.error({ err: error }, 'a periodic check failed');
    }
  }
}
