import { readFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { z } from 'zod';
import { ensureCompose, ensureDocker } from './docker.ts';
import { ensureImages } from './images.ts';
import { installId } from './install-id.ts';
import { ManagerStack } from './manager.ts';
import { repository } from './paths.ts';
import { Steps, sayToTerminal } from './progress.ts';
import { RunError, run } from './run.ts';
import { ensureSidecarImage } from './sidecar-image.ts';

const HELP = `npm run deploy -- FOLDER     set up what FOLDER/deploy.yaml describes: Docker, images, the manager, the door, the sidecar
npm run deploy -- --help     this

FOLDER is kept: /srv/microsaas, say. Begin with deploy/deploy.example.yaml; docs/going-live.md takes you through it. Run again after
editing the file or updating the checkout, it changes what differs and leaves customers' instances as they are.`;

const schema = z.strictObject({
  domain: z.string().min(1),
  email: z.email(),
  manager: z.string().min(1).default('manager'),
  languages: z.array(z.string()).default([]),
  shop: z.boolean().default(true),
  sidecar: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  environment: z.record(z.string(), z.string()).default({}),
});

/** @throws Error naming the key, what was expected and what was found */
async function readSettings(folder: string): Promise<z.infer<typeof schema>> {
  const file = join(folder, 'deploy.yaml');
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const example = join(repository, 'deploy', 'deploy.example.yaml');
    throw new Error(`${file} can't be read (${error.code}). Copy ${example} there and fill it in.`);
  });
  const result = schema.safeParse(parse(text));
  if (result.success) return result.data;
  const lines = result.error.issues.map(
    ({ path, message }) => `  ${path.join('.') || '(top)'}: ${message}`,
  );
  throw new Error(`${file} is wrong:\n${lines.join('\n')}`);
}

async function deploy(folder: string): Promise<void> {
  const settings = await readSettings(folder);
  const { domain, email, environment, languages, manager, shop, sidecar } = settings;
  const { door: doorSettings, ...sidecarSettings } = sidecar;
  const acme = { email, ...(doorSettings?.['acme'] as object | undefined) };
  const steps = new Steps(6, sayToTerminal);
  await steps.step('Docker', ensureDocker);
  await steps.step('Compose', ensureCompose);
  await steps.step('Images', ensureImages);
  const sidecarImage = await steps.step("The sidecar's image", ensureSidecarImage);
  const stack = new ManagerStack({
    dir: folder,
    install: await installId(join(folder, 'install-id')),
    modules: ['account', 'micro_saas', ...(shop ? ['micro_saas_website', 'payment_custom'] : [])],
    languages,
    databases: 'one',
    sidecarImage,
    door: { domain, manager, ...doorSettings, acme },
    sidecarSettings,
    environment,
    say: sayToTerminal,
  });
  await steps.step('The manager: Odoo with the addon', async () => stack.startManager());
  await steps.step('The sidecar and the door', async () => {
    await stack.connectSidecar();
    await stack.startSidecar();
  });
  const { login } = await stack.manager();
  sayToTerminal(`\n${await doctorSays(stack)}`);
  sayToTerminal(`
The manager    ${stack.publicUrl}   ${login}, password in ${stack.files.path('secrets/admin-password')}
The operator   docker exec ${stack.containers.names.sidecar} microsaas --help`);
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
