import { audit } from './audit.ts';
import { World } from './world.ts';

const MINUTE = 60_000;

let world: World | undefined;

// At the root: once for all files of a run, whichever of them it has.
before('the real parts start', async function () {
  this.timeout(15 * MINUTE);
  world = await World.start();
});

after('nothing that is not ours was touched', async function () {
  this.timeout(2 * MINUTE);
  try {
    await world?.decoys.expectUntouched();
  } finally {
    await world?.end();
  }
});

/** The world of this run. @throws Error before the run has begun */
export function theWorld(): World {
  if (!world) throw new Error('The real parts have not been started.');
  return world;
}

/** The scenarios of one file; its instances are removed at the end, through their button. */
export function chapter(title: string, body: () => void): void {
  describe(title, function () {
    this.timeout(5 * MINUTE);
    body();
    after('its instances are removed', async () => {
      const { instances } = theWorld();
      const left = await instances.find([['active', '=', true]]);
      await instances.remove(left.map((row) => row.id));
      await audit(theWorld());
    });
  });
}

/** One test on the real parts; afterwards every invariant is checked (I1-I8). @param minutes that it may take */
export function scenario(title: string, body: (world: World) => Promise<void>, minutes = 5): void {
  it(title, async () => {
    await body(theWorld());
    await audit(theWorld());
  }).timeout(minutes * MINUTE);
}
