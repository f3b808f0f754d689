import type { Command } from '../host/exec.ts';
import type { DockerApi } from './docker-api.ts';
import { LABELS } from './labels.ts';

const MINUTE_SECONDS = 60;

/**
 * The helpers: containers that do one thing for the sidecar and end. How long each may run, in seconds: longer than whoever started
 * it waits for it.
 */
const LIMITS = {
  'image-user': 5 * MINUTE_SECONDS,
  'odoo-version': 5 * MINUTE_SECONDS,
  firewall: 5 * MINUTE_SECONDS,
  'manager-conf': 5 * MINUTE_SECONDS,
  'resolv-conf': 5 * MINUTE_SECONDS,
  compile: 5 * MINUTE_SECONDS,
  'python-packages': 5 * MINUTE_SECONDS,
  'apps-list': 5 * MINUTE_SECONDS,
  session: 5 * MINUTE_SECONDS,
  neutralise: 15 * MINUTE_SECONDS,
  'odoo-init': 65 * MINUTE_SECONDS,
  'pg-tools': 65 * MINUTE_SECONDS,
  backup: 185 * MINUTE_SECONDS,
  boot: 15 * MINUTE_SECONDS,
} as const;

export type HelperKind = keyof typeof LIMITS;

/** How long a helper may be there without running, in seconds: it is made, started and, at its end, removed. */
const NOT_RUNNING = MINUTE_SECONDS;

/** What a container of the sidecar's own may be given: each caller names what it needs it for. */
export type Capability =
  | 'CHOWN'
  | 'DAC_OVERRIDE'
  | 'DAC_READ_SEARCH'
  | 'FOWNER'
  | 'NET_ADMIN'
  | 'NET_BIND_SERVICE';

/** An option of `docker run`: it has what customers leave of the processors. */
export const LOWEST_PRIORITY = '--cpu-shares=128';

/** An option of `docker run` that tells what stands still while customers' instances start: see Background. */
export const BACKGROUND_LABEL = `--label=${LABELS.background}=true`;

/** A container that the sidecar runs for itself. */
export interface HardenedRun {
  readonly install: string;
  /** null: it is no helper, and its caller removes it by its name. */
  readonly kind: HelperKind | null;
  readonly image: string;
  /** The image may not be here yet: then it is pulled. */
  readonly mayPull?: boolean;
  /** `ms-…`: one of the install's own. */
  readonly network: 'none' | 'bridge' | 'host' | `ms-${string}`;
  /** How many processes and threads it may have. */
  readonly pids: number;
  /** How much memory it may have, as Docker writes it: `512m`. The content of a tmpfs counts. */
  readonly memory: string;
  /** The only capabilities that it has. */
  readonly capabilities?: readonly Capability[];
  /** It reads what the sidecar writes to its standard input. */
  readonly isInteractive?: boolean;
  /** It runs on when the command has ended, and its container stays when it ends itself. */
  readonly isDetached?: boolean;
  /** Names, users, mounts and variables: nothing that gives it more rights. */
  readonly options?: readonly string[];
  /** The program; without one, the image's own entrypoint. */
  readonly entrypoint?: string;
  readonly args?: readonly string[];
}

/**
 * `docker run` with all the hardening there is: no capabilities, no way to gain any, a read-only root, and limits. The one place where
 * the sidecar makes a container without Compose.
 */
export function hardenedRun(run: HardenedRun): Command {
  return [
    ...['docker', 'run', run.isDetached ? '--detach' : '--rm'],
    ...(run.isInteractive ? ['--interactive'] : []),
    ...(run.mayPull ? [] : ['--pull=never']),
    ...[`--network=${run.network}`, '--read-only', '--security-opt=no-new-privileges'],
    ...['--cap-drop=ALL', ...(run.capabilities ?? []).map((one) => `--cap-add=${one}`)],
    ...[`--pids-limit=${run.pids}`, `--memory=${run.memory}`],
    ...(run.kind ? helperLabels(run.install, run.kind) : [installLabel(run.install)]),
    ...(run.options ?? []),
    ...(run.entrypoint ? [`--entrypoint=${run.entrypoint}`] : []),
    ...['--', run.image, ...(run.args ?? [])],
  ] as const as Command;
}

/** The labels by which the sweep finds a helper that outlived its sidecar. */
export function helperLabels(install: string, kind: HelperKind): string[] {
  return [installLabel(install), `--label=${LABELS.helper}=${kind}`];
}

function installLabel(install: string): string {
  return `--label=${LABELS.install}=${install}`;
}

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
    const isAtWork = state === 'running' || state === 'paused';
    if (age <= (isAtWork ? limit : NOT_RUNNING)) continue;
    await api.remove(id);
    removed.push(name);
  }
  return removed;
}
