import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { images } from '../../stack/images.ts';
import { run } from '../../stack/run.ts';
import { eventually } from '../e2e/support/eventually.ts';

/** What one order of a certificate begins with (RFC 8555, section 7.4). */
const NEW_ORDER = '/acme/local/new-order';

export interface AcmeAuthorityOptions {
  /** Of the container. */
  readonly name: string;
  /** An empty directory. */
  readonly folder: string;
  /** A loopback address of its own. */
  readonly address: string;
  readonly port: number;
  /** The address of each name that it is to certify. Caddy's own option `resolvers` is for TXT records alone. */
  readonly hosts: ReadonlyMap<string, string>;
}

/** A private certificate authority: a second Caddy, which validates over HTTP-01 and TLS-ALPN-01 on the real ports 80 and 443. */
export class AcmeAuthority {
  readonly #options: AcmeAuthorityOptions;

  constructor(options: AcmeAuthorityOptions) {
    this.#options = options;
  }

  get directory(): string {
    return `https://${this.#options.address}:${this.#options.port}/acme/local/directory`;
  }

  /** The file of its root certificate, on this host. */
  get rootFile(): string {
    return join(this.#options.folder, 'caddy', 'pki', 'authorities', 'local', 'root.crt');
  }

  async start(): Promise<void> {
    const { folder, hosts, name } = this.#options;
    const known = [...hosts].map(([host, address]) => `--add-host=${host}:${address}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'authority.json'), JSON.stringify(this.#config()));
    await run('docker', [
      ...['run', '--detach', '--name', name, '--network', 'host', '--cap-drop', 'ALL', ...known],
      ...['--env', 'XDG_DATA_HOME=/data', '--env', 'XDG_CONFIG_HOME=/data/config'],
      ...['--volume', `${folder}:/data`, '--entrypoint', 'caddy', '--', images.caddy],
      ...['run', '--config', '/data/authority.json'],
    ]);
    await eventually(async () => {
      const log = await this.#log();
      if (!log.includes('serving initial configuration')) throw new Error(log.slice(-500));
    });
  }

  async stop(): Promise<void> {
    await run('docker', ['rm', '--force', '--volumes', '--', this.#options.name]);
  }

  /** How many certificates it was asked for. */
  async orders(): Promise<number> {
    return (await this.#log()).split('\n').filter((line) => line.includes(NEW_ORDER)).length;
  }

  #log(): Promise<string> {
    return run('docker', ['logs', '--', this.#options.name], { both: true });
  }

  #config() {
    const { address, port } = this.#options;
    return {
      admin: { disabled: true },
      apps: {
        pki: { certificate_authorities: { local: { install_trust: false } } },
        http: {
          servers: {
            authority: {
              listen: [`${address}:${port}`],
              routes: [{ handle: [{ handler: 'acme_server', ca: 'local' }] }],
              tls_connection_policies: [{ default_sni: address }],
              automatic_https: { disable: true },
              logs: {},
            },
          },
        },
        tls: {
          certificates: { automate: [address] },
          automation: { policies: [{ subjects: [address], issuers: [{ module: 'internal' }] }] },
        },
      },
    };
  }
}
