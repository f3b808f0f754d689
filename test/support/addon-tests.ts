import type { ManagerStack } from '../../stack/manager.ts';
import { sayToTerminal } from '../../stack/progress.ts';
import { RunError } from '../../stack/run.ts';
import { shopStack } from './shop-stack.ts';
import type { Tally } from './stages.ts';
import { startTestStack } from './test-stack.ts';

const DATABASE = 'addon_tests';
const TIMEOUT = 900_000;

/** Odoo's own closing line of a test run. */
const CLOSING = /(\d+) failed, (\d+) error\(s\) of (\d+) tests/;
/** Where an entry of Odoo's log begins; a traceback is the lines after it. */
const ENTRY = /^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} )/m;
/** What Odoo logs of a test that did not run, and why. */
const SKIPPED = /: skipped (.+)$/gm;
/** What it logs of one that went wrong. */
const WRONG = /^\S+ \S+ \d+ (?:ERROR|CRITICAL) /;

/**
 * The tests of `micro_saas`, in an Odoo that has nothing else.
 * @throws Error when Odoo did not come to its closing line
 */
export async function addonTests(): Promise<Tally> {
  return odooTests(await startTestStack({ databases: 'all' }), '/micro_saas');
}

/** Those of `micro_saas_website`, and what `micro_saas` does with payments of a shop, in an Odoo with one. @throws Error as addonTests() */
export async function shopAddonTests(): Promise<Tally> {
  const stack = await shopStack(sayToTerminal);
  await stack.startManager();
  return odooTests(stack, '/micro_saas_website,microsaas_payment/micro_saas');
}

/** Tests that Odoo runs in a database of their own. @param tags which, in the words of `--test-tags` */
async function odooTests(stack: ManagerStack, tags: string): Promise<Tally> {
  await stack.dropDatabase(DATABASE);
  await stack.database(DATABASE);
  const odoo = [
    ...['--database', DATABASE, '--stop-after-init', '--max-cron-threads', '0'],
    // Else the requests of its tests would reach the database that the stack's configuration names.
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
      if (error instanceof RunError) return error.output; // red tests end Odoo with 1
      throw error;
    });
  const [, failed, errors, all] = CLOSING.exec(log) ?? [];
  if (all === undefined) throw new Error(`Odoo did not run the tests:\n${log.slice(-2_000)}`);
  for (const entry of log.split(ENTRY)) if (WRONG.test(entry)) sayToTerminal(entry.trim());
  await stack.dropDatabase(DATABASE);
  const wrong = Number(failed) + Number(errors);
  const skipped = [...log.matchAll(SKIPPED)];
  for (const [, what] of skipped) sayToTerminal(`skipped: ${what}`);
  return {
    passed: Number(all) - wrong - skipped.length,
    failed: wrong,
    skipped: skipped.length,
  };
}
