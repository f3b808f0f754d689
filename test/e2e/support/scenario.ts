import { audit } from './audit.ts';
import { TestEnvironment } from './environment.ts';

const MINUTE = 60_000;

let env: TestEnvironment | undefined;

// Root hooks: once for all files of a run.
before('the real parts start', async function () {
  this.timeout(15 * MINUTE);
  env = await TestEnvironment.start();
});

after('nothing foreign was touched', async function () {
  this.timeout(2 * MINUTE);
  try {
    await env?.decoys.expectUntouched();
  } finally {
    await env?.end();
  }
});

/** The test environment of this run. @throws Error before the run has begun */
export function theEnvironment(): TestEnvironment {
  if (!env) throw new Error('The test environment has not been started.');
  return env;
}

/** The scenarios of one file; its instances are removed at the end with their button. */
export function chapter(title: string, body: () => void): void {
  describe(title, function () {
    this.timeout(10 * MINUTE);
    body();
    after('its instances are removed', async () => {
      const env = theEnvironment();
      const left = await env.instances.find([['active', '=', true]]);
      await env.instances.remove(left.map((row) => row.id));
      await audit(env);
      const all = await env.instances.find([]);
      env.settled = Math.max(0, ...all.map(({ id }) => id));
    });
  });
}

/** One test on the real parts; afterwards all invariants are checked (I1-I8, I10). @param minutes its timeout */
export function scenario(
  title: string,
  body: (env: TestEnvironment) => Promise<void>,
  minutes = 10,
): void {
  it(title, async () => {
    await body(theEnvironment());
    await audit(theEnvironment());
  }).timeout(minutes * MINUTE);
}
