import { rm, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { DemoSale } from './demo-sale.ts';
import { openShop, shopModules } from './demo-shop.ts';
import { ensureCompose, ensureDocker } from './docker.ts';
import { ensureImages, images } from './images.ts';
import { installId } from './install-id.ts';
import { ManagerStack } from './manager.ts';
import { varPath } from './paths.ts';
import { Steps, sayToTerminal, secondsSince } from './progress.ts';
import { run } from './run.ts';
import { ensureSidecarImage } from './sidecar-image.ts';
import { takeDown } from './takedown.ts';

const HELP = `npm run demo               set everything up, sell one plan, wait until the customer's Odoo answers
npm run demo -- --down     remove what the demo made on this machine
npm run demo -- --help     this

The demo goes on running. Run again, it revives the same stack and sells one more.`;

const DIRECTORY = varPath('demo');
const INSTALL_ID = varPath('install-id');
const RESULT = varPath('demo.json');

async function up(): Promise<void> {
  const steps = new Steps(11, sayToTerminal);
  await steps.step('Docker', ensureDocker);
  await steps.step('Compose', ensureCompose);
  await steps.step('Images', ensureImages);
  const sidecarImage = await steps.step("The sidecar's image", ensureSidecarImage);
  const install = await installId(INSTALL_ID);
  const stack = new ManagerStack({
    dir: DIRECTORY,
    install,
    modules: ['account', 'micro_saas', ...shopModules],
    languages: ['es_ES'],
    databases: 'one',
    sidecarImage,
    door: 'local',
    say: sayToTerminal,
  });
  await steps.step('The manager: Odoo with the addon', async () => stack.startManager());
  await steps.step('The sidecar', async () => {
    await stack.connectSidecar();
    await stack.startSidecar();
  });
  const manager = await stack.manager();
  const sale = new DemoSale(manager.rpc);
  await steps.step('Opening the web shop', async () => {
    // Made by being asked for: without a plan the shop has nothing to sell.
    await sale.plan();
    await openShop(manager.rpc);
  });
  await steps.step('Preparing the plan (once)', async () => sale.prepared());
  const invoice = await steps.step('Selling one plan: an invoice', async () => sale.invoice());
  const pay = await sale.payment(invoice);
  const paidAt = performance.now();
  await steps.step('The customer pays', pay);
  const instance = await steps.step("Waiting for the customer's Odoo", async (say) =>
    sale.usable(invoice, say),
  );
  const paidToUsableSeconds = secondsSince(paidAt);

  const { sidecar } = stack.containers.names;
  const secret = await run('docker', [
    ...['exec', '--', sidecar, 'microsaas', 'secret', String(instance.id), '--json'],
  ]);
  const { login, password } = JSON.parse(secret) as { login: string; password: string };
  const result = {
    install,
    manager: {
      url: stack.url,
      publicUrl: stack.publicUrl,
      directUrl: stack.url,
      db: manager.name,
      login: manager.login,
      password: manager.password,
    },
    sidecar: {
      url: stack.sidecarUrl,
      webhookSecret: await stack.files.read('sidecar/webhook-secret'),
      container: sidecar,
    },
    images: { odoo: images.odoo, postgres: images.postgres },
    instance: {
      id: instance.id,
      name: instance.name,
      url: instance.instance_url,
      directUrl: `http://127.0.0.1:${instance.http_port}`,
      login,
      password,
    },
    paidToUsableSeconds,
  };
  await rm(RESULT, { force: true });
  await writeFile(RESULT, `${JSON.stringify(result, null, 2)}\n`, { mode: 0o600 });
  sayToTerminal(`
The web shop          ${stack.publicUrl}/shop
The manager           ${stack.publicUrl}   ${manager.login} / ${manager.password}
The customer's Odoo   ${instance.instance_url}   ${login} / ${password}
From payment to usable: ${paidToUsableSeconds} s

All of it goes on running; var/demo.json has the same. Once more: npm run demo. Away with it: npm run demo -- --down`);
}

async function down(): Promise<void> {
  await ensureDocker(sayToTerminal);
  const install = await installId(INSTALL_ID);
  const removed = await takeDown(install, DIRECTORY);
  for (const file of [RESULT, INSTALL_ID]) await rm(file, { force: true });
  for (const line of removed) sayToTerminal(`removed ${line}`);
  sayToTerminal(`Nothing of the demo ${install} is left. The images stay, for the next time.`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { down: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return sayToTerminal(HELP);
  return values.down ? down() : up();
}

main().catch((error: unknown) => {
  process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
