import { audit } from './audit.ts';
import { TestEnvironment } from './environment.ts';

const MINUTE = 60_000;

let env: TestEnvironment | undefined;

// At the root: once for all files of a run, whichever of them it has.
before('the real parts start', async function () {
  this.timeout(15 * MINUTE);
  env = await TestEnvironment.start();
});

after('nothing that is not ours was touched', async function () {
  this.timeout(2 * MINUTE);
  try {
    await env?.decoys.expectUntouched();
  } finally {
    await env?.end();
  }
});

/** The env of this run. @throws Error before the run has begun */
export function theEnvironment(): TestEnvironment {
  if (!env) throw new Error('The real parts have not been started.');
  return env;
}

/** The scenarios of one file; its instances are removed at the end, through their button. */
export function chapter(title: string, body: () => void): void {
  describe(title, function () {
    this.timeout(5 * MINUTE);
    body();
    after('its instances are removed', async () => {
      const { instances } = theEnvironment();
      const left = await instances.find([['active', '=', true]]);
      await instances.remove(left.map((row) => row.id));
      await audit(theEnvironment());
    });
  });
}

/** One test on the real parts; afterwards every invariant is checked (I1-I8). @param minutes that it may take */
export function scenario(
  title: string,
  body: (env: TestEnvironment) => Promise<void>,
  minutes = 5,
): void {
  it(title, async () => {
    await body(theEnvironment());
    await audit(theEnvironment());
  }).timeout(minutes * MINUTE);
}
