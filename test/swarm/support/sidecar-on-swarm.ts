import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredInstance } from '../../../src/instance/types.ts';
import { assemble, type Sidecar } from '../../../src/wiring.ts';
import { images } from '../../../stack/images.ts';
import { aConfig } from '../../support/a-config.ts';
import { anInstance } from '../../support/samples.ts';
import type { SwarmCluster } from '../../support/swarm-cluster.ts';
import { type ClusterPostgres, startClusterPostgres } from './cluster-postgres.ts';

/** A sidecar on the host beside the swarm, wired as its configuration says, with a Postgres there; nothing of it runs by itself. */
export interface SidecarOnSwarm {
  readonly sidecar: Sidecar;
  /** The same with Compose, on its own host. */
  readonly beside: Sidecar;
  readonly postgres: ClusterPostgres;
  /** Makes and starts an instance by the steps of any. @returns it, once it answers */
  readonly make: (id: number, port: number, by?: Sidecar) => Promise<DesiredInstance>;
  readonly remove: () => Promise<void>;
}

/** @param name of its folder in the shared one */
export async function sidecarOnSwarm(cluster: SwarmCluster, name: string): Promise<SidecarOnSwarm> {
  const { signal } = new AbortController();
  const folder = join(cluster.sharedDir, name);
  await mkdir(folder);
  const postgres = await startClusterPostgres(cluster, join(folder, 'data'));
  const { password, user, ...server } = postgres.admin;
  if (!('hosts' in server)) throw new TypeError('a server at a socket');
  const sockets = cluster.nodes.map(({ socket }) => socket);
  const { instances } = aConfig(folder);
  const config = aConfig(folder, {
    docker: { socket: cluster.host.socket },
    postgres: { server, user, password, image: images.postgres },
    instances: { ...instances, publishAddress: cluster.host.address, answerSeconds: 300 },
  });
  const sidecar = await assemble({ ...config, swarm: { sockets, sharedDir: folder } });
  const beside = await assemble(config);
  const made: Array<{ readonly desired: DesiredInstance; readonly engine: Sidecar['engine'] }> = [];
  return {
    ...{ sidecar, beside, postgres },
    make: async (id, port, { databases, engine } = sidecar) => {
      const ports = { http: port, longpolling: port + 1 };
      const desired = anInstance({ id, ports, wasReady: false });
      made.push({ desired, engine });
      await engine.render(desired);
      await databases.prepareFor(desired, () => {}, signal);
      const clone = await databases.clone(desired, () => {}, signal);
      await Promise.all([engine.start(desired, signal), databases.personalise(desired, clone)]);
      const ready = { ...desired, wasReady: true };
      await engine.awaitListening(ready, signal);
      await engine.awaitLogin(ready, signal);
      return ready;
    },
    remove: async () => {
      for (const { desired, engine } of made) await engine.purge(desired, signal);
      await postgres.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
