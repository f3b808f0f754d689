import { freemem, networkInterfaces } from 'node:os';
import { inWords, megabytes } from './ages.ts';
import { type Check, Warning } from './check.ts';
import type { Config } from './config.ts';
import type { Sidecar } from './wiring.ts';

/** From here on the sidecar suspends and removes nothing (ClockGuard), and from here on somebody should look, in seconds. */
const CLOCK_FAIL_S = 5 * 60;
const CLOCK_WARN_S = 30;

/** Each takes some hundred instances. */
const MIN_NETWORKS = 3;

/** How many more instances there should be memory for. */
const NEXT_INSTANCES = 5;

/** What an instance of Odoo's own modules uses with nobody in it, in bytes: where none runs yet whose use could be measured. */
const USUAL_BYTES = 200 * 2 ** 20;

/** What nobody sees until it is too late: clocks, the relay of the instances' mail, Docker's addresses, memory. */
export function operatorChecks(config: Config, sidecar: Sidecar): Check[] {
  const { mailRelay } = config;
  return [
    {
      name: 'Clock',
      probe: () => checkClock(sidecar),
      fix: 'let an NTP client (systemd-timesyncd, chrony) set the clocks of this host, of Odoo and of Postgres',
    },
    {
      name: "The instances' mail",
      probe: async () => {
        if (sidecar.askRelay === null || mailRelay === null)
          return 'no relay (mail.relay): customers set up their own';
        return `${mailRelay.host}:${mailRelay.port} answers: ${await sidecar.askRelay()}`;
      },
      fix: 'check mail.relay: its host, its port and its encryption, and that the firewall of this host lets it through',
    },
    {
      name: "Docker's networks",
      probe: () => checkNetworks(sidecar),
      fix: 'remove networks that nobody uses (docker network prune), or give the daemon more addresses: default-address-pools in /etc/docker/daemon.json',
    },
    {
      name: 'Memory',
      probe: async () => {
        const used = await sidecar.memoryUse(() => true);
        return memoryFound(freemem(), config.instances.freeMemoryMb * 2 ** 20, [...used.values()]);
      },
      fix: 'sell no more on this host, let idle instances sleep (the plan has it), or give it more memory',
    },
    {
      name: 'Use of instances',
      probe: () => checkUse(sidecar),
      fix: "mount /sys/fs/cgroup:/host/sys/fs/cgroup:ro into the sidecar's container, as deploy/docker-compose.yml has it",
    },
  ];
}

async function checkUse({ cgroups, engine, swarm }: Sidecar): Promise<string> {
  if (swarm) return 'memory and processors are not measured on several hosts';
  const running = [...(await engine.list()).values()].find((listed) => listed.running);
  if (!running) return 'none runs';
  const { memoryBytes } = await cgroups.of(running.containers);
  if (memoryBytes === null)
    throw new Warning(
      "their memory and processors are not measured: the kernel's counters are not seen",
    );
  return 'memory and processors are measured';
}

async function checkClock({ databases, install, manager }: Sidecar): Promise<string> {
  const differences: string[] = [];
  let worst = 0;
  for (const [who, ask] of [
    ['Odoo', async () => (await manager.handshake(install)).now],
    ['Postgres', () => databases.clock()],
  ] as const) {
    const before = Date.now();
    const theirs = await ask();
    // An older addon does not say.
    if (theirs === 0) continue;
    // They read it somewhere between the question and the answer.
    const difference = theirs - (before + Date.now()) / 2000;
    worst = Math.max(worst, Math.abs(difference));
    if (Math.abs(difference) >= 1)
      differences.push(
        `${who}'s is ${inWords(Math.abs(difference))} ${difference > 0 ? 'ahead' : 'behind'}`,
      );
  }
  const found = differences.join(', ') || "Odoo's and Postgres' agree with this host's";
  if (worst > CLOCK_FAIL_S)
    throw new Error(`${found}: nothing is suspended or removed until they agree`);
  if (worst > CLOCK_WARN_S) throw new Warning(found);
  return found;
}

async function checkNetworks({ freeNetworks }: Sidecar): Promise<string> {
  const host = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const { free, total } = await freeNetworks(host.flatMap(({ cidr }) => cidr ?? []));
  const found = `addresses for ${free} more of ${total}`;
  if (free === 0) throw new Error('no addresses for another one');
  if (free < MIN_NETWORKS) throw new Warning(found);
  return found;
}

/**
 * How many more instances the memory suffices for. Pure.
 * @param free of the host, in bytes. @param kept below which none is started. @param used by each one that runs
 * @throws Warning where it is few
 */
export function memoryFound(free: number, kept: number, used: readonly number[]): string {
  const sum = used.reduce((total, bytes) => total + bytes, 0);
  const each = used.length > 0 ? Math.max(1, sum / used.length) : USUAL_BYTES;
  const room = Math.max(0, Math.floor((free - kept) / each));
  const found = `${megabytes(free)} free, enough for about ${room} more instances of ${megabytes(each)}`;
  if (room < NEXT_INSTANCES) throw new Warning(found);
  return found;
}
