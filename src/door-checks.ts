import { networkInterfaces } from 'node:os';
import { type Check, Warning } from './check.ts';
import type { Config } from './config.ts';
import { DoorRoutes } from './controller/door-routes.ts';
import { isFree } from './host/tcp-ports.ts';
import type { Sidecar } from './wiring.ts';

/** How long ago the door was last refused a configuration where one still is: the sidecar tries again every five minutes. */
const REFUSED_LATELY_MS = 10 * 60_000;

/** What is looked up of the wildcard record: a name that no instance has, for it is reserved. */
const ANY_LABEL = 'microsaas-doctor';

/** What the front door needs of this host, of DNS and of the certificate authority. None without a domain. */
export function doorChecks({ door }: Config, sidecar: Sidecar): Check[] {
  if (!door.domain) return [];
  const container = `ms-${sidecar.install}-door`;
  const ports = door.https ? [door.httpPort, door.httpsPort] : [door.httpPort];
  return [
    {
      name: 'Door',
      probe: () => checkPorts(ports, door.address, container, sidecar),
      fix: `stop what has bound ${ports.join(' or ')} on ${door.address}, or set door.address; the sidecar's log says why the door is shut, and so does docker logs ${container}`,
    },
    {
      name: "The door's names",
      probe: () => checkNames(door, sidecar),
      fix: `set the DNS records ${door.domain} and *.${door.domain} to the public address of this host, and door.addresses to that address where the host does not have it itself`,
    },
    {
      name: 'Certificates',
      probe: () => checkCertificates(door, sidecar),
      fix: door.certificateFile
        ? 'renew door.certificateFile and door.keyFile, or let the authority reach port 80 for what they are not for'
        : `the authority must reach port 80 of each name from the internet; docker logs ${container} has its answer`,
    },
  ];
}

async function checkPorts(
  ports: readonly number[],
  address: string,
  container: string,
  { docker, door }: Sidecar,
): Promise<string> {
  // One that ends again and again is `restarting`, and counts as running in Docker's own `State.Running`.
  const format = ['--format', '{{.State.Status}}'] as const;
  const isRunning = await docker([
    'docker',
    'container',
    'inspect',
    ...format,
    '--',
    container,
  ]).then(
    (said) => said.trim() === 'running',
    () => false, // there is none
  );
  const free: number[] = [];
  for (const port of ports) if (await isFree(port, address)) free.push(port);
  const shown = ports.map((port) => `${address}:${port}`).join(' and ');
  const refusal = (await door?.errors())?.filter(({ name }) => name === '').at(-1);
  if (isRunning && free.length === 0) {
    if (refusal === undefined || refusal.at < Date.now() - REFUSED_LATELY_MS)
      return `open at ${shown}`;
    throw new Error(`open at ${shown}, but with an earlier configuration: ${refusal.message}`);
  }
  const because = refusal === undefined ? '' : `: ${refusal.message}`;
  if (!isRunning && free.length === ports.length)
    throw new Warning(`shut; ${shown} are free for it${because}`);
  if (isRunning)
    throw new Error(`runs, but does not listen on ${address}:${free.join(' and ')}${because}`);
  const taken = ports.filter((port) => !free.includes(port));
  throw new Error(`another program has bound ${address}:${taken.join(' and ')}`);
}

async function checkNames(door: Config['door'], { verifier }: Sidecar): Promise<string> {
  const { domain, manager } = door;
  if (domain === 'localhost' || domain.endsWith('.localhost'))
    return `browsers know ${domain} by themselves`;
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const ours = door.addresses.length > 0 ? door.addresses : own.map(({ address }) => address);
  const names = [...(manager ? [manager] : []), ANY_LABEL].map((label) => `${label}.${domain}`);
  const found = new Set<string>();
  for (const name of names) {
    const located = await verifier.locate(name, ours);
    if ('addresses' in located) for (const address of located.addresses) found.add(address);
    else if (located.reason === 'DomainNotFound')
      throw new Error(`DNS does not know ${located.detail}`);
    else if (door.addresses.length > 0)
      throw new Error(`${name} leads to ${located.detail}, not to ${ours.join(', ')}`);
    else throw new Warning(`${name} leads to ${located.detail}, which is no address of this host`);
  }
  return `*.${domain} leads to ${[...found].join(', ')}`;
}

async function checkCertificates(
  { domain, https }: Config['door'],
  { certificates, door, manager }: Sidecar,
): Promise<string> {
  if (!https || certificates === null) return 'none: plain HTTP (door.https)';
  await certificates.checkGiven(domain);
  const routes = new DoorRoutes(domain, () => {});
  routes.replace(await manager.routes());
  const { missing, overdue, soonest } = await certificates.state(routes.hosts);
  if (missing.length > 0) {
    const refusal = (await door?.errors())?.filter(({ name }) => missing.includes(name)).at(-1);
    const because = refusal === undefined ? '' : `; ${refusal.name}: ${refusal.message}`;
    throw new Warning(`${missing.length} missing: ${missing.slice(0, 3).join(', ')}${because}`);
  }
  if (soonest === null) return 'none needed yet';
  if (overdue) throw new Warning(`that of ${overdue.name} ends on ${dayOf(overdue.until)}`);
  return `all there, the first until ${dayOf(soonest.until)}`;
}

function dayOf(moment: Date): string {
  return moment.toISOString().slice(0, 10);
}
