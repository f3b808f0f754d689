import { expect } from 'chai';
import { Visits } from '../../../src/controller/visits.ts';
import type { Health, Listed } from '../../../src/interfaces.ts';
import { HeldTime } from '../../fakes/clock.ts';

const LISTED: Listed = {
  ...{ running: true, up: true, httpPort: 20_000, hasOwnDatabase: false },
  containers: [],
};

describe('a visitor of an instance that has just not answered', () => {
  let time: HeldTime;
  let health: Health;
  let probes: number;
  let listed: Listed | undefined;
  let visits: Visits;

  beforeEach(() => {
    time = new HeldTime();
    health = 'silent';
    probes = 0;
    listed = LISTED;
    visits = new Visits({
      probe: async () => {
        probes += 1;
        return health;
      },
      listed: () => listed,
    });
  });
  afterEach(() => time.release());

  it('is let through as soon as it answers again', async () => {
    const visit = visits.takes(7);
    await time.pass(1_000);
    health = 'well';
    await time.pass(1_000);
    expect(await visit).to.equal(true);
  });

  it('gets a page after some seconds', async () => {
    const visit = visits.takes(7);
    await time.pass(10_000);
    expect(await visit).to.equal(false);
  });

  it('gets a page at once when it should not run at all', async () => {
    listed = undefined;
    expect(await visits.takes(7)).to.equal(false);
    expect(probes).to.equal(0);
  });

  it('costs no more than one: a thousand wait together', async () => {
    const all = Promise.all(Array.from({ length: 1_000 }, () => visits.takes(7)));
    await time.pass(1_000);
    expect(probes).to.be.below(10);
    health = 'well';
    await time.pass(1_000);
    expect(new Set(await all)).to.deep.equal(new Set([true]));
  });
});
