import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { images } from '../../../stack/images.ts';
import type { ManagerStack } from '../../../stack/manager.ts';
import { run } from '../../../stack/run.ts';
import { quoted, withSql } from '../../../stack/sql.ts';
import { discard } from './docker.ts';

/** Foreign containers, networks, databases and folders, named so that a careless pattern would match them (I8). */
export class Decoys {
  readonly #stack: ManagerStack;
  readonly #container: string;
  readonly #volume: string;
  readonly #network: string;
  readonly #databases: string[];
  #planted = '';

  constructor(stack: ManagerStack) {
    const { install } = stack;
    this.#stack = stack;
    this.#container = `ms-${install}x-1-odoo`;
    this.#volume = `ms-${install}-1_data`;
    this.#network = `ms-${install}-net-1x`;
    this.#databases = [`ms_${install}_1_backup`, `ms_${install}x_1`];
  }

  async plant(): Promise<void> {
    await this.clear();
    const { install } = this.#stack;
    const ours = ['--label', `microsaas.install=${install}x`, '--label', 'microsaas.instance=1'];
    await run('docker', [
      ...['run', '--detach', '--name', this.#container, '--network', 'none', ...ours],
      ...['--entrypoint', 'sleep', '--', images.postgres, 'infinity'],
    ]);
    await run('docker', ['volume', 'create', '--', this.#volume]);
    await run('docker', ['network', 'create', '--internal', '--', this.#network]);
    await mkdir(this.#folder, { recursive: true });
    await writeFile(join(this.#folder, 'keep.txt'), 'somebody else’s\n');
    await this.#sql('postgres', async (sql) => {
      for (const name of this.#databases) await sql(`CREATE DATABASE ${quoted(name)}`);
    });
    for (const name of this.#databases)
      await this.#sql(name, async (sql) => {
        await sql('CREATE TABLE kept AS SELECT generate_series(1, 3) AS n');
      });
    this.#planted = await this.#fingerprint();
  }

  /** @throws AssertionError when any of them has changed */
  async expectUntouched(): Promise<void> {
    expect(await this.#fingerprint(), 'what is not ours').to.equal(this.#planted);
  }

  async clear(): Promise<void> {
    await discard('container', [this.#container]);
    await discard('volume', [this.#volume]);
    await discard('network', [this.#network]);
    await rm(this.#folder, { recursive: true, force: true });
    await this.#sql('postgres', async (sql) => {
      for (const name of this.#databases)
        await sql(`DROP DATABASE IF EXISTS ${quoted(name)} WITH (FORCE)`);
    });
  }

  get #folder(): string {
    return join(this.#stack.files.dataDir, 'instances-1');
  }

  async #fingerprint(): Promise<string> {
    const file = join(this.#folder, 'keep.txt');
    const { mtimeMs, mode, uid } = await stat(file);
    const content = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    const container = await run('docker', [
      ...['container', 'inspect', '--format', '{{.Id}} {{.State.StartedAt}} {{.State.Running}}'],
      ...['--', this.#container],
    ]);
    const volume = await run('docker', ['volume', 'inspect', '--', this.#volume]);
    const network = await run('docker', ['network', 'inspect', '--', this.#network]);
    const databases: unknown[] = [];
    for (const name of this.#databases)
      await this.#sql(name, async (sql) => {
        const about = `SELECT oid, datdba, datacl, datistemplate FROM pg_database WHERE datname = $1`;
        databases.push(await sql(about, [name]), await sql('SELECT * FROM kept'));
      });
    const found = { content, mtimeMs, mode, uid, container, volume, network, databases };
    return JSON.stringify(found, null, 1);
  }

  async #sql(database: string, work: Parameters<typeof withSql<void>>[2]): Promise<void> {
    await withSql(await this.#stack.tenantSql(), database, work);
  }
}
