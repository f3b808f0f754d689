import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { repository } from './paths.ts';
import { run } from './run.ts';

/** A Unix socket's path may have this many bytes, the closing zero not counted. */
const LONGEST_SOCKET_PATH = 107;

/** Everything one manager stack keeps on disk: the layout `deploy/docker-compose.yml` expects, and what is generated. */
export class StackFiles {
  readonly dir: string;

  /** @param dir absolute; the stack's own folder */
  constructor(dir: string) {
    this.dir = dir;
  }

  /** The sidecar's dataDir: instances, checkouts, the customers' Postgres socket. */
  get dataDir(): string {
    return join(this.dir, 'data');
  }

  get managerSocketDir(): string {
    return join(this.dir, 'manager', 'postgresql');
  }

  get tenantSocketDir(): string {
    return join(this.dataDir, 'postgresql');
  }

  /** A path in the folder the sidecar's container sees as /etc/microsaas. */
  sidecar(name: string): string {
    return join(this.dir, 'sidecar', name);
  }

  /**
   * Makes the folders and everything in them that does not depend on a running service. May be repeated.
   * @throws Error when the checkout's path is too long for a socket below it
   */
  async prepare(install: string): Promise<void> {
    const socket = join(this.tenantSocketDir, '.s.PGSQL.5432');
    if (Buffer.byteLength(socket) > LONGEST_SOCKET_PATH) {
      throw new Error(`The path ${socket} is too long for a socket: move the checkout up.`);
    }
    for (const folder of [this.managerSocketDir, this.tenantSocketDir, this.path('tenants')]) {
      await mkdir(folder, { recursive: true });
    }
    for (const folder of [this.path('secrets'), this.path('sidecar')]) {
      await mkdir(folder, { recursive: true });
      await chmod(folder, 0o700);
    }
    const deploy = join(repository, 'deploy');
    await copyFile(join(deploy, 'manager.pg_hba.conf'), this.path('manager/pg_hba.conf'));
    await copyFile(join(deploy, 'tenants.pg_hba.conf'), this.path('tenants/pg_hba.conf'));
    await this.write('data/install-id', `${install}\n`);
    // A file of its own for the sidecar: the folder with the other secrets never enters its container.
    await this.write('sidecar/postgres-password', await this.secret('tenant-db-password'));
  }

  /** A secret kept in `secrets/<name>`, mode 0600; made up the first time. */
  async secret(name: string): Promise<string> {
    const kept = await this.read(`secrets/${name}`);
    if (kept !== undefined) return kept;
    const secret = randomBytes(24).toString('base64url');
    await this.write(`secrets/${name}`, secret);
    return secret;
  }

  /** A generated file's text without the last line's end; undefined when there is none. */
  async read(name: string): Promise<string | undefined> {
    const text = await readFile(this.path(name), 'utf8').catch(() => undefined);
    return text?.replace(/\n$/, '');
  }

  /** Writes a file as a whole, readable by this user alone. */
  async write(name: string, text: string): Promise<void> {
    const file = this.path(name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(`${file}.new`, text, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  /** Forgets a generated file. */
  async remove(name: string): Promise<void> {
    await rm(this.path(name), { force: true });
  }

  /** Absolute path of a file in the stack's folder. */
  path(name: string): string {
    return join(this.dir, name);
  }

  /** The variables of docker-compose.yml; single quotes keep any path as it is. */
  async writeEnvironment(values: Record<string, string>): Promise<void> {
    const lines = Object.entries(values).map(([key, value]) => {
      if (/['\n\\]/.test(value))
        throw new Error(`${key}: quotes and \\ can't be used here: ${value}`);
      return `${key}='${value}'\n`;
    });
    await this.write('.env', lines.join(''));
  }

  /**
   * The manager's odoo.conf, handed to the image's own user.
   * @param options `database` is the one to serve; undefined: every database of the server (for tests)
   */
  async writeOdooConf(options: { database: string | undefined; image: string }): Promise<void> {
    const { database, image } = options;
    const template = await readFile(join(repository, 'deploy', 'odoo.conf.example'), 'utf8');
    const password = await this.secret('odoo-db-password');
    const text = template.replace('CHANGE-ME', () => password);
    const conf =
      database === undefined
        ? text
            .replace(/^db_name = .*\n/m, '')
            .replace(/^dbfilter = .*$/m, 'dbfilter = .*')
            // Its scheduler would open every database, even one that is being made.
            .replace(/^max_cron_threads = .*$/m, 'max_cron_threads = 0')
        : text;
    const name = 'manager/odoo.conf';
    if ((await this.readOwned(name, image)) === conf.replace(/\n$/, '')) return;
    await this.write(name, conf);
    await this.#giveToOdoo(name, image);
  }

  /** Like read(), for a file that may belong to the image's user already. */
  async readOwned(name: string, image: string): Promise<string | undefined> {
    const own = await this.read(name);
    if (own !== undefined || process.getuid?.() === 0) return own;
    const file = `/stack/${name}`;
    return this.#asRoot(image, 'cat', ['--', file]).catch(() => undefined);
  }

  /** Mode 0600 and the image's own user: root inside a container may do that even where this user may not. */
  async #giveToOdoo(name: string, image: string): Promise<void> {
    await chmod(this.path(name), 0o600);
    await this.#asRoot(image, 'chown', ['odoo:odoo', '--', `/stack/${name}`]);
  }

  async #asRoot(image: string, program: string, args: string[]): Promise<string> {
    const mount = `type=bind,source=${this.dir},target=/stack`;
    const container = ['run', '--rm', '--network', 'none', '--user', '0', '--mount', mount];
    return run('docker', [...container, '--entrypoint', program, '--', image, ...args]);
  }

  /**
   * The sidecar's configuration, `sidecar/microsaas.yaml`.
   * @param settings `inContainer`: secrets are named by where the sidecar's container sees them
   */
  async writeSidecarConfig(
    settings: Omit<SidecarConfig, 'dataDir' | 'folder'> & { readonly inContainer: boolean },
  ): Promise<void> {
    const folder = settings.inContainer ? '/etc/microsaas' : join(this.dir, 'sidecar');
    const config = sidecarConfig({ ...settings, folder, dataDir: this.dataDir });
    await this.write('sidecar/microsaas.yaml', stringify(config));
  }
}

/** What the sidecar's configuration is made of. */
interface SidecarConfig {
  readonly dataDir: string;
  /** Where the sidecar finds its secrets. */
  readonly folder: string;
  readonly managerUrl: string;
  readonly database: string;
  readonly port: number;
  readonly network: string;
  /** More sections of the configuration, and keys that replace those of the sections here. */
  readonly more: Readonly<Record<string, object>>;
}

/** The content of `microsaas.yaml`. */
export function sidecarConfig(settings: SidecarConfig): Record<string, unknown> {
  const { database, dataDir, folder, managerUrl: url, more, network, port } = settings;
  const config: Record<string, unknown> = {
    dataDir,
    manager: { url, database, apiKeyFile: join(folder, 'api-key') },
    webhook: { secretFile: join(folder, 'webhook-secret') },
    http: { port, managerNetwork: network },
    postgres: { passwordFile: join(folder, 'postgres-password') },
  };
  for (const [section, keys] of Object.entries(more))
    config[section] = { ...(config[section] as object | undefined), ...keys };
  return config;
}
