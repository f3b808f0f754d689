import { lookup } from 'node:dns/promises';
import { CommandError } from '../errors.ts';
import type { PostgresServer } from '../instance/types.ts';
import { nft, resolvConf } from './commands.ts';
import type { DockerApi } from './docker-api.ts';
import type { DockerCli } from './docker-cli.ts';
import { type AllowedTarget, egressScript, resolversIn } from './egress-rules.ts';
import { LABELS } from './labels.ts';
import { bridgeOf, bridgesOf, closedNetwork, firewallTable, isInstanceNetwork } from './names.ts';

export interface FirewallOptions {
  readonly install: string;
  readonly api: Pick<DockerApi, 'networks'>;
  readonly docker: DockerCli;
  /** Has `nft`; never pulled. */
  readonly image: string;
  readonly allow: readonly AllowedTarget[];
  /** The mail relay: instances reach it wherever it is, at this port. Null: none is configured. */
  readonly relay: { readonly host: string; readonly port: number } | null;
  /** The Postgres that instances share: on the network, they reach it wherever it is, staging copies and helpers too. */
  readonly server: PostgresServer;
}

/**
 * Restricts what instances reach: the internet, but neither this host nor private networks. The rules are an nftables table of this
 * install's own. A container with NET_ADMIN and no other capability loads them and ends; the sidecar itself has no such right.
 */
export class Firewall {
  readonly #options: FirewallOptions;
  /** Where hosts were found last, by name: a name server that fails for a moment does not close the way to them. */
  readonly #found = new Map<string, readonly string[]>();

  constructor(options: FirewallOptions) {
    this.#options = options;
  }

  /** Loads the rules again, whether or not they are still there: a reboot loses them. @throws CommandError, RetryableError */
  async ensure(): Promise<void> {
    const { allow, docker, image, install, relay, server } = this.#options;
    const [bridges, resolvers, mail, postgres] = await Promise.all([
      this.#bridges(),
      this.#resolvers(),
      this.#find(relay ? [relay.host] : [], relay?.port ?? 0),
      'hosts' in server ? this.#find(server.hosts, server.port) : [],
    ]);
    const script = egressScript({
      ...{ table: firewallTable(install), bridges, resolvers },
      closed: bridgeOf(closedNetwork(install)),
      allow: [...allow, ...mail],
      postgres,
    });
    await docker(nft(install, image, ['--file', '-']), { input: script });
  }

  /** Checks that the rules are loaded. @throws Error naming the bridge without one */
  async check(): Promise<void> {
    const { docker, image, install } = this.#options;
    const list = ['list', 'table', 'inet', firewallTable(install)];
    const table = await docker(nft(install, image, list)).catch((error: unknown) => {
      // The first line says what is wrong, the others repeat the command.
      if (error instanceof CommandError) throw new Error(error.stderr.split('\n')[0]);
      throw error;
    });
    const closed = bridgeOf(closedNetwork(install));
    // In both chains.
    if (table.split(`iifname "${closed}" jump from_copies`).length !== 3)
      throw new Error(`there is no rule from_copies for ${closed}`);
    for (const bridge of await this.#bridges())
      for (const chain of ['to_host', 'to_outside'])
        if (!table.includes(`iifname "${bridge}" jump ${chain}`))
          throw new Error(`there is no rule ${chain} for ${bridge}`);
  }

  /** The addresses of hosts as they are now: a name may lead to others than at the last time. */
  async #find(hosts: readonly string[], port: number): Promise<AllowedTarget[]> {
    const looked = hosts.map(async (host) => {
      const found = await lookup(host, { all: true }).catch(() => null);
      if (found)
        this.#found.set(
          host,
          found.map(({ address }) => address),
        );
      return (this.#found.get(host) ?? []).map((network) => ({ network, port }));
    });
    return (await Promise.all(looked)).flat();
  }

  /** The bridges of the instances' networks: by a pattern those that we name, one by one those of earlier releases, which Docker named. */
  async #bridges(): Promise<string[]> {
    const { api, install } = this.#options;
    const networks = await api.networks(`${LABELS.install}=${install}`);
    const ours = networks.filter(({ name }) => isInstanceNetwork(install, name));
    const others = ours.filter(({ name, bridge }) => bridge !== bridgeOf(name));
    return [bridgesOf(install), ...others.map(({ bridge }) => bridge)];
  }

  /** The name servers that Docker gives a container on its default bridge: it asks the same ones for all other networks. */
  async #resolvers(): Promise<string[]> {
    const { docker, image, install } = this.#options;
    return docker(resolvConf(install, image)).then(resolversIn, (error: unknown) => {
      // The default bridge may be switched off (daemon.json, "bridge": "none"): then egress.allow has to name them.
      if (error instanceof CommandError) return [];
      throw error;
    });
  }
}
