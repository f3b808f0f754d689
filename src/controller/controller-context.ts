import type { ClaimLimits } from '../billing/claim-policy.ts';
import type { Archives, Clock, Databases, Disk, Engine, Firewall, Manager } from '../interfaces.ts';
import type { Logger } from '../log.ts';
import type { ClockGuard } from './clock-guard.ts';
import type { Liveness } from './liveness.ts';
import type { ManagerCheck } from './manager-check.ts';
import type { Reporter } from './reporter.ts';
import type { Slots } from './start-slots.ts';
import type { SuspensionLimiter } from './suspension-limiter.ts';

/** All that the controller may see and touch. */
export interface ControllerContext {
  readonly manager: Manager;
  readonly engine: Engine;
  readonly databases: Databases;
  readonly archives: Archives;
  readonly reporter: Reporter;
  readonly limits: ClaimLimits;
  readonly slots: Slots;
  /** Runs work that chooses among what all may have, one after the other. */
  readonly withPortLock: <T>(work: () => Promise<T>) => Promise<T>;
  /** Whether there is memory for one more instance to start. */
  readonly hasMemory: () => boolean;
  /** Whether the manager's database may be believed. */
  readonly managerCheck: ManagerCheck;
  readonly disk: Disk;
  /** Null: somebody else does that. */
  readonly firewall: Firewall | null;
  readonly suspensionLimiter: SuspensionLimiter;
  readonly liveness: Liveness;
  readonly clockGuard: ClockGuard;
  readonly now: Clock;
  readonly log: Logger;
}
