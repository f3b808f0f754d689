import { type HelperKind, LABELS } from './commands.ts';
import type { DockerApi } from './docker-api.ts';

const MINUTE = 60;

/** How long a helper may run, in seconds: longer than whoever started it waits for it. */
const LIMITS: Record<HelperKind, number> = {
  'image-user': 5 * MINUTE,
  compile: 5 * MINUTE,
  'python-packages': 5 * MINUTE,
  'apps-list': 5 * MINUTE,
  'odoo-init': 65 * MINUTE,
  'pg-tools': 65 * MINUTE,
};

/** How long a helper may be there without running, in seconds: it is made, started and, at its end, removed. */
const NOT_RUNNING = MINUTE;

/**
 * Removes the helpers whose sidecar was killed: `docker run --rm` leaves a container that it made and did not start yet, and one
 * that nobody waits for runs on. @returns their names
 */
export async function removeStaleHelpers(
  api: DockerApi,
  install: string,
  now: Date,
): Promise<string[]> {
  const helpers = await api.containers([`${LABELS.install}=${install}`, LABELS.helper]);
  const removed: string[] = [];
  for (const { created, id, labels, name, state } of helpers) {
    const age = now.getTime() / 1000 - created;
    const limit = LIMITS[labels[LABELS.helper] as HelperKind] ?? NOT_RUNNING;
    if (age <= (state === 'running' ? limit : NOT_RUNNING)) continue;
    await api.remove(id);
    removed.push(name);
  }
  return removed;
}
