import { getuid } from 'node:process';
import { varPath } from '../../stack/paths.ts';
import { succeeds } from '../../stack/run.ts';

/** What a cluster of engines on one machine needs, each with the Debian package that has it. */
const PROGRAMS = {
  flock: 'util-linux',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  ip: 'iproute2',
  iptables: 'iptables',
  dockerd: 'docker.io',
  'docker-init': 'docker.io',
} as const;

/** docker-init is the first process there: it reaps what others leave. */
const NAMESPACES = [
  ...['unshare', '--mount', '--net', '--pid', '--fork', '--mount-proc', '--kill-child'],
  ...['docker-init', '--'],
] as const;

/**
 * The beginning of a command line that runs a program in network, mount and process namespaces of its own. Whatever it leaves of links,
 * mounts and processes ends with it; the machine's own stay as they are. One of them runs at a time: what they have on the disk, and of
 * cgroups, is under one name.
 */
export const IN_OWN_NAMESPACES: readonly [string, ...string[]] = [
  ...(['flock', varPath('swarm.lock')] as const),
  ...NAMESPACES,
];

/** @throws Error saying what this machine lacks to run programs so, and engines in them */
export async function requireOwnNamespaces(): Promise<void> {
  if (getuid?.() !== 0) throw new Error('A cluster of engines needs root: run it as root.');
  const missing: string[] = [];
  for (const [program, source] of Object.entries(PROGRAMS))
    if (!(await succeeds('which', [program])))
      missing.push(`${program} (Debian's package ${source})`);
  if (missing.length > 0)
    throw new Error(`A cluster of engines needs what is not here: ${missing.join(', ')}.`);
  const [program, ...args] = NAMESPACES;
  if (!(await succeeds(program, [...args, 'true'])))
    throw new Error('A cluster of engines needs namespaces, which this machine does not give.');
}
