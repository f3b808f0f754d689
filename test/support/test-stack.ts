import { installId } from '../../stack/install-id.ts';
import { ManagerStack } from '../../stack/manager.ts';
import { varPath } from '../../stack/paths.ts';
import { succeeds } from '../../stack/run.ts';
import { noNight } from './no-night.ts';

/**
 * Starts the stack that all tests on real parts share, kept in `var/test` from run to run, with a new Odoo and a new database.
 * @param options `databases` as in ManagerStack; `sidecarImage` undefined: the test itself acts as the sidecar
 */
export async function startTestStack(options: {
  databases: 'one' | 'all';
  sidecarImage?: string;
}): Promise<ManagerStack> {
  const stack = new ManagerStack({
    dir: varPath('test'),
    install: await installId(varPath('test-install-id')),
    modules: ['account', 'micro_saas'],
    languages: ['es_ES'],
    databases: options.databases,
    sidecarImage: options.sidecarImage,
    sidecarSettings: noNight(),
    say: (line) => process.stdout.write(`    ${line}\n`),
  });
  const { manager, sidecar } = stack.containers.names;
  await succeeds('docker', ['container', 'rm', '--force', '--', sidecar]);
  // Odoo reads its configuration and fills its caches at start: those of an earlier run must not be used.
  await succeeds('docker', ['stop', '--', manager]);
  const remembered = await stack.files.read('stack.json');
  if (remembered !== undefined)
    await stack.files.write('stack.json', JSON.stringify({ ...JSON.parse(remembered), addon: '' }));
  await stack.startManager();
  return stack;
}
