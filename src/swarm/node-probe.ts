import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { ServiceSpec, SwarmApi } from '../docker/swarm-api.ts';
import { isUsable } from './choose-node.ts';
import { hasEnded } from './observe.ts';

/** How long the nodes may take for it, and how often they are looked at meanwhile, in milliseconds. */
const PROBE_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 200;

/** Writes what it finds into the shared folder, under its node's id. */
const PROGRAM = `
import json, os
def named(path, name):
    with open(path) as file:
        return next(line.split()[1] for line in file if line.startswith(name + ':'))
found = {
    'noNewPrivileges': named('/proc/self/status', 'NoNewPrivs') == '1',
    'swapKb': int(named('/proc/meminfo', 'SwapTotal')),
}
with open(os.path.join('/shared', os.environ['NODE']), 'w') as file:
    json.dump(found, file)
`;

const findingSchema = z.object({ noNewPrivileges: z.boolean(), swapKb: z.int() });

/** What a node is found to be, by a container on it. */
export interface NodeFinding {
  readonly name: string;
  /** Why no instance can run on it; '' where one can. */
  readonly problem: string;
  /** Its engine keeps a container's processes from gaining rights; null: it could not be asked. */
  readonly noNewPrivileges: boolean | null;
  /** It has swap, of which a container may use as much as of memory; null as above. */
  readonly hasSwap: boolean | null;
}

export interface NodeProbeOptions {
  readonly install: string;
  readonly swarm: SwarmApi;
  /** The folder that all nodes are to have. */
  readonly sharedDir: string;
}

/**
 * Has each node that instances may run on write into the shared folder, by a container as theirs are. A node that has another folder at that
 * path, or none, or not the image, is found by what this host does not read.
 * @param imageId of an Odoo, which has Python
 */
export async function probeNodes(
  { install, sharedDir, swarm }: NodeProbeOptions,
  imageId: string,
): Promise<NodeFinding[]> {
  const name = `ms-${install}-probe`;
  const folder = join(sharedDir, `.${name}`);
  const remove = async () => {
    const service = await swarm.service(name);
    if (service) await swarm.remove(service.id);
    await rm(folder, { recursive: true, force: true });
  };
  // One whose doctor was killed.
  await remove();
  await mkdir(folder);
  // Written by the image's user, whoever that is.
  await chmod(folder, 0o777);
  try {
    await swarm.put(probeService(name, folder, imageId));
    const errors = await ended(swarm, name);
    const nodes = (await swarm.nodes()).filter(isUsable);
    return await Promise.all(
      nodes.map(async (node) => {
        const text = await readFile(join(folder, node.id), 'utf8').catch(() => null);
        const found = text === null ? null : findingSchema.parse(JSON.parse(text));
        return {
          name: node.name,
          problem: found ? '' : errors.get(node.id) || `${sharedDir} is not the same folder there`,
          noNewPrivileges: found?.noNewPrivileges ?? null,
          hasSwap: found && found.swapKb > 0,
        };
      }),
    );
  } finally {
    await remove();
  }
}

function probeService(name: string, folder: string, imageId: string): ServiceSpec {
  return {
    Name: name,
    TaskTemplate: {
      ContainerSpec: {
        Image: imageId,
        Command: ['python3', '-I', '-c', PROGRAM],
        Env: ['NODE={{.Node.ID}}'],
        ...{ ReadOnly: true, CapabilityDrop: ['ALL'], Privileges: { NoNewPrivileges: true } },
        Mounts: [{ Type: 'bind', Source: folder, Target: '/shared' }],
      },
      RestartPolicy: { Condition: 'none' },
    },
    Mode: { Global: {} },
  } as ServiceSpec;
}

/** Waits until the probe has ended on every node. @returns what went wrong, by the node's id */
async function ended(swarm: SwarmApi, name: string): Promise<Map<string, string>> {
  const deadline = Date.now() + PROBE_TIMEOUT_MS;
  for (;;) {
    const service = await swarm.service(name);
    const tasks = service ? await swarm.tasksOf(service.id) : [];
    const count = (await swarm.nodes()).filter(isUsable).length;
    const over = tasks.filter(({ state }) => hasEnded(state));
    if (over.length >= count || Date.now() > deadline)
      return new Map(tasks.map(({ error, node }) => [node, error]));
    await sleep(POLL_INTERVAL_MS);
  }
}
