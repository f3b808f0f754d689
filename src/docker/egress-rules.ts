import { isIP, isIPv4 } from 'node:net';
import { PRIVATE_NETWORKS } from '../host/private-networks.ts';

/** A target off the internet that instances may reach: an address or a network, and one TCP port; null: all ports and protocols. */
export interface AllowedTarget {
  readonly network: string;
  readonly port: number | null;
}

/** `10.1.2.3`, `10.1.2.0/24`, `10.1.2.3:5432`, `fd00::1`, `[fd00::1]:5432`; null when the text is none of them. */
export function parseAllowedTarget(text: string): AllowedTarget | null {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text);
  const plain = /^([^:]+)(?::(\d{1,5}))?$/.exec(text);
  const [, network = text, digits] = bracketed ?? plain ?? [];
  const [address = '', bits, ...rest] = network.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return null;
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)))
    return null;
  const port = digits === undefined ? null : Number(digits);
  return port !== null && (port < 1 || port > 65_535) ? null : { network, port };
}

/** IPv4 addresses written as IPv6: no host on the internet has one. */
const MAPPED_IPV4 = '::ffff:0:0/96';

/** Before Docker's own chains, whichever backend of iptables it uses: what one table drops, no other accepts again. */
const PRIORITY = -10;

export interface EgressRules {
  /** Of nftables: underscores, no hyphens. */
  readonly table: string;
  /** The instances' bridges: names, or beginnings of names that end in `*`. */
  readonly bridges: readonly string[];
  /** The one of them from which nothing else may leave than to the database. */
  readonly closed: string;
  /** The name servers that Docker asks for the instances. */
  readonly resolvers: readonly string[];
  readonly allow: readonly AllowedTarget[];
  /** What all of them reach, the closed one too. */
  readonly postgres: readonly AllowedTarget[];
}

/**
 * The whole table as a script for `nft -f -`, which loads all of it or nothing. It may be loaded again at any time: established
 * connections stay.
 */
export function egressScript(rules: EgressRules): string {
  const { allow, bridges, closed, postgres, resolvers, table } = rules;
  const dns = resolvers.map(
    (server) => `${familyOf(server)} daddr ${server} meta l4proto { tcp, udp } th dport 53 accept`,
  );
  const accept = ({ network, port }: AllowedTarget) =>
    `${familyOf(network)} daddr ${network}${port === null ? '' : ` tcp dport ${port}`} accept`;
  const databases = postgres.map(accept);
  const allowed = [...databases, ...allow.map(accept)];
  const jump = (chain: string) => bridges.map((bridge) => `iifname "${bridge}" jump ${chain}`);
  const fromCopies = `iifname "${closed}" jump from_copies`;
  const chain = (name: string, rules: readonly string[]) =>
    `  chain ${name} {\n${rules.map((rule) => `    ${rule}\n`).join('')}  }\n`;
  const hook = (name: string) => `type filter hook ${name} priority ${PRIORITY}; policy accept;`;
  return [
    // Deleting a table that does not exist would fail, so it is made first.
    `table inet ${table}\ndelete table inet ${table}\ntable inet ${table} {\n`,
    chain('to_host', [
      'ct state established,related accept',
      // Without these, IPv6 finds no neighbour.
      'icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept',
      ...dns,
      ...allowed,
      'drop',
    ]),
    chain('to_outside', [
      'ct state established,related accept',
      ...dns,
      ...allowed,
      `ip daddr { ${PRIVATE_NETWORKS.ipv4.join(', ')} } drop`,
      `ip6 daddr { ${[...PRIVATE_NETWORKS.ipv6, MAPPED_IPV4].join(', ')} } drop`,
      // Mail is submitted to a mail server with a password (587, 465), not delivered straight to the recipient's.
      'tcp dport 25 drop',
    ]),
    // Answers to visitors and the database only: no host, no name server, no mail relay, nothing that is allowed to the others.
    chain('from_copies', ['ct state established accept', ...databases, 'drop']),
    chain('input', [hook('input'), fromCopies, ...jump('to_host')]),
    chain('forward', [hook('forward'), fromCopies, ...jump('to_outside')]),
    '}\n',
  ].join('');
}

/** The name servers in a resolv.conf that a rule can name. */
export function resolversIn(resolvConf: string): string[] {
  return resolvConf
    .split('\n')
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? '')
    .filter((server) => isIP(server) !== 0);
}

function familyOf(network: string): 'ip' | 'ip6' {
  return isIPv4(network.split('/')[0] ?? '') ? 'ip' : 'ip6';
}
