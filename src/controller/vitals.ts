import type { Clock } from '../interfaces.ts';

/** What the controller does again and again. */
export const LOOPS = ['poll', 'sweep', 'liveness', 'sleep'] as const;
export type Loop = (typeof LOOPS)[number];

/** What the controller needs to be there and in order. */
export const PARTS = [
  'odoo',
  'docker',
  'postgres',
  'firewall',
  'door',
  'manager_database',
] as const;
export type Part = (typeof PARTS)[number];

export const QUEUES = ['instances', 'plans', 'backups', 'jobs'] as const;
export type QueueName = (typeof QUEUES)[number];

export interface QueueVitals {
  /** How many keys wait or are worked on. */
  readonly keys: number;
  /** The age of the oldest waiting key, in seconds. */
  readonly ageSeconds: number;
  /** How many keys have failed and are tried again. */
  readonly failing: number;
}

/** How the controller does, without asking anybody. Moments are seconds since the epoch. */
export interface Vitals {
  readonly queues: Readonly<Record<QueueName, QueueVitals>>;
  /** When each loop last ended without a failure. */
  readonly beats: ReadonlyMap<Loop, number>;
  readonly down: ReadonlySet<Part>;
  /** How many instances are in error, by reason, as of the last sweep. */
  readonly errors: ReadonlyMap<string, number>;
  /** How many instances do not answer that should. */
  readonly silent: number;
  /** How many instances have containers here and no record in Odoo, since the start. */
  readonly orphans: number;
  /** Mails to customers that did not leave, as Odoo counts them; null before the first answer. */
  readonly failedMails: number | null;
  /** When Odoo last ran its own scheduled work; 0: nobody knows. */
  readonly odooCronAt: number;
}

/** When each loop last ended well. */
export class Heartbeats {
  readonly #now: Clock;
  readonly #beats = new Map<Loop, number>();

  constructor(now: Clock) {
    this.#now = now;
  }

  get all(): ReadonlyMap<Loop, number> {
    return this.#beats;
  }

  beat(loop: Loop): void {
    this.#beats.set(loop, this.#now().getTime() / 1000);
  }
}

/** Counts what is alike. */
export function counted(words: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
