/** Networks that are not the internet: this host, private networks, multicast (RFC 6890), and what a cloud offers at 169.254.169.254. */
export const PRIVATE_NETWORKS = {
  ipv4: [
    ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16'],
    ...['172.16.0.0/12', '192.0.0.0/24', '192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/3'],
  ],
  /** Without `::ffff:0:0/96`, which is IPv4 in other words. */
  ipv6: ['::/96', '64:ff9b::/96', 'fc00::/7', 'fe80::/10', 'ff00::/8'],
} as const;
