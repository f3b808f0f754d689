import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { ensureCompose, ensureDocker } from '../stack/docker.ts';
import { ensureImages } from '../stack/images.ts';
import { sayToTerminal, secondsSince } from '../stack/progress.ts';
import { ensureSidecarImage } from '../stack/sidecar-image.ts';
import { addonTests, shopAddonTests } from './support/addon-tests.ts';
import {
  asOneTest,
  mocha,
  programs,
  type Stage,
  stagesBeside,
  type Tally,
} from './support/stages.ts';

/** All tests, the fastest first. */
const STAGES: readonly Stage[] = [
  { name: 'types', kind: 'unit', run: () => programs(['tsc', '--noEmit']) },
  { name: 'lint', kind: 'unit', run: () => programs(['biome', 'ci', '.'], ['knip']) },
  { name: 'unit', kind: 'unit', run: () => mocha('test/unit/**/*.test.ts') },
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
  { name: 'addon', kind: 'beside', run: addonTests },
  { name: 'shop-addon', kind: 'beside', run: shopAddonTests },
  { name: 'shop', kind: 'beside', run: () => mocha('test/shop/**/*.test.ts') },
  { name: 'disaster', kind: 'manager', run: () => mocha('test/disaster/**/*.test.ts') },
  { name: 'integration', kind: 'beside', run: () => mocha('test/integration/**/*.test.ts') },
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
  /** A file for the result, when stages run concurrently with others. */
  readonly tally: string | undefined;
}

/** @throws Error naming the existing stages */
function parseArguments(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      unit: { type: 'boolean' },
      only: { type: 'string' },
      tally: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return { stages: [], tally: undefined };
  }
  const { only, tally } = values;
  if (values.unit) return { stages: STAGES.filter(({ kind }) => kind === 'unit'), tally };
  if (only === undefined) return { stages: STAGES, tally };
  const wanted = only.split(',');
  const unknown = wanted.filter((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown.length === 0)
    return { stages: STAGES.filter(({ name }) => wanted.includes(name)), tally };
  const names = STAGES.map((stage) => stage.name).join(', ');
  throw new Error(`--only ${unknown.join()}: expected some of ${names}`);
}

/** A stage that cannot be run has failed: nothing is skipped silently. */
async function runStage({ name, run }: Stage): Promise<Tally> {
  const began = performance.now();
  console.log(`\n── ${name} ──`);
  const tally = await run().catch((error: Error): Tally => {
    console.error(`${name} could not be run: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  });
  console.log(`── ${name}: ${inWords(tally)}, ${secondsSince(began)} s ──`);
  return tally;
}

function inWords({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function sumOf(tallies: readonly Tally[]): Tally {
  const sum = (of: (tally: Tally) => number) => tallies.map(of).reduce((a, b) => a + b, 0);
  return {
    passed: sum(({ passed }) => passed),
    failed: sum(({ failed }) => failed),
    skipped: sum(({ skipped }) => skipped),
  };
}

async function inOrder(stages: readonly Stage[]): Promise<Tally> {
  const tallies: Tally[] = [];
  for (const stage of stages) tallies.push(await runStage(stage));
  return sumOf(tallies);
}

/** Runs the selected stages, those without the tests' manager concurrently with those that use it. */
async function runAll(stages: readonly Stage[]): Promise<Tally> {
  const of = (...kinds: Stage['kind'][]) => stages.filter(({ kind }) => kinds.includes(kind));
  const [manager, others] = [of('manager'), of('beside')];
  if (manager.length === 0 || others.length === 0) return inOrder(stages);
  const first = await inOrder(of('unit', 'set-up'));
  const names = others.map(({ name }) => name);
  console.log(`\n── concurrently with the next: ${names.join(', ')}; shown at their end ──`);
  const beside = stagesBeside(names).catch((error: Error): Tally => {
    console.error(`${names.join(', ')} could not be run: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  });
  return sumOf([first, ...(await Promise.all([inOrder(manager), beside]))]);
}

let options: Arguments = { stages: [], tally: undefined };
try {
  options = parseArguments(process.argv.slice(2));
} catch (error) {
  console.error(`${(error as Error).message}\n\n${HELP}`);
  process.exitCode = 1;
}
if (options.stages.length > 0) {
  const total = await runAll(options.stages);
  if (options.tally !== undefined) await writeFile(options.tally, JSON.stringify(total));
  // The counts of concurrent stages are printed by the process that started them.
  else console.log(`\n${inWords(total)}`);
  process.exitCode = total.failed > 0 ? 1 : 0;
}
