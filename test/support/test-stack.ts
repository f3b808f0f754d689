import { installId } from '../../stack/install-id.ts';
import { ManagerStack } from '../../stack/manager.ts';
import { varPath } from '../../stack/paths.ts';
import { succeeds } from '../../stack/run.ts';
import { noNight } from './no-night.ts';
import { PORT_OFFSETS } from './port-offsets.ts';

/**
 * Starts a stack for tests on real parts, kept in `var/` from run to run, with a new Odoo and a new database.
 * @param options `name` of its folder: by default the one that all share that run one after the other; `databases` as in ManagerStack; `sidecarImage` undefined: the test itself acts as the sidecar
 */
export async function startTestStack(options: {
  name?: 'test' | 'addon';
  databases: 'one' | 'all';
  sidecarImage?: string;
}): Promise<ManagerStack> {
  const { name = 'test' } = options;
  const stack = new ManagerStack({
    dir: varPath(name),
    install: await installId(varPath(`${name}-install-id`)),
    modules: ['account', 'micro_saas'],
    languages: ['es_ES'],
    databases: options.databases,
    sidecarImage: options.sidecarImage,
    sidecarSettings: noNight(),
    templateCopies: varPath('template-copies'),
    portOffset: PORT_OFFSETS[name],
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
