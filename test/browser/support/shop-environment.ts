import { type Browser, chromium } from 'playwright-core';
import { ensureChromium } from '../../../stack/chromium.ts';
import { DemoSale } from '../../../stack/demo-sale.ts';
import { openShop } from '../../../stack/demo-shop.ts';
import type { ManagerDatabase, ManagerStack } from '../../../stack/manager.ts';
import { type Say, sayToTerminal } from '../../../stack/progress.ts';
import { run } from '../../../stack/run.ts';
import { eventually } from '../../e2e/support/eventually.ts';
import { shopStack } from '../../support/shop-stack.ts';
import { Office, type SoldPlan } from './office.ts';

/** A manager with its web shop and its sidecar running, and a real browser. */
export interface ShopEnvironment {
  readonly stack: ManagerStack;
  readonly manager: ManagerDatabase;
  readonly office: Office;
  readonly browser: Browser;
  /** The demo's plan: automatic, prepared. */
  readonly plan: SoldPlan;
}

/** What Chromium needs to run as root in a container, and what keeps it from calling other servers. */
const QUIETLY = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let opening: Promise<ShopEnvironment> | undefined;

/**
 * The one shop that all browser tests of a run share: an Odoo with 75 modules for each would be too expensive.
 * Every test creates its own customers.
 */
export async function shopEnvironment(): Promise<ShopEnvironment> {
  opening ??= open((line) => sayToTerminal(`    ${line}`));
  return opening;
}

async function open(say: Say): Promise<ShopEnvironment> {
  const executablePath = await ensureChromium(say);
  const stack = await shopStack(say);
  await stack.startManager();
  await stack.connectSidecar();
  await stack.startSidecar();
  const manager = await stack.manager();
  await new DemoSale(manager.rpc).plan();
  await openShop(manager.rpc);
  const office = new Office(manager.rpc);
  const plan = await office.demoPlan();
  const browser = await chromium.launch({ executablePath, args: QUIETLY });
  return { stack, manager, office, browser, plan };
}

/** Removes the customers' instances and closes the shop until the next run. */
async function close({ stack, manager, browser }: ShopEnvironment): Promise<void> {
  await browser.close();
  const instances = await manager.rpc.read<{ id: number }>('odoo.docker.instance', [], ['id']);
  const ids = instances.map(({ id }) => id);
  if (ids.length > 0) await manager.rpc.call('odoo.docker.instance', 'action_remove', [ids]);
  await eventually(async () => {
    const left = await manager.rpc.read('odoo.docker.instance', [], ['id']);
    if (left.length > 0) throw new Error(`${left.length} instances are still there.`);
  }, 120);
  await stack.containers.compose(['stop']);
  // The sidecar made it, and it goes on without.
  await run('docker', ['rm', '--force', '--', stack.containers.door]);
}

after(async function () {
  this.timeout(180_000);
  if (opening) await close(await opening);
});
