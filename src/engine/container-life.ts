import { containerLogs } from '../docker/commands.ts';
import type { Container, DockerApi } from '../docker/docker-api.ts';
import type { DockerCli } from '../docker/docker-cli.ts';
import { projectName } from '../instance/name.ts';
import { forLog } from '../log.ts';
import type { Awaited, Life } from './await-answer.ts';
import { containersOf } from './observe.ts';

/** After this many restarts in a row by Docker, a container that is still `restarting` counts as crash-looping. */
const CRASH_LOOP_RESTARTS = 3;

/** How much of a container's log is kept, in characters. */
const LOG_TAIL_LENGTH = 2_000;

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
    lastWords: async () => {
      const container = `${projectName(install, id)}-odoo`;
      const command = containerLogs(container, { tail: 20, follow: false });
      const text = await docker(command, { mixed: true }).catch(String);
      return forLog(text).slice(-LOG_TAIL_LENGTH);
    },
  };
}

async function lifeOf(api: DockerApi, containers: readonly Container[]): Promise<Life> {
  for (const { id, state } of containers)
    if (state === 'restarting' && (await api.restarts(id)) >= CRASH_LOOP_RESTARTS) return 'looping';
  const isUp = containers.length > 0 && containers.every(({ state }) => ALIVE.has(state));
  return isUp ? 'up' : 'ended';
}
