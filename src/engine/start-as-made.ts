import type { Container, DockerApi } from '../docker/docker-api.ts';
import { LABELS } from '../docker/labels.ts';
import { inStopOrder } from '../docker/stopping.ts';
import { RetryableError } from '../errors.ts';
import type { MadeFrom } from '../files/instance-dir.ts';

/** Labels of Compose's own. */
const SERVICE = 'com.docker.compose.service';

/** States from which the daemon starts a container, or need not. What was only created has failed to start once. */
const STARTABLE = new Set(['exited', 'running']);

/** What Docker answers where it does not start a container: its network is gone, its port is taken, it is gone itself. */
const REFUSALS: ReadonlySet<string> = new Set(['DockerRefused', 'DockerFailed']);

export interface Wanted {
  readonly file: MadeFrom;
  /** Of the instance. */
  readonly identity: string;
  /** Names of services; all when none is given. */
  readonly services: readonly string[];
}

/**
 * Starts an instance's containers as they are, in a fraction of the time that Compose takes, where Compose would start them too: each
 * service of the file has its container, made from the file as it stands. Those that others depend on come first.
 * @returns false where something else is to be done first, or Docker has refused: then Compose does it, or says why it cannot be done
 * @throws RetryableError('DockerUnavailable')
 */
export async function startAsMade(
  api: DockerApi,
  containers: readonly Container[],
  wanted: Wanted,
  signal: AbortSignal,
): Promise<boolean> {
  const chosen = containersAsMade(containers, wanted);
  if (chosen === null) return false;
  try {
    for (const group of inStopOrder(chosen).reverse())
      await Promise.all(group.map(({ id }) => api.start(id, signal)));
    return true;
  } catch (error) {
    if (error instanceof RetryableError && REFUSALS.has(error.reason)) return false;
    throw error;
  }
}

/** The containers of the services; null where one of them is not as the file would have it, or there are others. */
function containersAsMade(
  containers: readonly Container[],
  { file, identity, services }: Wanted,
): readonly Container[] | null {
  // Docker counts whole seconds.
  const since = Math.floor(file.since.getTime() / 1000);
  const isAsMade = ({ created, labels, state }: Container) =>
    STARTABLE.has(state) &&
    created >= since &&
    labels[LABELS.digest] === file.digest &&
    labels[LABELS.identity] === identity;
  const names = services.length > 0 ? services : file.services;
  const chosen = containers.filter(({ labels }) => names.includes(labels[SERVICE] ?? ''));
  const hasAll = new Set(chosen.map(({ labels }) => labels[SERVICE])).size === names.length;
  const isOne = chosen.length === names.length && containers.length <= file.services.length;
  return hasAll && isOne && chosen.every(isAsMade) ? chosen : null;
}
