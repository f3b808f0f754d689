import { installId } from '../../stack/install-id.ts';
import { ManagerStack } from '../../stack/manager.ts';
import { varPath } from '../../stack/paths.ts';
import { succeeds } from '../../stack/run.ts';

/**
 * The stack all tests on real parts share, kept in `var/test` from run to run: Odoo is started afresh, its database too.
 * @param options `databases` as in ManagerStack; `sidecarImage` undefined: the test itself plays the sidecar
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
    say: (line) => process.stdout.write(`    ${line}\n`),
  });
  const { manager, sidecar } = stack.containers.names;
  await succeeds('docker', ['container', 'rm', '--force', '--', sidecar]);
  // Odoo reads its configuration and fills its caches at start: an earlier run's must not shine through.
  await succeeds('docker', ['stop', '--', manager]);
  const remembered = await stack.files.read('stack.json');
  if (remembered !== undefined)
    await stack.files.write('stack.json', JSON.stringify({ ...JSON.parse(remembered), addon: '' }));
  await stack.startManager();
  return stack;
}
