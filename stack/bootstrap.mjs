// node stack/bootstrap.mjs <file.ts> [arguments]: the first thing every npm script runs, on a machine that may have
// nothing but Node. Plain JavaScript without dependencies; installs them when needed, then runs the file by tsx.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const OLDEST_NODE = [20, 19];
const repository = join(import.meta.dirname ?? '.', '..');

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  fail(`Node ${OLDEST_NODE.join('.')} or later is needed; this is ${process.versions.node}.`);
}
const [file, ...args] = process.argv.slice(2);
if (file === undefined) fail('Usage: node stack/bootstrap.mjs <file.ts> [arguments]');

if (!installed()) {
  const start = performance.now();
  process.stdout.write('Installing the npm packages …\n');
  // Not `npm ci`: that refuses a lock file that lacks packages which only other platforms need. Versions and
  // checksums come from the lock file all the same, and `--no-save` leaves it as it is.
  const npm = spawnSync(
    'npm',
    ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: repository,
      stdio: 'inherit',
    },
  );
  if (npm.status !== 0) fail('"npm install" failed; its own message stands above.');
  const seconds = Math.round((performance.now() - start) / 1000);
  process.stdout.write(`Installing the npm packages … ${seconds} s\n`);
}

const loader = createRequire(join(repository, 'package.json')).resolve('tsx');
// Ctrl-C reaches the whole process group: the program ends by itself, and this waits for it.
process.on('SIGINT', () => undefined);
const program = spawnSync(
  process.execPath,
  ['--import', pathToFileURL(loader).href, join(repository, file), ...args],
  { stdio: 'inherit' },
);
if (program.error) fail(program.error.message);
process.exitCode = program.status ?? 128 + (constants.signals[program.signal] ?? 0);

/** Whether node_modules holds what package-lock.json asks for. By content: file times mean nothing after a checkout. */
function installed() {
  const wanted = packages('package-lock.json');
  const present = packages('node_modules', '.package-lock.json');
  if (wanted === undefined || present === undefined) return false;
  // Optional packages are those of other platforms; the ones of this platform come with what needs them.
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || present[path]?.version === entry.version,
  );
}

function packages(...path) {
  const file = join(repository, ...path);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined;
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
