import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DockerApi } from '../src/docker/docker-api.ts';
import { dockerCli } from '../src/docker/docker-cli.ts';
import { CaddyDoor } from '../src/door/door.ts';
import type { DoorRoute } from '../src/interfaces.ts';
import { freePort } from '../stack/free-port.ts';
import { images } from '../stack/images.ts';
import { run } from '../stack/run.ts';
import type { Benchmark } from './benchmark.ts';
import { median } from './statistics.ts';

const NAMES = 10_000;
const LOADS = 5;
const REQUESTS = 2_000;
const SOCKET = '/var/run/docker.sock';

/** Jiffies a second, on every Linux that Docker runs on (`getconf CLK_TCK`). */
const CLK_TCK = 100;

/** What one more name costs the door, and what the door costs a request. As root: it reads the container's process. */
export const door: Benchmark = {
  name: 'door',
  about: `Caddy with ${NAMES} names: loading them, its memory, a request through it beside one past it (as root)`,
  measure: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'microsaas-bench-door-'));
    const install = `z${randomInt(36 ** 4, 36 ** 5 - 1).toString(36)}`;
    const odoo = createServer((_req, res) => res.end('ok')).listen(0, '127.0.0.1');
    await once(odoo, 'listening');
    const upstream = (odoo.address() as AddressInfo).port;
    const httpPort = await freePort(18_300);
    const proxy = new CaddyDoor({
      ...{ install, dataDir: folder, api: new DockerApi(SOCKET), docker: dockerCli(SOCKET) },
      settings: {
        ...{ image: images.caddy, domain: 'localhost', manager: '', managerPort: upstream },
        ...{ https: false, address: '127.0.0.1', httpPort, httpsPort: httpPort },
        ...{ certificateFile: '', keyFile: '', publishAddress: '127.0.0.1' },
        acme: { directory: 'https://acme.invalid/directory', email: '', rootFile: '' },
      },
    });
    try {
      const routes = routesTo(upstream);
      await proxy.ensure(routes);
      const pid = await run('docker', [
        'inspect',
        '--format',
        '{{.State.Pid}}',
        `ms-${install}-door`,
      ]);
      const loads: number[] = [];
      for (let load = 0; load < LOADS; load++) {
        const before = await cpuSeconds(pid);
        await proxy.ensure([...routes, route(NAMES + 1 + load, upstream)]);
        loads.push((await cpuSeconds(pid)) - before);
      }
      const last = `n${NAMES}.localhost`;
      const through = await milliseconds(httpPort, last);
      const past = await milliseconds(upstream, last);
      const resident = await residentMb(pid);
      return {
        figures: [
          {
            title: `the door loads ${NAMES} names, CPU`,
            ...{ value: median(loads), unit: ' s', better: 'lower', atLeast: 0.5 },
          },
          {
            title: `resident memory of the door after ${LOADS} loads of ${NAMES} names`,
            ...{ value: resident, unit: ' MB', better: 'lower', atLeast: 100 },
          },
          {
            title: 'a request through the door: one past it is shorter by',
            ...{ value: through - past, unit: ' ms', better: 'lower', atLeast: 5 },
          },
        ],
        samples: { loads, through, past, resident },
      };
    } finally {
      await run('docker', ['rm', '--force', '--', `ms-${install}-door`]);
      odoo.close();
      odoo.closeAllConnections();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

function route(id: number, port: number): DoorRoute {
  const ports = { http: port, longpolling: port };
  return { id, subdomain: `n${id}`, formerSubdomains: [], domains: [], ports };
}

function routesTo(port: number): DoorRoute[] {
  return Array.from({ length: NAMES }, (_, index) => route(index + 1, port));
}

/** User and system time of a process so far. @see proc(5), `/proc/[pid]/stat`, fields 14 and 15 */
async function cpuSeconds(pid: string): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLK_TCK;
}

async function residentMb(pid: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024) / 1e6;
}

/** The median of many small requests, one after the other on one connection. */
async function milliseconds(port: number, host: string): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  for (let number = 0; number < REQUESTS; number++) {
    const start = performance.now();
    await new Promise<void>((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port, headers: { host }, agent }, (response) => {
        if (response.statusCode !== 200)
          reject(new Error(`${host} answers ${response.statusCode}`));
        response.resume().on('end', resolve);
      });
      call.on('error', reject).end();
    });
    times.push(performance.now() - start);
  }
  agent.destroy();
  return median(times);
}
