import { join } from 'node:path';
import { LABELS } from '../src/docker/labels.ts';
import { repository } from './paths.ts';
import { type RunOptions, run, succeeds } from './run.ts';

/** What a packed filestore is called, whichever database's it was. */
const PACKED = 'packed';

/** The containers of one manager stack and their network, by `deploy/docker-compose.yml`. */
export class StackContainers {
  readonly names: Record<'manager' | 'managerDb' | 'tenantDb' | 'sidecar', string>;
  /** The sidecar makes it, where it has a door. */
  readonly door: string;
  readonly network: string;
  readonly #install: string;
  readonly #dir: string;

  /** @param dir absolute; the stack's folder, Compose's project directory */
  constructor(install: string, dir: string) {
    const project = `ms-${install}`;
    this.#install = install;
    this.#dir = dir;
    this.network = `${project}-manager`;
    this.names = {
      manager: `${project}-manager`,
      managerDb: `${project}-manager-db`,
      tenantDb: `${project}-tenant-db`,
      sidecar: `${project}-sidecar`,
    };
    this.door = `${project}-door`;
  }

  /** `docker compose` on this stack. @returns its standard output */
  async compose(args: string[], options: RunOptions = {}): Promise<string> {
    const file = join(repository, 'deploy', 'docker-compose.yml');
    const place = ['--ansi', 'never', '--file', file, '--project-directory', this.#dir];
    return run('docker', ['compose', ...place, ...args], options);
  }

  /** One program in the manager's container, or in one like it while that does not run. */
  async inManager(command: [program: string, ...args: string[]]): Promise<void> {
    const [program, ...args] = command;
    if (await this.isRunning(this.names.manager)) {
      await run('docker', ['exec', '--', this.names.manager, program, ...args]);
      return;
    }
    const like = ['run', '--rm', '--no-deps', '--entrypoint', program, '--', 'manager'];
    await this.compose([...like, ...args]);
  }

  /** Writes the files of one of the manager's databases to a tar file of this machine. */
  async packFilestore(database: string, file: string): Promise<void> {
    const names = `--transform=s,^filestore/${database},filestore/${PACKED},`;
    const what = ['--create', names, '--', `filestore/${database}`];
    await this.#tar(what, { outputFile: file });
  }

  /** Makes the files of one of the manager's databases from what packFilestore() wrote of any. */
  async unpackFilestore(database: string, file: string): Promise<void> {
    const names = `--transform=s,^filestore/${PACKED},filestore/${database},`;
    await this.#tar(['--extract', names], { inputFile: file });
  }

  async #tar(args: string[], options: RunOptions): Promise<void> {
    const like = ['run', '--rm', '--no-deps', '--no-TTY', '--entrypoint', 'tar', '--', 'manager'];
    await this.compose([...like, '--directory=/var/lib/odoo', ...args], options);
  }

  /** Odoo's command line on one database, to its end, beside the running one. */
  async odoo(database: string, args: string[]): Promise<void> {
    const quietly = ['--stop-after-init', '--no-http', '--max-cron-threads', '0'];
    const like = ['run', '--rm', '--no-deps', '--', 'manager', '--database', database];
    await this.compose([...like, ...quietly, ...args], { timeout: 900_000 });
  }

  /** Whether a container runs; one that fails and is started again and again does not. */
  async isRunning(container: string): Promise<boolean> {
    const args = ['container', 'inspect', '--format', '{{.State.Status}}', '--', container];
    return (await run('docker', args).catch(() => 'absent')) === 'running';
  }

  /** What a container has written since it was last started. */
  async log(container: string): Promise<string> {
    const args = ['container', 'inspect', '--format', '{{.State.StartedAt}}', '--', container];
    const since = await run('docker', args);
    return run('docker', ['logs', '--since', since, '--', container], { both: true });
  }

  /** The network the sidecar listens on for the manager; made beforehand, since both need its gateway's address. */
  async ensureNetwork(): Promise<void> {
    if (await succeeds('docker', ['network', 'inspect', '--', this.network])) return;
    const install = ['--label', `${LABELS.install}=${this.#install}`];
    const part = ['--label', 'microsaas.part=manager'];
    await run('docker', ['network', 'create', ...install, ...part, '--', this.network]);
  }

  /** The address this machine has on the manager's network. */
  async gateway(): Promise<string> {
    const format = '{{(index .IPAM.Config 0).Gateway}}';
    return run('docker', ['network', 'inspect', '--format', format, '--', this.network]);
  }
}
