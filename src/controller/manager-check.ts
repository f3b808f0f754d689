import {
  checkManagerHistory,
  DISTRUST_MESSAGES,
  type Distrust,
} from '../instance/manager-history.ts';
import type { FoundInstance, MarkedInstance } from '../instance/types.ts';
import type {
  Databases,
  Engine,
  Manager,
  ManagerFacts,
  ManagerMemory,
  MemoryStore,
} from '../interfaces.ts';
import type { Logger } from '../log.ts';

export interface ManagerCheckOptions {
  readonly install: string;
  readonly manager: Pick<
    Manager,
    'handshake' | 'checkpoint' | 'distrust' | 'spareNumbers' | 'states'
  >;
  readonly engine: Pick<Engine, 'numbers' | 'marked' | 'url'>;
  readonly databases: Pick<Databases, 'numbers'>;
  readonly memory: MemoryStore;
  readonly log: Logger;
}

/**
 * Tells whether the manager's database is the one that this host has worked for (ADR 12). One that was restored from an older
 * copy does not know what was sold since, and would give out the same ids again; while it is distrusted nothing is claimed,
 * suspended or removed, and what runs keeps running.
 */
export class ManagerCheck {
  readonly #options: ManagerCheckOptions;
  #memory: ManagerMemory | null = null;
  #facts: ManagerFacts | null = null;
  #last: Promise<unknown> = Promise.resolve();
  /** A check that has not begun yet: callers until then share its result. */
  #pendingCheck: Promise<boolean> | undefined;

  constructor(options: ManagerCheckOptions) {
    this.#options = options;
  }

  /** Why the manager is distrusted, by the last check; null when it is trusted. */
  get distrust(): Distrust | null {
    return this.#memory?.distrust ?? null;
  }

  /** What the manager said of itself last; null before. */
  get facts(): ManagerFacts | null {
    return this.#facts;
  }

  /** The highest instance id that this host has seen. */
  get highestInstance(): number {
    return this.#memory?.highestInstance ?? 0;
  }

  /** Checks the manager without the host, which costs one call. @returns whether it may be trusted */
  isTrusted(): Promise<boolean> {
    this.#pendingCheck ??= this.#serialise(() => {
      this.#pendingCheck = undefined;
      return this.#check(0);
    });
    return this.#pendingCheck;
  }

  /**
   * Records the ids of instances that were just claimed: a database that does not know them later is an older copy. Those of spares were known
   * before their sale and would show nothing, so a checkpoint is set after it.
   * @param above the highest id that this host had seen before
   */
  recordClaimed(ids: readonly number[], above: number): void {
    const recording = this.#serialise(async () => {
      const memory = this.#memory;
      if (memory === null) return;
      const wasSpare = memory.distrust === null && ids.some((id) => id <= above);
      const checkpoint = wasSpare ? await this.#options.manager.checkpoint() : memory.checkpoint;
      const highestInstance = Math.max(memory.highestInstance, ...ids);
      if (!wasSpare && highestInstance === memory.highestInstance) return;
      this.#memory = { ...memory, checkpoint, highestInstance };
      await this.#options.memory.write(this.#memory);
    });
    // The sale does not wait for it: the next sweep finds the same ids on the host.
    recording.catch((err) => this.#options.log.warn({ err }, 'claimed instance ids not recorded'));
  }

  /** Checks the manager against the host too, and sets the next checkpoint. @returns whether the manager may be trusted */
  sweep(): Promise<boolean> {
    return this.#serialise(async () => {
      const { databases, engine, manager, memory } = this.#options;
      // The host first: what is sold between the two calls must not look like an instance that Odoo has lost.
      const numbers = await instanceIdsOnHost({ databases, engine });
      const isTrusted = await this.#check(Math.max(0, ...numbers));
      if (isTrusted && this.#memory) {
        this.#memory = { ...this.#memory, checkpoint: await manager.checkpoint() };
        await memory.write(this.#memory);
      }
      return isTrusted;
    });
  }

  async #check(highestOnHost: number): Promise<boolean> {
    const { install, log, manager, memory } = this.#options;
    const before = await memory.read();
    const reported = await manager.handshake(install);
    this.#facts = reported;
    const distrust = checkManagerHistory(before, reported, highestOnHost);
    const highestInstance = Math.max(
      reported.highestInstance,
      highestOnHost,
      before?.highestInstance ?? 0,
    );
    const { databaseUuid, checkpoint } = before ?? reported;
    const wasDistrusted = this.#memory?.distrust ?? null;
    const next = { databaseUuid, checkpoint, highestInstance, distrust };
    // On disk first: the alert moves Odoo's sequence on, after which the ids no longer show anything.
    if (JSON.stringify(next) !== JSON.stringify(before)) await memory.write(next);
    if (distrust && distrust !== wasDistrusted) await this.#alert(distrust, highestInstance);
    if (!distrust && wasDistrusted) log.info('confirmed by microsaas reconcile-host: resuming');
    this.#memory = next;
    return distrust === null;
  }

  async #alert(kind: Distrust, above: number): Promise<void> {
    const { engine, log, manager } = this.#options;
    const found = await lostInstances(this.#options);
    log.error({ kind, found: found.map(({ id }) => id) }, DISTRUST_MESSAGES[kind]);
    await manager.distrust(
      kind,
      above,
      found.map((it) => foundInstance(it, engine)),
    );
  }

  #serialise<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {}); // the caller gets the error, the next one must not
    return turn;
  }
}

/** An instance that is on the host and that the manager does not know; `marked` is null where it has no identity mark. */
export interface LostInstance {
  readonly id: number;
  readonly marked: MarkedInstance | null;
}

/** The instances that are on the host, as containers, directories or databases, and that the manager does not know. */
async function lostInstances(
  context: Pick<ManagerCheckOptions, 'databases' | 'engine' | 'manager'>,
): Promise<LostInstance[]> {
  const { databases, engine, manager } = context;
  const numbers = await instanceIdsOnHost({ databases, engine });
  const [known, spares] = await Promise.all([manager.states(), manager.spareNumbers()]);
  const unknown = numbers.filter((id) => !known.has(id));
  const found = await Promise.all(
    unknown.map(async (id) => ({ id, marked: await engine.marked(id) })),
  );
  // What Odoo calls a spare and its mark does not was sold since.
  return found.filter(({ id, marked }) => !spares.has(id) || marked?.isSpare === false);
}

/** The largest id Odoo can give out (int4). Larger numbers on the host are not instances. */
const MAX_ID = 2 ** 31 - 1;

/** The ids of all instances of which anything is on the host, ascending. */
export async function instanceIdsOnHost(
  context: Pick<ManagerCheckOptions, 'databases' | 'engine'>,
): Promise<number[]> {
  const numbers = await Promise.all([context.engine.numbers(), context.databases.numbers()]);
  const ids = numbers.flat().filter((id) => Number.isInteger(id) && id > 0 && id <= MAX_ID);
  return [...new Set(ids)].sort((one, other) => one - other);
}

function foundInstance({ id, marked }: LostInstance, engine: Pick<Engine, 'url'>): FoundInstance {
  const url = marked?.ports ? engine.url({ ...marked, domains: [] }) : '';
  return { id, name: marked?.name ?? '', url };
}

/** A line for the operator at a terminal: id, name and address. */
export function describeLost(lost: LostInstance, engine: Pick<Engine, 'url'>): string {
  const { id, name, url } = foundInstance(lost, engine);
  if (lost.marked === null) return `${id}: no identity mark, so its name is unknown`;
  return `${id}: ${[name, url].filter(Boolean).join(', ')}`;
}
