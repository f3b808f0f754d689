import { pino } from 'pino';
import { ClockGuard } from '../src/controller/clock-guard.ts';
import { Controller } from '../src/controller/controller.ts';
import type { ControllerContext } from '../src/controller/controller-context.ts';
import { Liveness } from '../src/controller/liveness.ts';
import { ManagerCheck } from '../src/controller/manager-check.ts';
import { Reporter } from '../src/controller/reporter.ts';
import { makeSlots } from '../src/controller/slots.ts';
import { SuspensionLimiter } from '../src/controller/suspension-limiter.ts';
import { UseWatch } from '../src/controller/use-watch.ts';
import { Wakes } from '../src/controller/wakes.ts';
import { FakeBackups } from '../test/fakes/backups.ts';
import { FakeDatabases } from '../test/fakes/databases.ts';
import { FakeDisk } from '../test/fakes/disk.ts';
import { FakeEngine, filesFor, limitsOf } from '../test/fakes/engine.ts';
import { Life } from '../test/fakes/life.ts';
import { FakeManager } from '../test/fakes/manager.ts';
import { FakeMemory } from '../test/fakes/memory.ts';
import { FakePeople } from '../test/fakes/people.ts';
import { aHost, aMeasure } from '../test/support/samples.ts';
import { endBackups } from '../test/support/simulation.ts';

/** The real controller with a fleet of fakes in memory. */
export interface Fleet {
  readonly manager: FakeManager;
  readonly engine: FakeEngine;
  readonly databases: FakeDatabases;
  readonly people: FakePeople;
  readonly controller: Controller;
  /** The names of all calls to the fakes so far, `adapter.method`. */
  readonly calls: readonly string[];
  /** How many instances run by Odoo's records. */
  readonly running: () => number;
}

/** @param parallel how many clones and starts run at a time; the fakes take no time for them */
export function makeFleet(parallel = 2): Fleet {
  const fake = new FakeManager({ now: () => new Date() });
  const engine = new FakeEngine();
  const life = new Life();
  const databases = new FakeDatabases((id) => engine.isDatabaseUp(id));
  const manager = life.around('manager', fake);
  const log = pino({ level: 'silent' });
  const adapters = {
    manager,
    engine: life.around('engine', engine),
    databases: life.around('databases', databases),
  };
  const context: ControllerContext = {
    ...adapters,
    managerCheck: new ManagerCheck({
      ...adapters,
      install: 'k3x9ab',
      memory: new FakeMemory(),
      log,
    }),
    backups: null,
    archives: endBackups(new FakeBackups(() => new Date()), () => new Date()),
    suspensionLimiter: new SuspensionLimiter(manager),
    clockGuard: new ClockGuard(
      () => new Date(),
      () => performance.now(),
      () => {},
    ),
    activity: null,
    wakes: new Wakes(() => new Date()),
    reporter: new Reporter(manager, () => {}),
    limits: { unitsPerLine: 20, claimsPerPlan: 20 },
    liveness: new Liveness({
      probe: (id) => engine.probe(id),
      now: () => new Date(),
      onChange: (id) => controller.addNow([`instance:${id}`]),
    }),
    useWatch: new UseWatch({
      ...{ manager, now: () => new Date(), seesRequests: false },
      measure: async () => aMeasure(),
      host: async () => aHost(),
    }),
    slots: makeSlots(parallel),
    background: { during: (work) => work() },
    withPortLock: limited(1),
    hasMemory: () => true,
    spareMemoryMb: 0,
    onMemoryShort: () => {},
    disk: new FakeDisk(),
    firewall: null,
    door: null,
    now: () => new Date(),
    log,
  };
  const people = new FakePeople(fake);
  const controller = new Controller({ context, pollSeconds: 30 });
  people.nudge = (key) => controller.addNow([key]);
  const running = () => [...fake.rows.values()].filter(({ state }) => state === 'running').length;
  return { manager: fake, engine, databases, people, controller, calls: life.calls, running };
}

/** Limits concurrency, first come first served. */
function limited(parallel: number): ControllerContext['withPortLock'] {
  let free = parallel;
  const waiting: Array<() => void> = [];
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}

/** Sells so many instances, each by an invoice of its own. */
export function sellMany({ people }: Fleet, count: number): void {
  for (let invoice = 1; invoice <= count; invoice++) people.pay();
}

/** Adds so many running instances whose desired, actual and reported state agree. */
export function putAtRest({ manager, engine, databases }: Fleet, count: number): void {
  for (let i = 0; i < count; i++) {
    const ports = { http: 20_000 + i, longpolling: 40_000 + i };
    const id = manager.insert({ state: 'running', desiredState: 'running', wasReady: true, ports });
    manager.review(id, null);
    const row = manager.rows.get(id);
    if (!row) throw new Error(`no instance ${id}`);
    databases.present.add(id);
    databases.marks.set(id, row.identity);
    engine.projects.set(id, {
      mark: { ...row, repositories: [] },
      containersMark: row.identity,
      files: filesFor(row),
      isDatabaseUp: false,
      containers: 'running',
      madeFrom: filesFor(row),
      ports,
      isAnswering: true,
      limits: limitsOf(row),
      appsList: '',
    });
  }
}
