import { shopModules } from '../../stack/demo-shop.ts';
import { installId } from '../../stack/install-id.ts';
import { ManagerStack } from '../../stack/manager.ts';
import { varPath } from '../../stack/paths.ts';
import type { Say } from '../../stack/progress.ts';
import { ensureSidecarImage } from '../../stack/sidecar-image.ts';
import { noNight } from './no-night.ts';
import { PORT_OFFSETS } from './port-offsets.ts';

/**
 * The stack whose manager has the web shop, in `var/shop`; not started yet. It is kept from run to run, as a real shop is, and
 * upgraded when an addon has changed, which tests the upgrade on a database with data.
 */
export async function shopStack(say: Say): Promise<ManagerStack> {
  return new ManagerStack({
    dir: varPath('shop'),
    install: await installId(varPath('shop-install-id')),
    modules: ['account', 'micro_saas', ...shopModules],
    languages: ['es_ES'],
    databases: 'one',
    sidecarImage: await ensureSidecarImage(),
    sidecarSettings: noNight(),
    templateCopies: varPath('template-copies'),
    portOffset: PORT_OFFSETS.shop,
    door: 'local',
    say,
  });
}
