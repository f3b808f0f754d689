import type { TakeOptions } from '../../src/backups/backup-store.ts';
import { TerminalError } from '../../src/errors.ts';
import { keptBackups } from '../../src/instance/backup-retention.ts';
import type { DesiredInstance } from '../../src/instance/types.ts';
import type { Backup, Backups, Clock } from '../../src/interfaces.ts';

/** Backups in memory: one is proven unless somebody has damaged it, and none is taken while the repository refuses. */
export class FakeBackups implements Backups {
  readonly taken = new Map<number, Backup[]>();
  /** Snapshots that somebody has damaged. */
  readonly damaged = new Set<string>();
  /** Why none can be taken; null: they can. */
  refusal: Error | null = null;
  /** Runs while one is being taken. */
  whileTaken: () => Promise<void> = async () => {};
  readonly #now: Clock;
  readonly #hasData: (id: number) => boolean;
  #made = 0;

  /** @param hasData whether there is anything to take: what is gone must not be asked for */
  constructor(now: Clock, hasData: (id: number) => boolean = () => true) {
    this.#now = now;
    this.#hasData = hasData;
  }

  async take({ id }: DesiredInstance, options: TakeOptions): Promise<void> {
    if (!this.#hasData(id)) throw new Error(`instance ${id} has no data to back up`);
    if (this.refusal) throw this.refusal;
    await this.whileTaken();
    const mine = this.#of(id);
    const hex = (number: number) => number.toString(16).padStart(32, '0');
    const snapshot = `${hex(id)}${hex(this.#made)}`;
    this.#made += 1;
    const unproven = { proof: 'none', proofDate: null, reason: '', detail: '' } as const;
    mine.push({ snapshot, date: this.#now(), bytes: 1_000_000, ...options, ...unproven });
  }

  async list({ id }: DesiredInstance): Promise<Backup[]> {
    return [...this.#of(id)];
  }

  async prove(
    { id }: DesiredInstance,
    snapshot: string,
    { boots }: { readonly boots: boolean },
  ): Promise<void> {
    const isDamaged = this.damaged.has(snapshot);
    const result = isDamaged
      ? ({ proof: 'failed', reason: 'BackupDamaged' } as const)
      : ({ proof: boots ? 'boot' : 'data', reason: '' } as const);
    const proven = this.#of(id).map((one) =>
      one.snapshot === snapshot ? { ...one, ...result, proofDate: this.#now() } : one,
    );
    this.taken.set(id, proven);
    if (isDamaged) throw new TerminalError('BackupDamaged', 'ciphertext verification failed');
  }

  async forgetOld({ id }: DesiredInstance): Promise<Backup[]> {
    const kept = keptBackups(this.#of(id), this.#now());
    const left = this.#of(id).filter(({ snapshot }) => kept.has(snapshot));
    this.taken.set(id, left);
    return [...left];
  }

  #of(id: number): Backup[] {
    const mine = this.taken.get(id) ?? [];
    this.taken.set(id, mine);
    return mine;
  }
}
