import type { DockerCli } from '../docker/docker-cli.ts';
import { hardenedRun } from '../docker/helpers.ts';
import type { Command } from '../host/exec.ts';

/**
 * Prints the Python packages that the manifests below /checkout ask for (`external_dependencies`) and that this Python does
 * not have, one a line. A manifest is read as Odoo reads it, as a literal: nothing in it is run.
 */
const SCRIPT = `
import ast, importlib.metadata, importlib.util, pathlib

def is_there(name):
    try:
        importlib.metadata.distribution(name)
        return True
    except Exception:
        pass
    try:
        return importlib.util.find_spec(name.partition('.')[0]) is not None
    except Exception:
        return False

wanted = set()
for manifest in pathlib.Path('/checkout').rglob('__manifest__.py'):
    try:
        external = ast.literal_eval(manifest.read_text(encoding='utf-8')).get('external_dependencies', {})
        wanted.update(name for name in external.get('python', []) if isinstance(name, str))
    except Exception:
        continue
for name in sorted(wanted):
    if not is_there(name):
        print(name)
`;

/** The names that a package may have; anything else from a manifest is left out (packaging.python.org, "Names"). */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const MAX_NAMED = 20;
const TIMEOUT_MS = 60_000;

/** The Python packages that a checkout's modules need and an image does not have. */
export async function missingPackages(
  docker: DockerCli,
  install: string,
  image: string,
  tree: string,
  signal: AbortSignal,
): Promise<string[]> {
  const output = await docker(askForPackages(install, image, tree), {
    ...{ timeoutMs: TIMEOUT_MS, signal, input: SCRIPT },
  });
  return output
    .split('\n')
    .filter((name) => NAME.test(name))
    .slice(0, MAX_NAMED);
}

function askForPackages(install: string, image: string, tree: string): Command {
  return hardenedRun({
    ...{ install, kind: 'python-packages', image, mayPull: true },
    ...{ network: 'none', pids: 64, memory: '256m', isInteractive: true },
    ...{ options: [`--volume=${tree}:/checkout:ro`], entrypoint: 'python3', args: ['-'] },
  });
}
