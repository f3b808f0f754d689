// Forms a swarm of three nodes on this machine and measures on it; in namespaces of its own (bench/swarm.ts). Prints one line of JSON.
import { setTimeout as sleep } from 'node:timers/promises';
import { SwarmApi } from '../src/docker/swarm-api.ts';
import type { DesiredInstance } from '../src/instance/types.ts';
import { images } from '../stack/images.ts';
import { SwarmCluster } from '../test/support/swarm-cluster.ts';
import { sidecarOnSwarm } from '../test/swarm/support/sidecar-on-swarm.ts';
import { pairs } from './pairs.ts';

/** How often the loop looks at tasks while a node is down, in milliseconds. */
const LOOK_INTERVAL_MS = 2_000;

const SERVICES = 1_000;
const LISTS = 11;

const { signal } = new AbortController();
const say = (line: string) => process.stderr.write(`    ${line}\n`);
const count = Number(process.argv[2]);

const seconds = async (work: () => Promise<unknown>) => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};

const cluster = await SwarmCluster.form([images.odoo, images.postgres]);
try {
  const host = await sidecarOnSwarm(cluster, 'bench');
  const { beside, sidecar } = host;
  const { databases, dirs, engine } = sidecar;
  const one = await host.make(1, 22_000);
  const other = await host.make(2, 23_000, beside);
  const start = async (by: typeof sidecar, desired: DesiredInstance) => {
    await by.engine.stop(desired, signal);
    return seconds(async () => {
      await by.engine.start(desired, signal);
      await by.engine.awaitListening(desired, signal);
      await by.engine.awaitLogin(desired, signal);
    });
  };
  const starts = await pairs(
    count,
    { usual: () => start(beside, other), ours: () => start(sidecar, one) },
    say,
  );
  await beside.engine.stop(other, signal);

  const fences: number[] = [];
  const backs: number[] = [];
  for (let round = 0; round < count; round++) {
    fences.push(
      await seconds(async () => databases.shutOut(one, () => dirs.renewDbPassword(one.id))),
    );
    await engine.render(one);
    await start(sidecar, one);
    const { address } = (await engine.list()).get(one.id) ?? {};
    const lost = cluster.nodes.find((node) => node.address === address);
    if (!lost) throw new Error('the instance is on no node');
    const back = await seconds(async () => {
      await cluster.losePower(lost);
      while ((await engine.observe(one, 'running')).containers !== 'partial')
        await sleep(LOOK_INTERVAL_MS);
      await engine.start(one, signal);
      await engine.awaitLogin(one, signal);
    });
    backs.push(back);
    say(`back after ${back.toFixed(1)} s, fence ${fences.at(-1)?.toFixed(2)} s`);
    await cluster.regainPower(lost);
    while (!(await sidecar.swarm?.nodes())?.every(({ isReady }) => isReady)) await sleep(500);
  }

  const swarm = new SwarmApi(cluster.nodes.map(({ socket }) => socket));
  const [service] = await swarm.services();
  if (!service) throw new Error('the instance has no service');
  const made = await seconds(async () => {
    for (let id = 2; id <= SERVICES; id++) {
      const labels = { ...service.spec.Labels, 'microsaas.instance': String(id) };
      const name = `ms-${sidecar.install}-${id}`;
      await swarm.put({
        ...service.spec,
        ...{ Name: name, Labels: labels, Mode: { Replicated: { Replicas: 0 } } },
      });
    }
  });
  say(`${SERVICES} services made in ${made.toFixed(0)} s`);
  const lists: number[] = [];
  for (let round = 0; round < LISTS; round++) lists.push(await seconds(() => engine.list()));
  for (const { id } of await swarm.services(`microsaas.install=${sidecar.install}`))
    await swarm.remove(id);
  process.stdout.write(`${JSON.stringify({ starts, fences, backs, lists })}\n`);
} finally {
  await cluster.end();
}
process.exit(0);
