import { pino } from 'pino';
import { EndBackups } from '../../src/backups/end-backups.ts';
import { Activity } from '../../src/controller/activity.ts';
import { ClockGuard } from '../../src/controller/clock-guard.ts';
import { Controller } from '../../src/controller/controller.ts';
import type { ControllerContext, Meter } from '../../src/controller/controller-context.ts';
import { DomainWatch } from '../../src/controller/domain-watch.ts';
import { DoorRoutes } from '../../src/controller/door-routes.ts';
import { Liveness } from '../../src/controller/liveness.ts';
import { ManagerCheck } from '../../src/controller/manager-check.ts';
import { Reporter } from '../../src/controller/reporter.ts';
import { makeSlots } from '../../src/controller/slots.ts';
import { SuspensionLimiter } from '../../src/controller/suspension-limiter.ts';
import { UseWatch } from '../../src/controller/use-watch.ts';
import { Wakes } from '../../src/controller/wakes.ts';
import type { DomainFault } from '../../src/instance/domain.ts';
import { Turns } from '../../src/instance/turns.ts';
import type { Clock } from '../../src/interfaces.ts';
import { FakeBackups } from '../fakes/backups.ts';
import { FakeCertificates } from '../fakes/certificates.ts';
import { HeldTime } from '../fakes/clock.ts';
import { FakeCopies } from '../fakes/copies.ts';
import { FakeDatabases } from '../fakes/databases.ts';
import { FakeDisk } from '../fakes/disk.ts';
import type { FakeDoor } from '../fakes/door.ts';
import { FakeEngine } from '../fakes/engine.ts';
import { FakeErasures } from '../fakes/erasures.ts';
import { FakeExports } from '../fakes/exports.ts';
import { FakeFirewall } from '../fakes/firewall.ts';
import { Life } from '../fakes/life.ts';
import { FakeManager } from '../fakes/manager.ts';
import type { FakeManagerBackups } from '../fakes/manager-backups.ts';
import { FakeMemory } from '../fakes/memory.ts';
import { FakePeople } from '../fakes/people.ts';
import { FakeRestores } from '../fakes/restores.ts';
import { FakeRestoring } from '../fakes/restoring.ts';
import { FakeUpdates } from '../fakes/updates.ts';
import { differences } from './audit.ts';
import { aHost, aMeasure } from './samples.ts';

const LIMITS = { unitsPerLine: 20, claimsPerPlan: 20 };
const POLL_SECONDS = 30;

/** A manager, a host and a sidecar that can be killed and started again, in simulated time. Call end() when done. */
export class Simulation {
  readonly time = new HeldTime();
  readonly manager = new FakeManager({ now: this.time.now });
  readonly people = new FakePeople(this.manager);
  readonly engine = new FakeEngine();
  readonly databases = new FakeDatabases((id) => this.engine.isDatabaseUp(id));
  readonly memory = new FakeMemory();
  hasMemory = true;
  /** How much there is beside what a start needs. */
  besidesMb = 10_000;
  /** Set before the start for a sidecar that keeps spares. */
  spareMemoryMb = 0;
  readonly rooms = makeSlots(2);
  readonly disk = new FakeDisk();
  readonly firewall = new FakeFirewall();
  /** Set before the start for a sidecar with a door. */
  door: FakeDoor | null = null;
  readonly certificates = new FakeCertificates();
  /** Why a customer's domain does not lead here, by name; all others do. */
  readonly domainFaults = new Map<string, DomainFault>();
  readonly backups = new FakeBackups(this.time.now, (id) => this.databases.present.has(id));
  readonly restores = new FakeRestores(this.time.now);
  readonly copies = new FakeCopies(this.databases);
  readonly exports = new FakeExports();
  readonly erasures = new FakeErasures(this.backups);
  /** Set before the start for a sidecar that backs the manager up too. */
  managerBackups: FakeManagerBackups | null = null;
  readonly restoring = new FakeRestoring();
  readonly updates = new FakeUpdates(this.restores, () => this.engine.newestImage);
  /** Set to false before the start for a sidecar whose nights are switched off. */
  isNightly = true;
  /** When backups begin, on this host's clock. */
  backupTime = '02:00';
  /** The sidecar's log at `info` and above. */
  readonly logged: Array<Record<string, unknown>> = [];
  life = new Life();
  /** Null: nobody counts. */
  meter: Meter | null = null;
  #controller: Controller | null = null;

