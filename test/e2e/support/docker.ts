import { request } from 'node:http';
import { run, succeeds } from '../../../stack/run.ts';

const SOCKET = '/var/run/docker.sock';

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
  const filters = encodeURIComponent(JSON.stringify({ label: labels }));
  const path = `/containers/json?all=1&filters=${filters}`;
  const listed = (await fromDaemon<{ Id: string }[]>(path)) ?? [];
  const found = await Promise.all(
    listed.map(({ Id }) => fromDaemon<Container>(`/containers/${Id}/json`)),
  );
  // One that has gone since it was listed is not there.
  return found.filter((it) => it !== undefined);
}

/** Asks the daemon itself: an audit asks so often that the CLI's processes were half its time. @returns undefined where there is no such thing */
function fromDaemon<T>(path: string): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: SOCKET, path }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as T);
        else if (response.statusCode === 404) resolve(undefined);
        else reject(new Error(`Docker answered ${response.statusCode} to ${path}: ${text}`));
      });
    });
    call.on('error', reject);
    call.end();
  });
}

/** The id of the instance whose container it is. */
export function instanceOf(container: Container): number {
  return Number(container.Config.Labels['microsaas.instance']);
}

/** One container by name, or undefined. */
export async function containerNamed(name: string): Promise<Container | undefined> {
  return fromDaemon<Container>(`/containers/${encodeURIComponent(name)}/json`);
}

interface Named {
  Name: string;
}

/** Names of networks or volumes with this label. */
export async function namesWith(kind: 'network' | 'volume', label: string): Promise<string[]> {
  const path = `/${kind}s?filters=${encodeURIComponent(JSON.stringify({ label: [label] }))}`;
  const answer = (await fromDaemon<Named[] | { Volumes: Named[] | null }>(path)) ?? [];
  return (Array.isArray(answer) ? answer : (answer.Volumes ?? [])).map(({ Name }) => Name);
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
