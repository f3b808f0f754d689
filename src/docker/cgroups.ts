import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the host's control groups may be seen: in the sidecar's own container, whose `/sys/fs/cgroup` is its own, and on a host. */
const ROOTS = ['/host/sys/fs/cgroup', '/sys/fs/cgroup'];

/** What containers use, from the kernel's own counters. */
export interface ContainerUse {
  /** Without what the kernel would give back; null where a container has no counters. */
  readonly memoryBytes: number | null;
  /** Processor time since each was started, in seconds; null where a container has no counters. */
  readonly cpuSeconds: number | null;
}

/** The files of one version of control groups, and how they are read. */
interface Layout {
  readonly memory: string;
  readonly stat: string;
  readonly inactive: string;
  readonly cpu: string;
  readonly seconds: (text: string) => number | null;
}

/** @param group below each hierarchy. Version 2 has one hierarchy, version 1 one for each controller */
const LAYOUTS: ReadonlyArray<(group: string) => Layout> = [
  (group) => ({
    memory: join(group, 'memory.current'),
    stat: join(group, 'memory.stat'),
    inactive: 'inactive_file',
    cpu: join(group, 'cpu.stat'),
    seconds: (text) => scaled(named(text, 'usage_usec'), 1e6),
  }),
  (group) => ({
    memory: join('memory', group, 'memory.usage_in_bytes'),
    stat: join('memory', group, 'memory.stat'),
    inactive: 'total_inactive_file',
    cpu: join('cpuacct', group, 'cpuacct.usage'),
    seconds: (text) => scaled(numberOf(text), 1e9),
  }),
];

/** What containers use, read from files of the kernel: it costs Docker nothing, which `docker stats` does. */
export class Cgroups {
  readonly #roots: readonly string[];

  /** @param roots others only in tests */
  constructor(roots = ROOTS) {
    this.#roots = roots;
  }

  /** The sum over containers that run. @param ids Docker's */
  async of(ids: readonly string[]): Promise<ContainerUse> {
    const each = await Promise.all(ids.map((id) => this.#one(id)));
    return {
      memoryBytes: sum(each.map(({ memoryBytes }) => memoryBytes)),
      cpuSeconds: sum(each.map(({ cpuSeconds }) => cpuSeconds)),
    };
  }

  async #one(id: string): Promise<ContainerUse> {
    // Docker's two drivers, systemd and cgroupfs, name a container's group differently.
    for (const group of [`system.slice/docker-${id}.scope`, `docker/${id}`])
      for (const root of this.#roots)
        for (const layout of LAYOUTS) {
          const found = await read(root, layout(group));
          if (found) return found;
        }
    return { memoryBytes: null, cpuSeconds: null };
  }
}

/** Null where the group is not here. */
async function read(root: string, layout: Layout): Promise<ContainerUse | null> {
  const text = (name: string) => readFile(join(root, name), 'utf8').catch(() => null);
  const [memory, stat, cpu] = await Promise.all([
    text(layout.memory),
    text(layout.stat),
    text(layout.cpu),
  ]);
  if (memory === null && cpu === null) return null;
  const used = memory === null ? null : numberOf(memory);
  const inactive = named(stat ?? '', layout.inactive) ?? 0;
  return {
    memoryBytes: used === null ? null : Math.max(0, used - inactive),
    cpuSeconds: cpu === null ? null : layout.seconds(cpu),
  };
}

/** The number after a name, in a file with one pair a line. */
function named(text: string, name: string): number | null {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? null : numberOf(line.slice(name.length));
}

function numberOf(text: string): number | null {
  return /^\s*\d+\s*$/.test(text) ? Number(text) : null;
}

function scaled(value: number | null, unit: number): number | null {
  return value === null ? null : value / unit;
}

/** Null where one of them is, or where there is none: a part would look like the whole. */
function sum(values: readonly (number | null)[]): number | null {
  if (values.length === 0) return null;
  return values.reduce((all, one) => (all === null || one === null ? null : all + one), 0);
}
