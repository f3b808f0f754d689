import { expect } from 'chai';
import { DomainWatch } from '../../../src/controller/domain-watch.ts';
import type { DomainFault } from '../../../src/instance/domain.ts';
import type { CustomerDomain } from '../../../src/instance/types.ts';
import { FakeCertificates } from '../../fakes/certificates.ts';
import { HeldTime } from '../../fakes/clock.ts';
import { FakeDoor } from '../../fakes/door.ts';
import { FakeManager } from '../../fakes/manager.ts';
import { Simulation } from '../../support/simulation.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NAME = 'www.acme.com';
const PROVEN = { proof: 'cname' } as const;
const ELSEWHERE = { reason: 'DomainElsewhere', detail: '192.0.2.7' } as const;

const aDomain = (over: Partial<CustomerDomain> = {}): CustomerDomain => ({
  id: 3,
  name: NAME,
  isVerified: false,
  hasCertificate: false,
  token: 'the-token',
  ...over,
});

describe("customers' own domains", () => {
  let time: HeldTime;
  let manager: FakeManager;
  let certificates: FakeCertificates;
  let faults: Map<string, DomainFault>;
  let watch: DomainWatch;
  let looks: number;
  let errors: number;
  /** For which domains the manager was asked. */
  let asked: Array<readonly number[]>;

  /** A sidecar begins: with the routes it gets the domains. */
  const begin = () => {
    const domains = async (ids: readonly number[]) => {
      looks += 1;
      asked.push(ids);
      return manager.domains(ids);
    };
    watch = new DomainWatch({
      manager: { domains, reportDomain: (id, report) => manager.reportDomain(id, report) },
      verify: async ({ name }) => faults.get(name) ?? PROVEN,
      certificates,
      now: time.now,
      onDue: () => void watch.look().catch(() => {}),
      onError: () => {
        errors += 1;
      },
    });
    watch.follow(row().domains);
  };
  beforeEach(async () => {
    time = new HeldTime();
    manager = new FakeManager({ now: time.now });
    manager.insert({});
    certificates = new FakeCertificates();
    certificates.ends.set(NAME, new Date('2027-02-01T00:00:00Z'));
    faults = new Map();
    [looks, errors, asked] = [0, 0, []];
    begin();
  });
  afterEach(() => {
    watch.stop();
    time.release();
  });

  const row = () => {
    const found = manager.rows.get(1);
    if (!found) throw new Error('no instance');
    return found;
  };
  /** A customer enters their domain, and the door gets it. */
  const enter = async (...domains: CustomerDomain[]) => {
    row().domains = domains;
    watch.follow(domains);
    await time.pass(1_000);
  };
  const pass = (ms: number) => time.pass(ms, 1_000 * 30);
  const said = () =>
    manager.domainReports.map(({ fault, id, state }) => [id, state, fault?.reason ?? '']);
  const verified = [3, 'verified', ''];

  it('are looked at as soon as they are entered', async () => {
    await enter(aDomain());
    expect(manager.domainReports).to.deep.equal([
      {
        id: 3,
        state: 'verified',
        fault: null,
        ...PROVEN,
        certificateUntil: new Date('2027-02-01'),
      },
    ]);
  });

  it('are asked for when they are due, and those that are not are not', async () => {
    await enter(aDomain());
    await pass(HOUR);
    certificates.ends.set('acme.org', new Date('2027-02-01T00:00:00Z'));
    await enter(aDomain(), aDomain({ id: 4, name: 'acme.org' }));
    expect(asked).to.deep.equal([[3], [4]]);
    await pass(DAY);
    expect(asked.slice(2)).to.deep.equal([[3], [4]]);
  });

  it('are looked at once a day when all is well', async () => {
    await pass(DAY);
    expect(looks, 'without any').to.equal(0);
    await enter(aDomain());
    await pass(DAY - HOUR);
    expect(looks, 'within a day').to.equal(1);
    await pass(2 * HOUR);
    expect(looks, 'after it').to.equal(2);
    expect(said()).to.deep.equal([verified, verified]);
  });

  it('stay pending while they lead elsewhere, and are looked at ever more rarely until they lead here', async () => {
    faults.set(NAME, ELSEWHERE);
    await enter(aDomain());
    await pass(DAY);
    expect(new Set(said().map(String))).to.deep.equal(new Set(['3,pending,DomainElsewhere']));
    expect(looks).to.be.within(25, 32);
    faults.clear();
    await pass(HOUR);
    expect(said().at(-1)).to.deep.equal(verified);
  });

  it('are looked at when their people ask for it, once a minute at most', async () => {
    faults.set(NAME, ELSEWHERE);
    await enter(aDomain());
    await pass(6 * HOUR + 10 * MINUTE);
    const before = looks;
    for (let press = 0; press < 20; press++) {
      watch.hurry(row().domains);
      await time.pass(1_000);
    }
    expect(looks - before).to.equal(1);
  });

  it('stay verified for three days after they stopped leading here, fail then, and are looked at on', async () => {
    await enter(aDomain());
    faults.set(NAME, ELSEWHERE);
    await pass(3 * DAY);
    expect(said().at(-1)).to.deep.equal([3, 'verified', 'DomainElsewhere']);
    expect(said().map(([, state]) => state)).not.to.include('failed');
    await pass(2 * DAY);
    expect(said().at(-1)).to.deep.equal([3, 'failed', 'DomainStoppedLeadingHere']);
    faults.clear();
    await pass(2 * HOUR);
    expect(said().at(-1)).to.deep.equal(verified);
  });

  it('fail after three days also when the sidecar is restarted meanwhile', async () => {
    await enter(aDomain());
    faults.set(NAME, ELSEWHERE);
    for (let day = 0; day < 5; day++) {
      await pass(DAY);
      watch.stop();
      begin();
      await pass(MINUTE);
    }
    expect(said().at(-1)).to.deep.equal([3, 'failed', 'DomainStoppedLeadingHere']);
  });

  it('are looked at again when their name or token is another, and no more when they are gone', async () => {
    faults.set(NAME, ELSEWHERE);
    await enter(aDomain());
    await enter(aDomain({ name: 'acme.org', token: 'another' }));
    expect(said().at(-1)).to.deep.equal(verified);
    await enter();
    const before = looks;
    await pass(2 * DAY);
    expect(looks).to.equal(before);
  });

  it('are asked for no more once Odoo has none of them, though the door still has', async () => {
    watch.follow([aDomain()]);
    await pass(2 * DAY);
    expect(looks).to.equal(1);
  });

  it('get their certificate a moment after they are verified, which Odoo learns soon', async () => {
    certificates.ends.clear();
    await enter(aDomain());
    expect(manager.domainReports.at(-1)?.certificateUntil).to.equal(null);
    certificates.ends.set(NAME, new Date('2027-02-01T00:00:00Z'));
    await pass(2 * MINUTE);
    expect(manager.domainReports.at(-1)?.certificateUntil).to.deep.equal(new Date('2027-02-01'));
  });

  it('are reported later when Odoo goes away while they are looked at', async () => {
    const { reportDomain } = manager;
    manager.reportDomain = async () => {
      throw new Error('connect ECONNREFUSED');
    };
    await enter(aDomain());
    expect([errors, said()]).to.deep.equal([1, []]);
    manager.reportDomain = reportDomain;
    await pass(2 * MINUTE);
    expect(said()).to.deep.equal([verified]);
  });

  it('do not wait for each other: a stranger’s slow name server delays theirs alone', async () => {
    const slow = Array.from({ length: 40 }, (_, at) =>
      aDomain({ id: 100 + at, name: `s${at}.com` }),
    );
    const never = new Promise<typeof PROVEN>(() => {});
    watch.stop();
    watch = new DomainWatch({
      manager,
      certificates,
      verify: ({ name }) => (name === NAME ? Promise.resolve(PROVEN) : never),
      now: time.now,
      onDue: () => void watch.look(),
      onError: () => {},
    });
    await enter(...slow);
    manager.insert({ domains: [aDomain()] });
    watch.follow([...slow, aDomain()]);
    await time.pass(3_000);
    expect(said()).to.deep.equal([verified]);
  });
});

