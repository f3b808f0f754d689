import type { ClaimLimits } from '../billing/claim-policy.ts';
import type { Drift } from '../instance/drift.ts';
import type { Turns } from '../instance/turns.ts';
import type {
  Archives,
  Background,
  Backups,
  Certificates,
  Clock,
  Copies,
  Databases,
  Disk,
  Door,
  Engine,
  Erasures,
  Exports,
  Firewall,
  Manager,
  Restores,
  RestoringMarks,
  Updates,
} from '../interfaces.ts';
import type { Logger } from '../log.ts';
import type { Activity } from './activity.ts';
import type { ManagerBackupContext } from './back-up-manager.ts';
import type { ClockGuard } from './clock-guard.ts';
import type { DomainWatch } from './domain-watch.ts';
import type { DoorRoutes } from './door-routes.ts';
import type { Liveness } from './liveness.ts';
import type { ManagerCheck } from './manager-check.ts';
import type { Reporter } from './reporter.ts';
import type { Slots } from './slots.ts';
import type { SuspensionLimiter } from './suspension-limiter.ts';
import type { UseWatch } from './use-watch.ts';
import type { Wakes } from './wakes.ts';

/** The reverse proxy, what it was given last, and the customers' own domains. */
export interface DoorContext {
  readonly proxy: Door;
  readonly routes: DoorRoutes;
  readonly domains: DomainWatch;
  /** Null: no name needs one. */
  readonly certificates: Certificates | null;
}

/** Backups, and when they are made. */
export interface BackupContext {
  /** False: switched off by the configuration. What people ask for is made all the same, and the last one before data are removed. */
  readonly isNightly: boolean;
  readonly store: Backups;
  readonly restores: Restores;
  readonly copies: Copies;
  readonly exports: Exports;
  readonly erasures: Erasures;
  /** Of the manager itself. Null: switched off by the configuration. */
  readonly ofManager: Pick<ManagerBackupContext, 'since' | 'store' | 'withLock'> | null;
  readonly restoring: RestoringMarks;
  readonly updates: Updates;
  /** At what time of this host's day they begin, `HH:MM`. */
  readonly time: string;
  /** One instance's backups, jobs and its last backup, in turns. */
  readonly oneByOne: Turns<number>;
  /** Work with an instance's data that must not meet a backup of them, in turns. */
  readonly turns: Turns<number>;
  /** The instances whose own Postgres runs for a backup alone: it is not stopped before that has ended. */
  readonly lent: Set<number>;
  /** To be called for an instance on whose backups a person waits. */
  readonly onJob: (id: number) => void;
}

/** Told of what happens, for whoever counts it. */
export interface Meter {
  /** An instance has answered for the first time, so many seconds after it was paid or asked for. */
  usable(seconds: number): void;
  /** A step has mended what nobody had asked for. */
  mended(drift: Drift): void;
}

/** Everything the controller works with: services through their interfaces, its own parts, clock and log. */
export interface ControllerContext {
  readonly manager: Manager;
  readonly engine: Engine;
  readonly background: Background;
  readonly databases: Databases;
  readonly archives: Archives;
  /** Null: only in tests. */
  readonly backups: BackupContext | null;
  readonly reporter: Reporter;
  readonly limits: ClaimLimits;
  readonly slots: Slots;
  /** Serialises the choice of ports: concurrent choices would all get the same lowest pair. */
  readonly withPortLock: <T>(work: () => Promise<T>) => Promise<T>;
  /** Whether there is memory for one more instance to start, and so many MB besides. */
  readonly hasMemory: (besidesMb?: number) => boolean;
  /** How much memory the spares may take, in MB; 0: none are kept. */
  readonly spareMemoryMb: number;
  /** To be called when a start waits for memory: spares have some. */
  readonly onMemoryShort: () => void;
  /** Whether the manager's database may be trusted (ADR 12). */
  readonly managerCheck: ManagerCheck;
  readonly disk: Disk;
  /** Null: switched off by the configuration. */
  readonly firewall: Firewall | null;
  /** Null: no domain is configured. */
  readonly door: DoorContext | null;
  /** Null: without a door nobody sees visitors, so nothing sleeps. */
  readonly activity: Activity | null;
  readonly wakes: Wakes;
  readonly suspensionLimiter: SuspensionLimiter;
  readonly liveness: Liveness;
  readonly useWatch: UseWatch;
  readonly clockGuard: ClockGuard;
  /** Absent: nobody counts. */
  readonly meter?: Meter;
  readonly now: Clock;
  readonly log: Logger;
}
