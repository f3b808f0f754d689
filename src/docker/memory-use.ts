import type { DockerApi } from './docker-api.ts';
import { LABELS } from './labels.ts';

/**
 * How many containers are asked about concurrently, and how long all of it may take, in milliseconds. Docker 20.10 answers all of them
 * at its next tick, of a second; later ones at once.
 */
const CONCURRENCY = 64;
const TIMEOUT_MS = 3_000;

/**
 * What the containers of instances use now, in bytes, without what the kernel would give back, by instance. One call to Docker for each
 * container that runs: for a command, not for the loop. What is not answered in time is left out.
 */
export async function memoryUse(
  api: DockerApi,
  install: string,
  isWanted: (id: number) => boolean,
): Promise<Map<number, number>> {
  const all = await api.containers([`${LABELS.install}=${install}`, LABELS.instance]);
  const up = all.filter(
    ({ labels, state }) => state === 'running' && isWanted(Number(labels[LABELS.instance])),
  );
  const found = new Map<number, number>();
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const rest = up.values();
  const ask = async () => {
    for (const { id, labels } of rest) {
      if (signal.aborted) return;
      const bytes = await api.memory(id, signal).catch(() => null);
      const instance = Number(labels[LABELS.instance]);
      if (bytes !== null) found.set(instance, (found.get(instance) ?? 0) + bytes);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, ask));
  return found;
}
