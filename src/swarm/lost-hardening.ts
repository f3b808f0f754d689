/** What Compose gives a container and Swarm cannot: key of the Compose file, what stands in its place. */
export interface LostHardening {
  readonly key: string;
  readonly instead: string;
}

/** All of it. A test compares the rest, key by key, on real containers. */
export const LOST_HARDENING: readonly LostHardening[] = [
  {
    key: 'memswap_limit',
    instead: 'nodes without swap: a container may use as much of it as of memory',
  },
  {
    key: 'ports.host_ip',
    instead: '"ip" in each node’s daemon.json: the address that the door reaches it at',
  },
  { key: 'networks', instead: 'the default bridge with "icc": false, and each node’s own rules' },
  {
    key: 'security_opt',
    instead: 'Docker 25 on each node, or "no-new-privileges": true in its daemon.json',
  },
];
