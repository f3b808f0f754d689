import { isAbsolute, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readDeploySettings } from './deploy-settings.ts';
import { ensureCompose, ensureDocker } from './docker.ts';
import { ensureImages, images } from './images.ts';
import { installId } from './install-id.ts';
import { ManagerStack } from './manager.ts';
import { type Say, Steps, sayToTerminal } from './progress.ts';
import { RunError, run } from './run.ts';
import { ensureSidecarImage } from './sidecar-image.ts';

const HELP = `npm run deploy -- FOLDER     set up what FOLDER/deploy.yaml describes: Docker, images, the manager, the door, the sidecar
npm run deploy -- --help     this

FOLDER is kept: /srv/microsaas, say. Begin with deploy/deploy.example.yaml; docs/going-live.md takes you through it. Run again after
editing the file or updating the checkout, it changes what differs and leaves customers' instances as they are.`;

async function deploy(folder: string): Promise<void> {
  const settings = await readDeploySettings(folder);
  const { door, environment, languages: wanted, shop, sidecar: sidecarSettings } = settings;
  // The first is that of the company and of new customers. Odoo would hide English, in which it is written and its documentation is.
  const languages = wanted.length > 0 ? [...new Set([...wanted, 'en_US'])] : [];
  const steps = new Steps(7, sayToTerminal);
  await steps.step('Docker', ensureDocker);
  await steps.step('Compose', ensureCompose);
  await steps.step('Images', async (say) => {
    await ensureImages(say);
    await checkLanguages(languages);
  });
  const sidecarImage = await steps.step("The sidecar's image", ensureSidecarImage);
  const stack = new ManagerStack({
    dir: folder,
    install: await installId(join(folder, 'install-id')),
    modules: ['account', 'micro_saas', ...(shop ? ['micro_saas_website', 'payment_custom'] : [])],
    languages,
    databases: 'one',
    sidecarImage,
    door,
    sidecarSettings,
    environment,
    say: sayToTerminal,
  });
  await steps.step('The manager: Odoo with the addon', async () => {
    await stack.startManager();
    await stack.addLanguages(languages);
  });
  await steps.step('The sidecar and the door', async () => {
    await stack.connectSidecar();
    await stack.startSidecar();
  });
  await steps.step(`The manager's address: ${stack.publicUrl}`, (say) => awaitAddress(stack, say));
  const { login } = await stack.manager();
  sayToTerminal(`\n${await doctorSays(stack)}`);
  sayToTerminal(`
The manager    ${stack.publicUrl}   ${login}, password in ${stack.files.path('secrets/admin-password')}
The operator   docker exec ${stack.containers.names.sidecar} microsaas --help`);
}

/** How long the first certificate is waited for, and how often that is said. */
const ADDRESS_SECONDS = 90;
const TICK_MS = 10_000;

/** @throws Error naming the languages that this Odoo does not know: it would make up one of that name */
async function checkLanguages(codes: readonly string[]): Promise<void> {
  if (codes.length === 0) return;
  const program = ['--entrypoint', 'python3', '--', images.odoo, '-c', LIST_LANGUAGES];
  const list = await run('docker', ['run', '--rm', '--network', 'none', ...program]);
  const known = list.split('\n').map((line) => line.split(',')[2]?.replaceAll('"', ''));
  const unknown = codes.filter((code) => !known.includes(code));
  if (unknown.length > 0)
    throw new Error(
      `languages: Odoo does not know ${unknown.join(', ')}. It has codes such as es_ES.`,
    );
}

const LIST_LANGUAGES =
  "import odoo.addons.base as b; print(open(b.__path__[0] + '/data/res.lang.csv').read())";

/** An authority issues the first certificate within seconds where DNS and ports are right; where they are not, doctor says so. */
async function awaitAddress(stack: ManagerStack, say: Say): Promise<void> {
  const ticks = setInterval(() => say('waiting for the certificate …'), TICK_MS);
  const isThere = await stack
    .answersBehindDoor(ADDRESS_SECONDS)
    .finally(() => clearInterval(ticks));
  if (!isThere) say(`no answer after ${ADDRESS_SECONDS} s: see below`);
}

/** What `microsaas doctor` finds; its failures are for the operator to mend, and no reason to stop. */
async function doctorSays(stack: ManagerStack): Promise<string> {
  const command = ['exec', '--', stack.containers.names.sidecar, 'microsaas', 'doctor'];
  return run('docker', command, { both: true }).catch((error: unknown) => {
    if (error instanceof RunError) return error.output.trim();
    throw error;
  });
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    options: { help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  const [folder, ...more] = positionals;
  if (values.help) return sayToTerminal(HELP);
  if (folder === undefined || more.length > 0) throw new Error(HELP);
  await deploy(isAbsolute(folder) ? folder : resolve(process.cwd(), folder));
}

main().catch((error: unknown) => {
  process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
