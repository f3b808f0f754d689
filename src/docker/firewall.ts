import { CommandError } from '../errors.ts';
import { bridgeOf, bridgesOf, firewallTable, isInstanceNetwork } from '../instance/name.ts';
import { nft, resolvConf } from './commands.ts';
import type { DockerApi } from './docker-api.ts';
import type { DockerCli } from './docker-cli.ts';
import { type AllowedTarget, egressScript, resolversIn } from './egress-rules.ts';
import { LABELS } from './labels.ts';

export interface FirewallOptions {
  readonly install: string;
  readonly api: Pick<DockerApi, 'networks'>;
  readonly docker: DockerCli;
  /** Has `nft`; never pulled. */
  readonly image: string;
  readonly allow: readonly AllowedTarget[];
}

/**
 * Where instances may go: the internet, not this host nor what is private. The rules are a table of nftables of this install's own.
 * A container that has NET_ADMIN and nothing else lays them down, and is gone a third of a second later: the sidecar itself may not.
 */
export class Firewall {
  readonly #options: FirewallOptions;

  constructor(options: FirewallOptions) {
    this.#options = options;
  }

  /** Lays the rules down anew, whatever has become of them: a reboot loses them. @throws CommandError, RetryableError */
  async ensure(): Promise<void> {
    const { allow, docker, image, install } = this.#options;
    const [bridges, resolvers] = await Promise.all([this.#bridges(), this.#resolvers()]);
    const script = egressScript({ table: firewallTable(install), bridges, resolvers, allow });
    await docker(nft(install, image, ['--file', '-']), { input: script });
  }

  /** @throws Error naming what is not walled in */
  async check(): Promise<void> {
    const { docker, image, install } = this.#options;
    const list = ['list', 'table', 'inet', firewallTable(install)];
    const found = await docker(nft(install, image, list)).catch((error: unknown) => {
      // The first line says what is wrong, the others show where in the command.
      if (error instanceof CommandError) throw new Error(error.stderr.split('\n')[0]);
      throw error;
    });
    for (const bridge of await this.#bridges())
      for (const chain of ['to_host', 'to_outside'])
        if (!found.includes(`iifname "${bridge}" jump ${chain}`))
          throw new Error(`there is no rule ${chain} for ${bridge}`);
  }

  /** Those made since they have names of their own, by these; earlier ones by the name that Docker gave them. */
  async #bridges(): Promise<string[]> {
    const { api, install } = this.#options;
    const networks = await api.networks(`${LABELS.install}=${install}`);
    const ours = networks.filter(({ name }) => isInstanceNetwork(install, name));
    const others = ours.filter(({ name, bridge }) => bridge !== bridgeOf(name));
    return [bridgesOf(install), ...others.map(({ bridge }) => bridge)];
  }

  /** What Docker gives a container on its default bridge: the servers that it asks for all others too. */
  async #resolvers(): Promise<string[]> {
    const { docker, image, install } = this.#options;
    return docker(resolvConf(install, image)).then(resolversIn, (error: unknown) => {
      // The default bridge may be switched off (daemon.json, "bridge": "none"): then egress.allow has to name them.
      if (error instanceof CommandError) return [];
      throw error;
    });
  }
}
