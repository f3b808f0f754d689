import { expect } from 'chai';
import { UseWatch } from '../../../src/controller/use-watch.ts';
import type { HostUse, InstanceUse } from '../../../src/instance/use.ts';
import type { Listed, Measured } from '../../../src/interfaces.ts';
import { aHost, aMeasure, identityOf } from '../../support/samples.ts';

const START = Date.parse('2026-11-22T12:00:00Z');
const MINUTE = 60_000;
const LISTED: Listed = {
  ...{ running: true, up: true, httpPort: 20_000, hasOwnDatabase: false },
  containers: ['odoo'],
};

describe('The use of instances', () => {
  let now: number;
  let measured: number[];
  let found: Measured | null;
  let reports: Array<readonly [readonly InstanceUse[], HostUse]>;
  let isAway: boolean;
  let watch: UseWatch;
  const make = (seesRequests = true) =>
    new UseWatch({
      now: () => new Date(now),
      measure: async (id) => {
        measured.push(id);
        return found;
      },
      host: async () => aHost(),
      manager: {
        reportUse: async (uses, host) => {
          if (isAway) throw new Error('away');
          reports.push([uses, host]);
        },
      },
      seesRequests,
    });
  beforeEach(() => {
    [now, measured, found, reports, isAway] = [START, [], aMeasure(), [], false];
    watch = make();
  });
  const follow = (...ids: number[]) =>
    watch.watch(new Map(ids.map((id) => [id, { listed: LISTED }])));
  const pass = async (ms: number, step = 1_000) => {
    for (const end = now + ms; now < end; now += step) await watch.tick();
  };
  const reported = async () => {
    await watch.report();
    return reports.at(-1)?.[0] ?? [];
  };

  it('is measured of each running instance every fifteen minutes, of one in each second', async () => {
    follow(1, 2, 3);
    await pass(2_000);
    expect(measured).to.deep.equal([1, 2]);
    await pass(15 * MINUTE - 2_000);
    expect(measured).to.deep.equal([1, 2, 3]);
    await pass(3_000);
    expect(measured).to.deep.equal([1, 2, 3, 1, 2, 3]);
  });

  it('is measured in turns where there are more instances than seconds: none twice before all were once', async () => {
    const ids = Array.from({ length: 1_000 }, (_, index) => index + 1);
    follow(...ids);
    await pass(2_000 * 1_000);
    expect(measured).to.deep.equal([...ids, ...ids]);
  });

  it('is what files and database take together, in megabytes', async () => {
    follow(1);
    await pass(1_000);
    const [use] = await reported();
    expect(use).to.deep.equal({
      ...{ id: 1, identity: identityOf(1), at: new Date(START), diskMb: 50, databaseMb: 20 },
      ...{ users: 3, memoryMb: 200, cpus: null, requests: 0 },
    });
  });

  it('counts a database once that is among the files', async () => {
    found = aMeasure({ isDatabaseAFile: true });
    follow(1);
    await pass(1_000);
    expect((await reported())[0]).to.include({ diskMb: 30, databaseMb: 20 });
  });

  for (const missing of ['fileBytes', 'databaseBytes'] as const)
    it(`has no sum where a part of it is not known: ${missing}`, async () => {
      found = aMeasure({ [missing]: null });
      follow(1);
      await pass(1_000);
      expect((await reported())[0]).to.include({ diskMb: null });
    });

  describe('of processors', () => {
    const then = async (cpuSeconds: number | null) => {
      found = aMeasure({ cpuSeconds: 100 });
      follow(1);
      await pass(15 * MINUTE);
      found = aMeasure({ cpuSeconds });
      await pass(1_000);
      return (await reported()).map(({ cpus }) => cpus);
    };

    it('is the average since the last time', async () =>
      expect(await then(100 + 450)).to.deep.equal([null, 0.5]));

    it('counts from nothing where it was started again meanwhile', async () =>
      expect(await then(90)).to.deep.equal([null, 0.1]));

    it('is not known where the kernel does not tell', async () =>
      expect(await then(null)).to.deep.equal([null, null]));
  });

  it('has the requests since the last time, without those that the door’s log tells of again', async () => {
    follow(1, 2);
    for (const at of [START - 1, START, START + 1]) watch.requested(1, at);
    await pass(15 * MINUTE);
    watch.requested(1, now);
    await pass(1_000);
    const uses = await reported();
    expect(uses.map(({ id, requests }) => [id, requests])).to.deep.equal([
      [1, 2],
      [2, 0],
      [1, 1],
    ]);
  });

  it('has no requests of the time in which it was not watched', async () => {
    watch.requested(1, START);
    follow(1);
    await pass(1_000);
    expect((await reported())[0]).to.include({ requests: 0 });
  });

  it('is told of a hundred in one report, for that is one transaction in Odoo', async () => {
    follow(...Array.from({ length: 250 }, (_, index) => index + 1));
    await pass(250_000);
    await watch.report();
    expect(reports.map(([uses]) => uses.length)).to.deep.equal([100, 100, 50]);
  });

  it('has no requests without a door: nobody sees them', async () => {
    watch = make(false);
    follow(1);
    await pass(1_000);
    expect((await reported())[0]).to.include({ requests: null });
  });

  it('is told once, with how the machine does; and what a manager did not take, the next time', async () => {
    follow(1);
    await pass(1_000);
    isAway = true;
    await watch.report().catch(() => {});
    isAway = false;
    expect(await reported()).to.have.length(1);
    expect(await reported()).to.have.length(0);
    expect(reports.at(-1)?.[1]).to.deep.equal(aHost());
  });

  it('is not told of what has no mark, or was not watched any more when it was measured', async () => {
    found = null;
    follow(1);
    await pass(1_000);
    expect(await reported()).to.have.length(0);
    found = aMeasure();
    follow(2);
    const tick = watch.tick();
    follow();
    await tick;
    expect(await reported()).to.have.length(0);
  });

  /** Lets five seconds pass in which the measures of some never end. @returns of whom one was begun */
  const begunWith = async (slow: ReadonlySet<number>) => {
    const begun: number[] = [];
    watch = new UseWatch({
      ...{ now: () => new Date(now), host: async () => aHost(), seesRequests: false },
      manager: { reportUse: async () => {} },
      measure: (id) => {
        begun.push(id);
        return slow.has(id) ? new Promise(() => {}) : Promise.resolve(aMeasure());
      },
    });
    follow(1, 2, 3, 4, 5);
    for (const end = now + 5_000; now < end; now += 1_000) {
      void watch.tick();
      await Promise.resolve();
      await Promise.resolve();
    }
    return begun;
  };

  it('of three tenants who make it last delays nobody else’s', async () => {
    expect(await begunWith(new Set([1, 2, 3]))).to.deep.equal([1, 2, 3, 4, 5]);
  });

  it('is under way of four at a time, at most', async () => {
    expect(await begunWith(new Set([1, 2, 3, 4]))).to.deep.equal([1, 2, 3, 4]);
  });
});
