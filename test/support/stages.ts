import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { repository } from '../../stack/paths.ts';

const tallySchema = z.object({
  passed: z.int(),
  failed: z.int(),
  skipped: z.int(),
  /** What failed: its title, and the lines of its error that are known. */
  failures: z.array(z.string()),
});

/** Counts of tests by result. */
export type Tally = Readonly<z.infer<typeof tallySchema>>;

const outcomesSchema = z.array(
  z.object({ stage: z.string(), seconds: z.number(), tally: tallySchema }),
);

/** What came of one stage. */
export type Outcome = Readonly<z.infer<typeof outcomesSchema>[number]>;

/** One part of `npm test`. */
export interface Stage {
  readonly name: string;
  /**
   * `unit`: without Docker and Odoo. `set-up`: before all that need these. `manager`: those that share the tests' manager without a
   * shop, and what evens out the two rows, run sequentially. `beside`: those with a shop or with servers of their own, run sequentially
   * too, concurrently with `manager`.
   */
  readonly kind: 'unit' | 'set-up' | 'manager' | 'beside';
  /** Runs it with its output on the terminal. @throws Error with the reason why it could not be run */
  readonly run: () => Promise<Tally>;
}

/** The maximum output of concurrent stages, in bytes. */
const MAX_OUTPUT = 64 * 1024 * 1024;

/** Runs work that counts as one test: it passes when it does not throw. */
export async function asOneTest(work: () => Promise<unknown>): Promise<Tally> {
  await work();
  return { passed: 1, failed: 0, skipped: 0, failures: [] };
}

/** Runs programs from node_modules, each counting as one test: it passes with exit code 0. */
export async function programs(
  ...commands: ReadonlyArray<readonly [program: string, ...args: string[]]>
): Promise<Tally> {
  const failures: string[] = [];
  for (const [program, ...args] of commands)
    if (!(await endsWell(program, args))) failures.push([program, ...args].join(' '));
  const failed = failures.length;
  return { passed: commands.length - failed, failed, skipped: 0, failures };
}

/**
 * Runs the test files of one glob with mocha in a process of its own. The counts come from its reporter, not from its output.
 * @param options of mocha's command line @throws Error when mocha did not finish
 */
export function mocha(glob: string, ...options: readonly string[]): Promise<Tally> {
  return mochaWithin([], glob, ...options);
}

/** The same by another program. @param within the beginning of its command line */
export async function mochaWithin(
  within: readonly string[],
  glob: string,
  ...options: readonly string[]
): Promise<Tally> {
  const folder = await mkdtemp(join(tmpdir(), 'microsaas-tally-'));
  try {
    const file = join(folder, 'tally.json');
    const reporting = ['--reporter-option', `tally=${file}`];
    const [program = '', ...args] = [...within, 'mocha', ...reporting, ...options, glob];
    const isWell = await endsWell(program, args);
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text === '') throw new Error(`mocha did not come to its end on ${glob}`);
    const tally = tallySchema.parse(JSON.parse(text));
    // Something outside a test failed, such as a rejection after the last one.
    if (isWell || tally.failed > 0) return tally;
    return { ...tally, failed: 1, failures: [`${glob}: outside its tests`] };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Runs stages in a process of its own, concurrently with others; its output is printed in one piece at its end.
 * @throws Error when it did not finish
 */
export async function stagesBeside(names: readonly string[]): Promise<readonly Outcome[]> {
  const folder = await mkdtemp(join(tmpdir(), 'microsaas-outcomes-'));
  try {
    const file = join(folder, 'outcomes.json');
    const args = ['--import', 'tsx', 'test/run.ts', '--only', names.join(), '--outcomes', file];
    const { all } = await execa(process.execPath, args, {
      ...{ cwd: repository, all: true, reject: false, stdin: 'ignore', maxBuffer: MAX_OUTPUT },
    });
    process.stdout.write(`${all}\n`);
    return outcomesSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function endsWell(program: string, args: readonly string[]): Promise<boolean> {
  const result = await execa(program, args, {
    cwd: repository,
    preferLocal: true,
    localDir: repository,
    stdio: 'inherit',
    reject: false,
  });
  return !result.failed;
}
