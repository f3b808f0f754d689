import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DockerApi } from '../../../src/docker/docker-api.ts';
import { dockerCli } from '../../../src/docker/docker-cli.ts';
import { Images } from '../../../src/docker/images.ts';
import { SwarmApi } from '../../../src/docker/swarm-api.ts';
import type { CommonEngine } from '../../../src/engine/common-engine.ts';
import { ComposeEngine } from '../../../src/engine/compose.ts';
import { DirectoryMarks } from '../../../src/files/directory-mark.ts';
import { InstanceDirs } from '../../../src/files/instance-dir.ts';
import { loadTemplates } from '../../../src/files/templates.ts';
import { databaseName } from '../../../src/instance/name.ts';
import type { DesiredInstance } from '../../../src/instance/types.ts';
import { Repositories } from '../../../src/repositories/repositories.ts';
import { SwarmEngine } from '../../../src/swarm/swarm-engine.ts';
import { run } from '../../../stack/run.ts';
import type { SwarmCluster, SwarmNode } from '../../support/swarm-cluster.ts';
import { templatesOf } from '../../support/throwaway-engine.ts';

/** The real engine on the cluster, with web servers as instances and an install of its own. */
export interface ThrowawaySwarm {
  readonly install: string;
  readonly engine: SwarmEngine;
  /** The other engine, with the same templates, on the host beside the swarm. */
  readonly compose: ComposeEngine;
  readonly dirs: InstanceDirs;
  readonly swarm: SwarmApi;
  /** The instances that were shut out of their databases, in order. */
  readonly shutOut: number[];
  /** Makes the files of an instance that has run, and starts it. */
  readonly startNew: (desired: DesiredInstance, by?: CommonEngine) => Promise<void>;
  /** On which nodes a container of the instance runs: their own engines are asked, not the swarm. */
  readonly runsOn: (id: number) => Promise<SwarmNode[]>;
  /** Removes all of the install. */
  readonly remove: () => Promise<void>;
}

const signal = new AbortController().signal;

export async function throwawaySwarm(
  cluster: SwarmCluster,
  install: string,
  template: { readonly program?: string } = {},
): Promise<ThrowawaySwarm> {
  const folder = join(cluster.sharedDir, install);
  await mkdir(folder);
  const { socket } = cluster.host;
  const [api, docker] = [new DockerApi(socket), dockerCli(socket)];
  const dataDir = join(folder, 'data');
  // Mounted, and never read: no web server has a database.
  const caFile = join(folder, 'ca.crt');
  await writeFile(caFile, '');
  const dirs = new InstanceDirs(dataDir);
  const sockets = cluster.nodes.map((node) => node.socket);
  const swarm = new SwarmApi(sockets);
  const shutOut: number[] = [];
  const options = {
    ...{ install, api, docker, dirs },
    images: new Images(install, api, docker),
    templates: await loadTemplates(await templatesOf(folder, template)),
    marks: new DirectoryMarks(dataDir, install),
    repositories: new Repositories({ dataDir, allowedProtocols: ['https'] }),
    sharedServer: { hosts: ['127.0.0.1'], port: 5432, caFile },
    publishAddress: cluster.host.address,
    urlPattern: 'http://127.0.0.1:{port}',
    answerTimeoutMs: 60_000,
  };
  const engine = new SwarmEngine({
    ...{ ...options, swarm },
    managerCli: dockerCli(sockets[0] ?? ''),
    shutOut: async ({ id }, password) => {
      await password();
      shutOut.push(id);
    },
  });
  const compose = new ComposeEngine(options);
  const on = ['--host', `unix://${socket}`];
  const label = ['--filter', `label=microsaas.install=${install}`];
  return {
    ...{ install, engine, compose, dirs, swarm, shutOut },
    startNew: async (desired, by = engine) => {
      await by.render({ ...desired, wasReady: false });
      const { filestore } = dirs.paths(desired.id);
      await mkdir(join(filestore, databaseName(install, desired.id), '00'), { recursive: true });
      await by.start({ ...desired, wasReady: false }, signal);
      await by.awaitLogin(desired, signal);
    },
    runsOn: async (id) => {
      const of = ['--filter', `label=microsaas.instance=${id}`];
      const found = await Promise.all(
        cluster.nodes.map((node) =>
          cluster.docker(node, 'ps', '--quiet', ...label, ...of).catch(() => ''),
        ),
      );
      return cluster.nodes.filter((_, index) => found[index]);
    },
    remove: async () => {
      for (const { id } of await swarm.services(`microsaas.install=${install}`))
        await swarm.remove(id);
      for (const { id } of await swarm.secrets([`microsaas.install=${install}`]))
        await swarm.removeSecret(id);
      const left = await run('docker', [...on, 'container', 'ls', '--all', '--quiet', ...label]);
      if (left) await run('docker', [...on, 'container', 'rm', '--force', ...left.split('\n')]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
