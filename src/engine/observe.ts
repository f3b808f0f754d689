import type { Container, DockerApi } from '../docker/docker-api.ts';
import { LABELS } from '../docker/labels.ts';
import { areSameButLimits } from '../files/render.ts';
import type { ObservedInstance, Owner } from '../instance/types.ts';

/** The containers of one instance, by the labels that its files gave them. */
export function containersOf(api: DockerApi, install: string, id: number): Promise<Container[]> {
  return api.containers([`${LABELS.install}=${install}`, `${LABELS.instance}=${id}`]);
}

/** Whose an instance's containers are, by the label that its files gave them. */
export function containersOwner(containers: readonly Container[], identity: string): Owner {
  if (containers.length === 0) return 'nobody';
  const labels = containers.map((container) => container.labels[LABELS.identity]);
  if (labels.some((label) => label !== undefined && label !== identity)) return 'foreign';
  return labels.includes(undefined) ? 'unmarked' : 'own';
}

/** The container of the service `odoo` of every template. */
export function odooOf(containers: readonly Container[]): Container | undefined {
  return containers.find(({ name }) => name.endsWith('-odoo'));
}

/** Docker's words for a container that is (or is just becoming) up. */
const UP = new Set(['running', 'restarting']);

/**
 * What an instance's containers amount to.
 * @param services how many containers its template makes. @param digest of the files they should be made from.
 */
export function containersState(
  containers: readonly Container[],
  services: number,
  digest: string,
): ObservedInstance['containers'] {
  if (containers.length === 0) return 'none';
  if (containers.some(({ state }) => state === 'paused')) return 'paused';
  const up = containers.filter((container) => UP.has(container.state));
  if (up.length === 0) return 'stopped';
  if (up.length < services) return 'partial';
  return up.every(({ labels }) => areSameButLimits(labels[LABELS.digest] ?? '', digest))
    ? 'running'
    : 'outdated';
}
