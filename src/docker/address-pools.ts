/** Addresses of which the daemon gives each new network a block: `size` is the length of a block's prefix. */
export interface AddressPool {
  readonly base: string;
  readonly size: number;
}

/** What a daemon without `default-address-pools` has (localScopeDefaultNetworks in moby's libnetwork/ipamutils/utils.go). */
export const DOCKERS_POOLS: readonly AddressPool[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
];

/** First and last address, as numbers. */
type Range = readonly [first: number, last: number];

/**
 * How many more networks the daemon can make: the blocks of its pools that none of these subnets overlaps. Pure.
 * @param subnets of Docker's networks and of the host, in CIDR notation; what is not IPv4 is left out
 */
export function freeBlocks(
  pools: readonly AddressPool[],
  subnets: readonly string[],
): { readonly free: number; readonly total: number } {
  const taken = subnets.map(rangeOf).filter((range) => range !== null);
  let [free, total] = [0, 0];
  for (const { base, size } of pools) {
    const pool = rangeOf(base);
    if (pool === null || size < 1 || size > 32) continue;
    const length = 2 ** (32 - size);
    const blocks = Math.floor((pool[1] - pool[0] + 1) / length);
    const used = new Set<number>();
    for (const [first, last] of taken) {
      if (last < pool[0] || first > pool[1]) continue;
      const from = Math.floor((Math.max(first, pool[0]) - pool[0]) / length);
      const to = Math.floor((Math.min(last, pool[1]) - pool[0]) / length);
      for (let block = from; block <= to; block++) used.add(block);
    }
    total += blocks;
    free += Math.max(0, blocks - used.size);
  }
  return { free, total };
}

/** Null for what is not an IPv4 subnet. */
function rangeOf(subnet: string): Range | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(subnet);
  if (!parts) return null;
  const [a = 0, b = 0, c = 0, d = 0, prefix = 0] = parts.slice(1).map(Number);
  if (prefix > 32 || [a, b, c, d].some((part) => part > 255)) return null;
  const length = 2 ** (32 - prefix);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  const first = address - (address % length);
  return [first, first + length - 1];
}