describe("customers' own domains in the control loop", () => {
  let sim: Simulation;
  beforeEach(() => {
    sim = new Simulation();
    sim.door = new FakeDoor();
  });
  afterEach(() => sim.end());

  it('are served at the next poll after they were entered, and cost nothing in the hour after', async () => {
    sim.certificates.ends.set(NAME, new Date('2027-02-01T00:00:00Z'));
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    const row = sim.manager.rows.get(1);
    if (row) row.domains = [aDomain()];
    sim.people.nudge('instance:1');
    const served = () => sim.door?.routes?.[0]?.domains[0]?.isVerified === true;
    expect(await sim.time.until('the domain is served', served)).to.be.below(31_000);
    const { length } = sim.manager.domainReports;
    sim.life.calls.length = 0;
    await sim.time.pass(HOUR, 1_000);
    expect(sim.life.calls).not.to.include('manager.domains');
    expect(sim.manager.domainReports).to.have.length(length);
  });

  it('are not looked at while the database of the manager is in doubt', async () => {
    await sim.start();
    sim.people.pay();
    await sim.untilSettled();
    sim.manager.databaseUuid = 'another';
    await sim.time.pass(6 * MINUTE, 1_000);
    sim.life.calls.length = 0;
    sim.controller.lookAtDomains();
    await sim.time.pass(MINUTE, 1_000);
    expect(sim.life.calls).not.to.include('manager.domains');
  });
});
