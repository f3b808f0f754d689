import type { Command } from '../host/exec.ts';
import type { UnixUser } from '../host/files.ts';
import { hardenedRun } from './helpers.ts';

/**
 * Puts the session from its standard input, `{"sid", "content"}`, into the store of the Odoo in whose container it runs, as Odoo does
 * (http.py, `FilesystemSessionStore.save`): a file that is complete from its first moment. An error is said without the file's name, which
 * is the session's id.
 */
const SAVE_SESSION = `
import json, os, sys, tempfile

session = json.load(sys.stdin)
folder = os.path.join('/var/lib/odoo/sessions', session['sid'][:2])
try:
    os.makedirs(folder, 0o755, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=folder)
    with os.fdopen(handle, 'w', encoding='utf-8') as file:
        json.dump(session['content'], file)
    os.replace(path, os.path.join(folder, session['sid']))
except OSError as error:
    sys.exit(error.strerror)
`;

/** Runs in an Odoo's own container, as its user: whatever its tenant has made of that folder, nobody else's rights are in it. */
export function saveSession(container: string): Command {
  return ['docker', 'exec', '--interactive', '--', container, 'python3', '-I', '-c', SAVE_SESSION];
}

/** The store of an Odoo whose container is on another machine. */
export interface SessionStore {
  readonly install: string;
  /** The instance's, and the user that its Odoo is. */
  readonly image: string;
  readonly owner: UnixUser;
  /** The instance's folder of sessions, which this machine has too. */
  readonly folder: string;
}

/** The same in a container that has nothing but that folder, as the instance's user. */
export function saveSessionBeside({ folder, image, install, owner }: SessionStore): Command {
  return hardenedRun({
    ...{ install, kind: 'session', image, network: 'none', pids: 16, memory: '128m' },
    isInteractive: true,
    options: [
      `--user=${owner.uid}:${owner.gid}`,
      `--mount=type=bind,source=${folder},target=/var/lib/odoo/sessions`,
    ],
    ...{ entrypoint: 'python3', args: ['-I', '-c', SAVE_SESSION] },
  });
}
