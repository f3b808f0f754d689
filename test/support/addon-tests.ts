import type { ManagerStack } from '../../stack/manager.ts';
import { sayToTerminal } from '../../stack/progress.ts';
import { RunError } from '../../stack/run.ts';
import { shopStack } from './shop-stack.ts';
import type { Tally } from './stages.ts';
import { startTestStack } from './test-stack.ts';

const DATABASE = 'addon_tests';
/** On a busy machine all of them take a quarter of an hour, in milliseconds. */
const TIMEOUT = 2_400_000;

/** Odoo's own closing line of a test run. */
const CLOSING = /(\d+) failed, (\d+) error\(s\) of (\d+) tests/;
/** The beginning of an entry of Odoo's log; the lines of a traceback follow it. */
const ENTRY = /^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} )/m;
/** Odoo's log of a test that was skipped, and why. */
const SKIPPED = /: skipped (.+)$/gm;
/** Odoo's log of a failed test. */
const WRONG = /^\S+ \S+ \d+ (?:ERROR|CRITICAL) /;
const FAILED_TEST = /: (?:FAIL|ERROR): (\S+)$/m;
/** How many of its last lines are kept for the end of the run: where it failed, and why. */
const LAST_LINES = 8;

/**
 * Runs the tests of `micro_saas` in an Odoo without other addons, on a stack of their own: others use theirs meanwhile.
 * @throws Error when Odoo did not print its closing line
 */
export async function addonTests(): Promise<Tally> {
  const stack = await startTestStack({ name: 'addon', databases: 'all' });
  try {
    return await odooTests(stack, '/micro_saas');
  } finally {
    await stack.containers.compose(['stop']);
  }
}

/** Runs the tests of `micro_saas_website`, and those of `micro_saas` about shop payments, in an Odoo with a shop. @throws Error as addonTests() */
export async function shopAddonTests(): Promise<Tally> {
  const stack = await shopStack(sayToTerminal);
  await stack.startManager();
  return odooTests(stack, '/micro_saas_website,microsaas_payment/micro_saas');
}

/** Runs tests in a database of their own. @param tags as for `--test-tags` */
async function odooTests(stack: ManagerStack, tags: string): Promise<Tally> {
  await stack.dropDatabase(DATABASE);
  await stack.database(DATABASE);
  const odoo = [
    ...['--database', DATABASE, '--stop-after-init', '--max-cron-threads', '0'],
    // Otherwise the requests of its tests would go to the database named in the stack's configuration.
    ...['--db-filter', `^${DATABASE}$`],
    // Updating the first addon updates the second, which depends on it.
    ...['--update', 'micro_saas', '--test-enable', '--test-tags', tags],
  ];
  const log = await stack.containers
    .compose(['run', '--rm', '--no-deps', '--', 'manager', ...odoo], {
      both: true,
      timeout: TIMEOUT,
    })
    .catch((error: unknown) => {
      if (error instanceof RunError) return error.output; // Odoo exits with 1 when a test has failed
      throw error;
    });
  const [, failed, errors, all] = CLOSING.exec(log) ?? [];
  if (all === undefined) throw new Error(`Odoo did not run the tests:\n${log.slice(-2_000)}`);
  const entries = log.split(ENTRY);
  for (const entry of entries) if (WRONG.test(entry)) sayToTerminal(entry.trim());
  await stack.dropDatabase(DATABASE);
  const wrong = Number(failed) + Number(errors);
  const skipped = [...log.matchAll(SKIPPED)];
  for (const [, what] of skipped) sayToTerminal(`skipped: ${what}`);
  return {
    passed: Number(all) - wrong - skipped.length,
    failed: wrong,
    skipped: skipped.length,
    failures: entries.flatMap(failureOf),
  };
}

/** The failed test that an entry of Odoo's log tells of, with the end of its traceback. */
function failureOf(entry: string): readonly string[] {
  const test = FAILED_TEST.exec(entry)?.[1];
  return test === undefined
    ? []
    : [[test, ...entry.trim().split('\n').slice(1).slice(-LAST_LINES)].join('\n')];
}
