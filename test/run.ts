import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { ensureCompose, ensureDocker } from '../stack/docker.ts';
import { ensureImages } from '../stack/images.ts';
import { sayToTerminal, secondsSince } from '../stack/progress.ts';
import { ensureSidecarImage } from '../stack/sidecar-image.ts';
import { addonTests, shopAddonTests } from './support/addon-tests.ts';
import { IN_OWN_NAMESPACES, requireOwnNamespaces } from './support/own-namespaces.ts';
import {
  asOneTest,
  mocha,
  mochaWithin,
  type Outcome,
  programs,
  type Stage,
  stagesBeside,
  type Tally,
} from './support/stages.ts';

/** All tests; without Docker and Odoo first. */
const STAGES: readonly Stage[] = [
  { name: 'types', kind: 'unit', run: () => programs(['tsc', '--noEmit']) },
  { name: 'lint', kind: 'unit', run: () => programs(['biome', 'ci', '.'], ['knip']) },
  {
    name: 'unit',
    kind: 'unit',
    run: () => mocha('test/unit/**/*.test.ts', '--parallel', '--jobs=2'),
  },
  {
    name: 'set-up',
    kind: 'set-up',
    run: () =>
      asOneTest(async () => {
        await ensureDocker(sayToTerminal);
        await ensureCompose(sayToTerminal);
        await ensureImages(sayToTerminal);
        await ensureSidecarImage();
      }),
  },
  { name: 'manager', kind: 'manager', run: () => mocha('test/manager/**/*.test.ts') },
  { name: 'e2e', kind: 'manager', run: () => mocha('test/e2e/**/*.test.ts') },
  // Before those that copy the manager's database, which the first of the other row has Odoo install meanwhile.
  { name: 'integration', kind: 'beside', run: () => mocha('test/integration/**/*.test.ts') },
  { name: 'addon', kind: 'beside', run: addonTests },
  { name: 'shop-addon', kind: 'beside', run: shopAddonTests },
  { name: 'shop', kind: 'beside', run: () => mocha('test/shop/**/*.test.ts') },
  {
    name: 'swarm',
    kind: 'manager',
    run: async () => {
      await requireOwnNamespaces();
      return mochaWithin(IN_OWN_NAMESPACES, 'test/swarm/**/*.test.ts');
    },
  },
  { name: 'disaster', kind: 'manager', run: () => mocha('test/disaster/**/*.test.ts') },
  { name: 'browser', kind: 'beside', run: () => mocha('test/browser/**/*.test.ts') },
];

const HELP = `npm test                       all tests
npm run test:unit              those that need neither Docker nor Odoo
npm test -- --only STAGE,…     only these stages, one after the other: ${STAGES.map(({ name }) => name).join(', ')}
npm test -- --help             this`;

/** The parsed command line. */
interface Arguments {
  /** None when it asks for help. */
  readonly stages: readonly Stage[];
  /** A file for what came of them, when they run concurrently with others. */
  readonly outcomes: string | undefined;
}

/** @throws Error naming the existing stages */
function parseArguments(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      unit: { type: 'boolean' },
      only: { type: 'string' },
      outcomes: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return { stages: [], outcomes: undefined };
  }
  const { only, outcomes } = values;
  if (values.unit) return { stages: STAGES.filter(({ kind }) => kind === 'unit'), outcomes };
  if (only === undefined) return { stages: STAGES, outcomes };
  const wanted = only.split(',');
  const unknown = wanted.filter((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown.length === 0)
    return { stages: STAGES.filter(({ name }) => wanted.includes(name)), outcomes };
  const names = STAGES.map((stage) => stage.name).join(', ');
  throw new Error(`--only ${unknown.join()}: expected some of ${names}`);
}

/** A stage that cannot be run has failed: nothing is skipped silently. */
async function runStage({ name, run }: Stage): Promise<Outcome> {
  const began = performance.now();
  console.log(`\n── ${name} ──`);
  const tally = await run().catch((error: Error) => notRun(name, error));
  const outcome = { stage: name, seconds: secondsSince(began), tally };
  console.log(`── ${inWords(outcome)} ──`);
  return outcome;
}

/** What stages that could not be run count as. */
function notRun(what: string, { message }: Error): Tally {
  console.error(`${what} could not be run: ${message}`);
  return { passed: 0, failed: 1, skipped: 0, failures: ['could not be run'] };
}

function inWords({ stage, seconds, tally }: Outcome): string {
  return `${stage}: ${countsOf(tally)}, ${seconds} s`;
}

function countsOf({ passed, failed, skipped }: Omit<Tally, 'failures'>): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

async function inOrder(stages: readonly Stage[]): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const stage of stages) outcomes.push(await runStage(stage));
  return outcomes;
}

/** Runs the selected stages, those without the tests' manager concurrently with those that use it. */
async function runAll(stages: readonly Stage[]): Promise<readonly Outcome[]> {
  const of = (...kinds: Stage['kind'][]) => stages.filter(({ kind }) => kinds.includes(kind));
  const [manager, others] = [of('manager'), of('beside')];
  if (manager.length === 0 || others.length === 0) return inOrder(stages);
  const first = await inOrder(of('unit', 'set-up'));
  const names = others.map(({ name }) => name);
  const stage = names.join(', ');
  console.log(`\n── concurrently with the next: ${stage}; shown at their end ──`);
  const beside = stagesBeside(names).catch((error: Error) => [
    { stage, seconds: 0, tally: notRun(stage, error) },
  ]);
  return [first, ...(await Promise.all([inOrder(manager), beside]))].flat();
}

/** Prints what a long output may have hidden: each stage, what failed in it, and the sum. @returns whether nothing failed */
function close(outcomes: readonly Outcome[]): boolean {
  const sum = (of: 'passed' | 'failed' | 'skipped') =>
    outcomes.map(({ tally }) => tally[of]).reduce((a, b) => a + b, 0);
  const total = { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') };
  console.log('');
  for (const outcome of outcomes) {
    console.log(inWords(outcome));
    for (const failure of outcome.tally.failures)
      console.log(`  failed: ${failure.replaceAll('\n', '\n    ')}`);
  }
  console.log(`\n${countsOf(total)}`);
  return total.failed === 0;
}

let options: Arguments = { stages: [], outcomes: undefined };
try {
  options = parseArguments(process.argv.slice(2));
} catch (error) {
  console.error(`${(error as Error).message}\n\n${HELP}`);
  process.exitCode = 1;
}
if (options.stages.length > 0) {
  const outcomes = await runAll(options.stages);
  // Those of concurrent stages are printed by the process that started them.
  if (options.outcomes !== undefined) await writeFile(options.outcomes, JSON.stringify(outcomes));
  else process.exitCode = close(outcomes) ? 0 : 1;
}
