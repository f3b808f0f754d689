import { parseArgs } from 'node:util';
import { ensureCompose, ensureDocker } from '../stack/docker.ts';
import { ensureImages } from '../stack/images.ts';
import { sayToTerminal, secondsSince } from '../stack/progress.ts';
import { addonTests, shopAddonTests } from './support/addon-tests.ts';
import { asOneTest, mocha, programs, type Stage, type Tally } from './support/stages.ts';

/** All tests, in the order in which they say the most the soonest. */
const STAGES: readonly Stage[] = [
  { name: 'types', isUnit: true, run: () => programs(['tsc', '--noEmit']) },
  { name: 'lint', isUnit: true, run: () => programs(['biome', 'ci', '.'], ['knip']) },
  { name: 'unit', isUnit: true, run: () => mocha('test/unit/**/*.test.ts') },
  {
    name: 'set-up',
    isUnit: false,
    run: () =>
      asOneTest(async () => {
        await ensureDocker(sayToTerminal);
        await ensureCompose(sayToTerminal);
        await ensureImages(sayToTerminal);
      }),
  },
  { name: 'addon', isUnit: false, run: addonTests },
  { name: 'shop-addon', isUnit: false, run: shopAddonTests },
  { name: 'integration', isUnit: false, run: () => mocha('test/integration/**/*.test.ts') },
  { name: 'e2e', isUnit: false, run: () => mocha('test/e2e/**/*.test.ts') },
  { name: 'browser', isUnit: false, run: () => mocha('test/browser/**/*.test.ts') },
];

const HELP = `npm test                       all tests
npm run test:unit              those that need neither Docker nor Odoo
npm test -- --only STAGE       one stage: ${STAGES.map(({ name }) => name).join(', ')}
npm test -- --help             this`;

/** Which stages the command line asks for; none when it asks for help. @throws Error naming what there is */
function chosenStages(args: readonly string[]): readonly Stage[] {
  const { values } = parseArgs({
    args: [...args],
    options: {
      unit: { type: 'boolean' },
      only: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return [];
  }
  if (values.unit) return STAGES.filter((stage) => stage.isUnit);
  if (values.only === undefined) return STAGES;
  const chosen = STAGES.filter((stage) => stage.name === values.only);
  if (chosen.length > 0) return chosen;
  const names = STAGES.map((stage) => stage.name).join(', ');
  throw new Error(`--only ${values.only}: expected one of ${names}`);
}

/** A stage that cannot be run has failed: nothing is left out in silence. */
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

async function runAll(stages: readonly Stage[]): Promise<void> {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const stage of stages) {
    const tally = await runStage(stage);
    total.passed += tally.passed;
    total.failed += tally.failed;
    total.skipped += tally.skipped;
  }
  console.log(`\n${inWords(total)}`);
  process.exitCode = total.failed > 0 ? 1 : 0;
}

let stages: readonly Stage[] = [];
try {
  stages = chosenStages(process.argv.slice(2));
} catch (error) {
  console.error(`${(error as Error).message}\n\n${HELP}`);
  process.exitCode = 1;
}
if (stages.length > 0) await runAll(stages);
