import { containerLogs } from '../docker/commands.ts';
import type { Container, DockerApi } from '../docker/docker-api.ts';
import type { DockerCli } from '../docker/docker-cli.ts';
import { odooContainer } from '../instance/name.ts';
import { type Awaited, type Life, LOG_TAIL_LINES } from './await-answer.ts';
import { containersOf } from './observe.ts';

/** After this many restarts in a row by Docker, a container that is still `restarting` counts as crash-looping. */
const CRASH_LOOP_RESTARTS = 3;

/** States of a container that may still answer. */
const ALIVE = new Set(['running', 'restarting']);

export interface ContainerLifeOptions {
  readonly install: string;
  readonly api: DockerApi;
  readonly docker: DockerCli;
  readonly answerTimeoutMs: number;
}

/** An instance of this host's Docker that is waited for. */
export function containerLife(
  { answerTimeoutMs, api, docker, install }: ContainerLifeOptions,
  id: number,
): Awaited {
  return {
    answerTimeoutMs,
    life: async () => lifeOf(api, await containersOf(api, install, id)),
    lastWords: () => {
      const options = { tail: LOG_TAIL_LINES, follow: false };
      return docker(containerLogs(odooContainer(install, id), options), { mixed: true });
    },
  };
}

async function lifeOf(api: DockerApi, containers: readonly Container[]): Promise<Life> {
  for (const { id, state } of containers)
    if (state === 'restarting' && (await api.restarts(id)) >= CRASH_LOOP_RESTARTS) return 'looping';
  const isUp = containers.length > 0 && containers.every(({ state }) => ALIVE.has(state));
  return isUp ? 'up' : 'ended';
}
