import type { Container, DockerApi } from './docker-api.ts';

/**
 * Stops the containers of one instance, a Postgres after the Odoo that uses it, whatever has become of the files that they were
 * made from. Each has the grace period it was made with.
 */
export async function stopAll(
  api: DockerApi,
  containers: readonly Container[],
  signal: AbortSignal,
): Promise<void> {
  for (const group of inStopOrder(containers))
    await Promise.all(
      group.map(async ({ id, state }) => {
        if (state === 'paused') await api.unpause(id);
        await api.stop(id, signal);
      }),
    );
}

/** Stops the containers and removes them. Their data are outside of them. */
export async function removeAll(
  api: DockerApi,
  containers: readonly Container[],
  signal: AbortSignal,
): Promise<void> {
  await stopAll(api, containers, signal);
  for (const { id } of containers) await api.remove(id);
}

/** Groups that may be stopped together, in order: those that others depend on (Compose says so in a label) come after these. */
export function inStopOrder(containers: readonly Container[]): Container[][] {
  const groups: Container[][] = [];
  let left = [...containers];
  while (left.length > 0) {
    const needed = new Set(left.flatMap(dependenciesOf));
    const next = left.filter((it) => !needed.has(it.labels['com.docker.compose.service'] ?? ''));
    const group = next.length > 0 ? next : left; // a cycle, which Compose would not have made
    groups.push(group);
    left = left.filter((it) => !group.includes(it));
  }
  return groups;
}

/** `db:service_started:false,…` → the services' names. */
function dependenciesOf({ labels }: Container): string[] {
  const text = labels['com.docker.compose.depends_on'] ?? '';
  return text.split(',').flatMap((part) => part.split(':').slice(0, 1));
}
