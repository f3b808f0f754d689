import { run, succeeds } from '../../../stack/run.ts';

/** The part of `docker inspect` that the tests use. */
export interface Container {
  Id: string;
  Name: string;
  Config: { Labels: Record<string, string>; Image: string };
  State: {
    Running: boolean;
    Paused: boolean;
    ExitCode: number;
    StartedAt: string;
    Pid: number;
  };
  HostConfig: { NetworkMode: string };
  Mounts: { Type: string; Source: string; Destination: string; RW: boolean; Name?: string }[];
  NetworkSettings: {
    Networks: Record<string, { IPAddress: string }>;
    Ports: Record<string, { HostIp: string; HostPort: string }[] | null>;
  };
}

/** Containers, running or not, that carry all of these labels. */
export async function containersWith(...labels: string[]): Promise<Container[]> {
  const filters = labels.flatMap((label) => ['--filter', `label=${label}`]);
  const ids = lines(await run('docker', ['container', 'ls', '--all', '--quiet', ...filters]));
  if (ids.length === 0) return [];
  return JSON.parse(await run('docker', ['container', 'inspect', '--', ...ids])) as Container[];
}

/** The id of the instance whose container it is. */
export function instanceOf(container: Container): number {
  return Number(container.Config.Labels['microsaas.instance']);
}

/** One container by name, or undefined. */
export async function containerNamed(name: string): Promise<Container | undefined> {
  const args = ['container', 'inspect', '--', name];
  const text = await run('docker', args).catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Container[])[0];
}

/** Names of networks or volumes with this label. */
export async function namesWith(kind: 'network' | 'volume', label: string): Promise<string[]> {
  const format = ['--format', '{{.Name}}'];
  return lines(await run('docker', [kind, 'ls', '--filter', `label=${label}`, ...format]));
}

/** Runs a program in a container. @returns its standard output @throws RunError */
export async function inContainer(
  container: string,
  command: [string, ...string[]],
  options: { user?: string; input?: string } = {},
): Promise<string> {
  const user = options.user === undefined ? [] : ['--user', options.user];
  const stdin = options.input === undefined ? [] : ['--interactive'];
  const args = ['exec', ...stdin, ...user, '--', container, ...command];
  return run('docker', args, options.input === undefined ? {} : { input: options.input });
}

/** Removes containers, networks or volumes if they exist. */
export async function discard(kind: 'container' | 'network' | 'volume', names: string[]) {
  const force = kind === 'container' ? ['--force', '--volumes'] : [];
  for (const name of names) await succeeds('docker', [kind, 'rm', ...force, '--', name], 60_000);
}

export function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
