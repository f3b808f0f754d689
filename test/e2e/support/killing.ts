import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { execa } from 'execa';
import { run } from '../../../stack/run.ts';
import type { LogLine, Sidecar } from './sidecar.ts';

/** How long after the chosen moment the sidecar is killed, in milliseconds: a step takes some tenths of a second. */
export const DELAYS = [0, 40, 150, 400] as const;

/** How long to wait for the moment, in milliseconds; a last backup and its proof come before some. After that the sidecar has missed it. */
const TIMEOUT_MS = 400_000;

/**
 * Runs `act` and kills the sidecar a delay after its log has a line that `isMoment` accepts. The log is followed as a stream, so
 * that the moment is hit within some milliseconds.
 * @throws Error when no such line comes
 */
export async function killedAt(
  sidecar: Sidecar,
  isMoment: (line: LogLine) => boolean,
  delayMs: number,
  act: () => Promise<unknown>,
): Promise<void> {
  const since = new Date().toISOString();
  const logs = execa('docker', ['logs', '--follow', '--since', since, '--', sidecar.name], {
    reject: false,
    buffer: false,
    timeout: TIMEOUT_MS,
  });
  try {
    const reached = lineIn(logs.stdout, isMoment);
    await act();
    await reached;
    await sleep(delayMs);
    await sidecar.kill();
    await expectKilled(sidecar);
  } finally {
    logs.kill();
    await logs;
    // Whatever went wrong: the tests that follow need it.
    await sidecar.start();
  }
}

/** Runs `act` and kills the sidecar a delay after it has resolved. */
export async function killedAfter(
  sidecar: Sidecar,
  delayMs: number,
  act: () => Promise<unknown>,
): Promise<void> {
  await act();
  await sleep(delayMs);
  await sidecar.kill();
  await expectKilled(sidecar);
  await sidecar.start();
}

/** Accepts the log line that says that a step begins for an instance. */
export function stepOf(instance: number, step: string): (line: LogLine) => boolean {
  return (line) => line['instance'] === instance && line['step'] === step && line.msg === 'step';
}

async function lineIn(
  stream: NodeJS.ReadableStream,
  isMoment: (line: LogLine) => boolean,
): Promise<void> {
  for await (const text of createInterface({ input: stream }))
    if (text.startsWith('{') && isMoment(JSON.parse(text) as LogLine)) return;
  throw new Error('the sidecar never came to the moment at which it was to be killed');
}

/** Exit code 137: ended by SIGKILL, and not by itself before. */
async function expectKilled({ name }: Sidecar): Promise<void> {
  const format = '{{.State.Running}} {{.State.ExitCode}}';
  const said = await run('docker', ['container', 'inspect', '--format', format, '--', name]);
  expect(said, 'the sidecar').to.equal('false 137');
}