  get controller(): Controller {
    if (this.#controller === null) throw new Error('no sidecar runs');
    return this.#controller;
  }

  /** How many changing calls were made to anything but the manager. */
  get changes(): number {
    return this.engine.changes + this.databases.changes;
  }

  /** The context of one run of the controller. */
  context(life: Life = this.life): ControllerContext {
    const manager = life.around('manager', this.manager);
    const engine = life.around('engine', this.engine);
    const databases = life.around('databases', this.databases);
    const store = life.around('backups', this.backups);
    const log = pino(
      { level: 'info' },
      { write: (line) => void this.logged.push(JSON.parse(line)) },
    );
    return {
      manager,
      managerCheck: new ManagerCheck({
        ...{ install: 'k3x9ab', manager, engine, databases, log },
        memory: life.around('memory', this.memory),
      }),
      engine,
      databases,
      archives: life.around('archives', endBackups(store, this.time.now)),
      backups: {
        isNightly: this.isNightly,
        store,
        ofManager: this.managerBackups && {
          store: life.around('managerBackups', this.managerBackups),
          since: this.time.now().getTime() / 1000,
          withLock: (work) => work(),
        },
        restores: life.around('restores', this.restores),
        copies: life.around('copies', this.copies),
        exports: life.around('exports', this.exports),
        erasures: life.around('erasures', this.erasures),
        restoring: life.around('restoring', this.restoring),
        updates: life.around('updates', this.updates),
        ...{ time: this.backupTime, turns: new Turns(), lent: new Set<number>() },
        oneByOne: new Turns(),
        onJob: (id) => this.#controller?.doJob(id),
      },
      suspensionLimiter: new SuspensionLimiter(manager),
      clockGuard: new ClockGuard(
        this.time.now,
        () => this.time.now().getTime(),
        () => {},
      ),
      activity: this.door && new Activity(this.time.now),
      wakes: new Wakes(this.time.now),
      reporter: new Reporter(manager, () => {}),
      limits: LIMITS,
      slots: this.rooms,
      background: { during: (work) => work() },
      liveness: new Liveness({
        probe: (id) => this.engine.probe(id),
        now: this.time.now,
        onChange: (id) => this.#controller?.addNow([`instance:${id}`]),
      }),
      useWatch: new UseWatch({
        ...{ manager, now: this.time.now, seesRequests: this.door !== null },
        measure: async () => aMeasure(),
        host: async () => aHost(),
      }),
      withPortLock: (work) => work(),
      hasMemory: (besidesMb = 0) => this.hasMemory && besidesMb <= this.besidesMb,
      spareMemoryMb: this.spareMemoryMb,
      onMemoryShort: () => this.#controller?.giveUpSpares(),
      disk: this.disk,
      firewall: this.firewall,
      door: this.door && {
        proxy: life.around('door', this.door),
        routes: new DoorRoutes('example.com', () => this.#controller?.updateDoor()),
        certificates: this.certificates,
        domains: new DomainWatch({
          ...{ manager, certificates: this.certificates, now: this.time.now },
          verify: async ({ name }) => this.domainFaults.get(name) ?? { proof: 'cname' },
          onDue: () => this.#controller?.lookAtDomains(),
          onError: (err) => log.warn({ err }, 'domain not reported'),
        }),
      },
      ...(this.meter ? { meter: this.meter } : {}),
      now: this.time.now,
      log,
    };
  }

  /** Starts a sidecar. @param life makes it killable */
  async start(life: Life = new Life()): Promise<void> {
    this.life = life;
    this.#controller = new Controller({ context: this.context(life), pollSeconds: POLL_SECONDS });
    this.people.nudge = (key) => {
      if (!life.isOver) this.#controller?.addNow([key]);
    };
    await this.#controller.start();
  }

  /** Stops the sidecar: gracefully, or, when its life is over, as after SIGKILL. */
  async stop(): Promise<void> {
    this.people.nudge = () => {};
    const stopped = this.#controller?.stop();
    this.#controller = null;
    await this.time.pass(100);
    await stopped;
  }

  async restart(life?: Life): Promise<void> {
    await this.stop();
    await this.start(life);
  }

  /** Lets time pass until the actual state is the desired one and Odoo shows it. */
  async untilSettled(limit?: number): Promise<number> {
    try {
      return await this.time.until(
        'everything agrees',
        () => differences(this).length === 0,
        limit,
      );
    } catch (cause) {
      throw new Error(`never settled: ${differences(this).join('; ')}`, { cause });
    }
  }

  async end(): Promise<void> {
    await this.stop();
    this.time.release();
  }
}

/** The last backups of instances, as the real ones are made, in backups in memory. No earlier version has written any. */
export function endBackups(store: FakeBackups, now: Clock): EndBackups {
  const archives = { has: async () => false };
  return new EndBackups({ store, now, archives, disconnect: async () => {} });
}

/** A stand-in for WorkSignals.aside where there is no queue. */
export const atOnce = <T>(wait: () => Promise<T>): Promise<T> => wait();
