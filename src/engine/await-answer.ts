import { setTimeout as sleep } from 'node:timers/promises';
import { containerLogs } from '../docker/commands.ts';
import type { Container, DockerApi } from '../docker/docker-api.ts';
import type { DockerCli } from '../docker/docker-cli.ts';
import { RetryableError } from '../errors.ts';
import { projectName } from '../instance/name.ts';
import type { DesiredInstance } from '../instance/types.ts';
import { forLog } from '../log.ts';
import { containersOf } from './observe.ts';

/** An instance that starts is asked this often, in milliseconds; one that takes long, less often. */
const POLL_INTERVAL_MS = 25;
const SLOW_POLL_AFTER_MS = 10_000;
const SLOW_POLL_INTERVAL_MS = 1_000;

/** While it starts, the container itself is observed this often, in milliseconds: a crash should not wait for the deadline. */
const CONTAINER_CHECK_INTERVAL_MS = 1_000;

/** After this many restarts in a row by Docker, a container that is still `restarting` counts as crash-looping. */
const CRASH_LOOP_RESTARTS = 3;

/** How much of a container's log is kept, in characters. */
const LOG_TAIL_LENGTH = 2_000;

/** States of a container that may still answer. */
const ALIVE = new Set(['running', 'restarting']);

export interface AnswerWaitOptions {
  readonly install: string;
  readonly api: DockerApi;
  readonly docker: DockerCli;
  readonly answerTimeoutMs: number;
}

/**
 * Waits until an instance that was started answers, or shows that it will not.
 * @returns false when an instance that has run before is no longer up
 * @throws RetryableError('NotAnswering'), ('StartFailed'), ('CrashLoop')
 */
export async function awaitAnswer(
  options: AnswerWaitOptions,
  desired: DesiredInstance,
  answers: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<boolean> {
  const began = Date.now();
  const deadline = began + options.answerTimeoutMs;
  let nextCheck = began + CONTAINER_CHECK_INTERVAL_MS;
  while (!(await answers())) {
    signal.throwIfAborted();
    if (Date.now() > deadline)
      throw new RetryableError('NotAnswering', 'The instance was started but does not answer.', {
        cause: new Error(await logTail(options, desired)),
      });
    if (Date.now() > nextCheck) {
      const containers = await containersOf(options.api, options.install, desired.id);
      await refuseCrashLoop(options, desired, containers);
      if (containers.length === 0 || containers.some(({ state }) => !ALIVE.has(state))) {
        // One that ran before was stopped or removed from outside: the next round starts it again.
        if (desired.wasReady) return false;
        throw new RetryableError(
          'EndedWhileStarting',
          'The instance ended while it was starting.',
          {
            cause: new Error(await logTail(options, desired)),
          },
        );
      }
      nextCheck = Date.now() + CONTAINER_CHECK_INTERVAL_MS;
    }
    await sleep(Date.now() - began > SLOW_POLL_AFTER_MS ? SLOW_POLL_INTERVAL_MS : POLL_INTERVAL_MS);
  }
  return true;
}

async function refuseCrashLoop(
  options: AnswerWaitOptions,
  desired: DesiredInstance,
  containers: readonly Container[],
): Promise<void> {
  for (const { id, state } of containers) {
    if (state !== 'restarting' || (await options.api.restarts(id)) < CRASH_LOOP_RESTARTS) continue;
    throw new RetryableError(
      'CrashLoop',
      'The instance ends again and again while it starts. The operator finds its last words in the log.',
      { cause: new Error(await logTail(options, desired)) },
    );
  }
}

/** The end of the container's log, for the sidecar's own log alone: it is a tenant's text. */
async function logTail(
  { docker, install }: AnswerWaitOptions,
  { id }: DesiredInstance,
): Promise<string> {
  const container = `${projectName(install, id)}-odoo`;
  const text = await docker(containerLogs(container, { tail: 20, follow: false }), {
    mixed: true,
  }).catch(String);
  return forLog(text).slice(-LOG_TAIL_LENGTH);
}
