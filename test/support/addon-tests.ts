import { sayToTerminal } from '../../stack/progress.ts';
import { RunError } from '../../stack/run.ts';
import type { Tally } from './stages.ts';
import { startTestStack } from './test-stack.ts';

const DATABASE = 'addon_tests';
const TIMEOUT = 900_000;

/** Odoo's own closing line of a test run. */
const CLOSING = /(\d+) failed, (\d+) error\(s\) of (\d+) tests/;
/** What Odoo logs of one test that went wrong. */
const WRONG = / (?:ERROR|CRITICAL) \S+ \S+: .*/g;

/**
 * The addon's own tests, run by Odoo in a database of their own.
 * @throws Error when Odoo did not come to its closing line
 */
export async function addonTests(): Promise<Tally> {
  const stack = await startTestStack({ databases: 'all' });
  await stack.dropDatabase(DATABASE);
  await stack.database(DATABASE);
  const odoo = [
    ...['--database', DATABASE, '--stop-after-init', '--max-cron-threads', '0'],
    ...['--update', 'micro_saas', '--test-enable', '--test-tags', '/micro_saas'],
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
  for (const line of log.match(WRONG) ?? []) sayToTerminal(line.trim());
  await stack.dropDatabase(DATABASE);
  const wrong = Number(failed) + Number(errors);
  return { passed: Number(all) - wrong, failed: wrong, skipped: 0 };
}
