import { join } from 'node:path';
import { freePort } from '../stack/free-port.ts';
import { repository } from '../stack/paths.ts';
import { run } from '../stack/run.ts';
import { usable } from './usable.ts';

/** One customer's Odoo, created in the usual way (`usual/docker-compose.yml`). */
export class UsualInstance {
  readonly project: string;
  readonly #variables: Record<string, string>;
  /** Where people reach it. */
  readonly url: string;

  private constructor(install: string, number: number, modules: readonly string[], port: number) {
    this.project = `ms-${install}-usual-${number}`;
    this.#variables = { INSTALL: install, MODULES: modules.join(','), PORT: String(port) };
    this.url = `http://127.0.0.1:${port}`;
  }

  /** @param number which of the concurrent ones, from 1 */
  static async at(install: string, number: number, modules: readonly string[]) {
    return new UsualInstance(install, number, modules, await freePort(38_000 + number * 10));
  }

  /** From nothing to a logged in administrator. @param pollMs the poll interval. @returns seconds */
  async provision(pollMs?: number): Promise<number> {
    const start = performance.now();
    await this.#compose('up', '--detach', '--quiet-pull');
    await usable(this.url, 'odoo', async () => ({ login: 'admin', password: 'admin' }), pollMs);
    return (performance.now() - start) / 1000;
  }

  /** Gives its Odoo, not its Postgres, the limits of a plan. */
  async limit({ cpus, memoryMb }: { cpus: number; memoryMb: number }): Promise<void> {
    const limits = [`--cpus=${cpus}`, `--memory=${memoryMb}m`, `--memory-swap=${memoryMb}m`];
    await run('docker', ['update', ...limits, '--', `${this.project}-web-1`]);
  }

  async remove(): Promise<void> {
    await this.#compose('down', '--volumes', '--timeout', '0');
  }

  async #compose(...args: string[]): Promise<void> {
    const file = join(repository, 'bench', 'usual', 'docker-compose.yml');
    const place = ['--ansi', 'never', '--project-name', this.project, '--file', file];
    await run('docker', ['compose', ...place, ...args], { env: this.#variables });
  }
}
