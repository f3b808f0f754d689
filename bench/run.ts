import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { ensureCompose, ensureDocker } from '../stack/docker.ts';
import { ensureImages } from '../stack/images.ts';
import { varPath } from '../stack/paths.ts';
import { sayToTerminal, timed } from '../stack/progress.ts';
import { backups } from './backups.ts';
import { BenchStack } from './bench-stack.ts';
import type { Benchmark } from './benchmark.ts';
import { burst } from './burst.ts';
import { claims } from './claims.ts';
import { door } from './door.ts';
import { type Figure, isMet, table } from './figure.ts';
import { idle } from './idle.ts';
import { load } from './load.ts';
import { memory } from './memory.ts';
import { neighbours } from './neighbours.ts';
import { restart } from './restart.ts';
import { saleOfBase, saleOfLarge } from './sale.ts';
import { spare } from './spare.ts';
import { swarm } from './swarm.ts';
import { update } from './update.ts';
import { wake } from './wake.ts';
import { webhook } from './webhook.ts';

/** Those without Docker first. */
const BENCHMARKS: readonly Benchmark[] = [
  idle,
  claims,
  door,
  saleOfBase,
  saleOfLarge,
  spare,
  burst,
  restart,
  wake,
  webhook,
  memory,
  load,
  backups,
  update,
  neighbours,
  swarm,
];

const HELP = `npm run bench                          all benchmarks; exit code 1 when a figure misses its "at least"
npm run bench -- --only NAME[,NAME]    only these
npm run bench -- --pairs N             so many pairs in each comparison
npm run bench -- --keep                leave the stack as it is, and take up the one that was left
npm run bench -- --help                this

${BENCHMARKS.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join('\n')}

Each writes var/bench/<name>.json. They start a manager stack of their own and remove it afterwards. Nothing else should be
running: what the machine does besides shows in the figures.`;

/** @throws Error naming the existing benchmarks */
function chosen(only: string | undefined): readonly Benchmark[] {
  if (only === undefined) return BENCHMARKS;
  return only.split(',').map((wanted) => {
    const found = BENCHMARKS.find(({ name }) => name === wanted);
    if (found) return found;
    const names = BENCHMARKS.map(({ name }) => name).join(', ');
    throw new Error(`--only ${wanted}: expected one of ${names}`);
  });
}

async function measureAll(
  wanted: readonly Benchmark[],
  { pairs, keep }: { pairs: number | undefined; keep: boolean },
) {
  let stack: Promise<BenchStack> | undefined;
  const startStack = async () => {
    await ensureDocker(sayToTerminal);
    await ensureCompose(sayToTerminal);
    await ensureImages(sayToTerminal);
    return timed(sayToTerminal, 'Starting the stack', () => BenchStack.start(keep, sayToTerminal));
  };
  const surroundings = {
    stack: () => {
      stack ??= startStack();
      return stack;
    },
    say: (line: string) => sayToTerminal(`    ${line}`),
    pairs,
  };
  const figures: Figure[] = [];
  try {
    for (const { name, about, measure } of wanted) {
      sayToTerminal(`\n── ${name}: ${about} ──`);
      const loadBefore = loadavg()[0];
      const result = await measure(surroundings);
      figures.push(...result.figures);
      const measured = { name, at: new Date().toISOString(), machine: machine(), loadBefore };
      await writeFile(
        varPath('bench', `${name}.json`),
        `${JSON.stringify({ ...measured, ...result }, null, 2)}\n`,
      );
      sayToTerminal(table(result.figures));
    }
  } finally {
    if (!keep) await (await stack?.catch(() => undefined))?.remove();
  }
  return figures;
}

function machine(): string {
  const [cpu] = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpu?.model.trim()}, ${gigabytes} GiB, Node ${process.versions.node}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      pairs: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return sayToTerminal(HELP);
  const wanted = chosen(values.only);
  await mkdir(varPath('bench'), { recursive: true });
  const pairs = values.pairs === undefined ? undefined : Number(values.pairs);
  const figures = await measureAll(wanted, { pairs, keep: values.keep });
  sayToTerminal(`\n${machine()}, ${new Date().toISOString().slice(0, 10)}\n\n${table(figures)}`);
  const missed = figures.filter((figure) => !isMet(figure));
  if (missed.length > 0) process.exitCode = 1;
}

main().catch((error: unknown) => {
  process.stderr.write(`\n${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});
