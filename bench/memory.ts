import { readdir, readFile } from 'node:fs/promises';
import { run } from '../stack/run.ts';
import type { Benchmark } from './benchmark.ts';
import { UsualInstance } from './usual.ts';

/** How many run concurrently, each logged in to once. The usual way shares nothing, so that fewer are enough. */
const USUAL = 5;
const OURS = 20;

/**
 * Memory of one idle instance with everything it needs: its containers' processes, Docker's own for them, and ours with a
 * share of the customers' Postgres. Each page that several processes share counts in equal parts (PSS).
 */
export const memory: Benchmark = {
  name: 'memory',
  about:
    'memory of one idle instance including everything it needs, against the usual way (as root)',
  measure: async ({ stack }) => {
    const bench = await stack();
    const { install, containers } = bench.stack;
    const sale = await bench.shop('base');

    const usual = await Promise.all(
      Array.from({ length: USUAL }, (_, index) => UsualInstance.at(install, index + 1, ['base'])),
    );
    for (const instance of usual) await instance.provision();
    const projects = usual.map((it) => `label=com.docker.compose.project=${it.project}`);
    const usualBytes = await memoryOf(await containerIds(projects));
    for (const instance of usual) await instance.remove();

    const invoices: number[] = [];
    for (let i = 0; i < OURS; i++) invoices.push(await sale.invoice());
    await (await sale.payment(...invoices))();
    for (const invoice of invoices) await bench.usable(invoice);
    const ids = (await bench.instances(invoices)).map(({ id }) => id);
    const labels = ids.map((id) => `label=com.docker.compose.project=ms-${install}-${id}`);
    const instances = await memoryOf(await containerIds(labels));
    const shared = await memoryOf(await containerIds([`name=^/${containers.names.tenantDb}$`]));
    await bench.takeDown(...invoices);

    const each = { usual: usualBytes / USUAL / 1e6, ours: (instances + shared) / OURS / 1e6 };
    return {
      figures: [
        {
          title: `memory of one idle instance, of ${OURS} that share a Postgres (${each.usual.toFixed(0)} MB ÷ ${each.ours.toFixed(0)} MB)`,
          value: each.usual / each.ours,
          unit: '×',
          better: 'higher',
          atLeast: 1.1,
          aim: 1.5,
        },
      ],
      samples: {
        instances: { usual: USUAL, ours: OURS },
        megabytesEach: each,
        megabytesOfSharedPostgres: shared / 1e6,
      },
    };
  },
};

async function containerIds(filters: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const filter of filters) {
    const listed = await run('docker', ['ps', '--quiet', '--no-trunc', '--filter', filter]);
    found.push(...listed.split('\n').filter(Boolean));
  }
  return found;
}

/** Bytes of the containers' processes, and of Docker's shim and port proxies for them. */
async function memoryOf(containers: readonly string[]): Promise<number> {
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}';
  const addresses = await run('docker', ['inspect', '--format', format, '--', ...containers]);
  // Spaces around it: an address may be a prefix of another.
  const marks = [
    ...containers,
    ...addresses
      .split(/\s+/)
      .filter(Boolean)
      .map((it) => ` ${it} `),
  ];
  let bytes = 0;
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const [cgroup, command] = await Promise.all(
      ['cgroup', 'cmdline'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')),
    );
    const words = (command ?? '').replaceAll('\0', ' ');
    const isOurs =
      containers.some((id) => cgroup?.includes(id)) ||
      (/^\S*(containerd-shim|docker-proxy)/.test(words) &&
        marks.some((mark) => words.includes(mark)));
    if (isOurs) bytes += await proportionalSize(pid);
  }
  return bytes;
}

async function proportionalSize(pid: string): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch((error) => {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return ''; // it has ended meanwhile
    throw new Error('Reading the memory of containers needs root.', { cause: error });
  });
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}
