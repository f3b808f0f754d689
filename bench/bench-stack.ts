import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { databaseName } from '../src/instance/name.ts';
import { DemoSale } from '../stack/demo-sale.ts';
import { installId } from '../stack/install-id.ts';
import { ManagerStack } from '../stack/manager.ts';
import type { OdooRpc } from '../stack/odoo-rpc.ts';
import { varPath } from '../stack/paths.ts';
import type { Say } from '../stack/progress.ts';
import { run } from '../stack/run.ts';
import { ensureSidecarImage } from '../stack/sidecar-image.ts';
import { withSql } from '../stack/sql.ts';
import { takeDown } from '../stack/takedown.ts';
import { until } from '../stack/until.ts';
import { noNight } from '../test/support/no-night.ts';
import { usable } from './usable.ts';

/** How often an instance's state is read from the manager's database. */
const DATABASE_POLL_MS = 10;
const TIMEOUT_MS = 300_000;

/** The login of who buys, in their Odoo. */
const CUSTOMER = 'customer@example.com';

/** The module sets that are measured. */
export const PLANS = {
  base: [],
  large: ['account', 'sale_management', 'website_sale'],
} as const;

export type PlanName = keyof typeof PLANS;

/** The manager's record of a sold instance. */
export interface SoldInstance {
  readonly id: number;
  readonly port: number;
  readonly state: string;
}

/** A whole manager stack with its sidecar, and the actions of its users. */
export class BenchStack {
  readonly stack: ManagerStack;
  readonly #rpc: OdooRpc;

  private constructor(stack: ManagerStack, rpc: OdooRpc) {
    this.stack = stack;
    this.#rpc = rpc;
  }

  /**
   * Starts it in `var/bench/<name>`.
   * @param keep true: continue with what an earlier run has left; false: a new one
   */
  static async start(
    keep: boolean,
    say: Say,
    {
      door,
      name = 'stack',
      settings = {},
    }: {
      readonly door?: 'local';
      readonly name?: string;
      /** Of the sidecar, in addition to its usual ones. */
      readonly settings?: Record<string, object>;
    } = {},
  ): Promise<BenchStack> {
    const dir = varPath('bench', name);
    const install = await installId(
      varPath('bench', name === 'stack' ? 'install-id' : `${name}-id`),
    );
    const sidecarImage = await ensureSidecarImage();
    if (!keep) await takeDown(install, dir);
    const modules = ['account', 'micro_saas'];
    const options = {
      dir,
      install,
      modules,
      languages: [],
      sidecarImage,
      sidecarSettings: { ...noNight(), ...settings },
      say,
      ...(door && { door }),
    };
    const stack = new ManagerStack({ ...options, databases: 'one' });
    await stack.startManager();
    await stack.connectSidecar();
    await stack.startSidecar();
    return new BenchStack(stack, (await stack.manager()).rpc);
  }

  async remove(): Promise<void> {
    await takeDown(this.stack.install, this.stack.files.dir);
  }

  /** The salesperson of a plan whose modules are prepared. */
  async shop(plan: PlanName): Promise<DemoSale> {
    const modules = PLANS[plan].join(',');
    const sale = new DemoSale(this.#rpc, { name: `Bench ${plan}`, modules });
    await sale.prepared();
    return sale;
  }

  /** Sells one instance of a plan, and waits until Odoo shows it as running. */
  async sold(plan: PlanName): Promise<{ instance: SoldInstance; invoice: number }> {
    const sale = await this.shop(plan);
    const invoice = await sale.invoice();
    await (await sale.payment(invoice))();
    const instance = await this.usable(invoice);
    await this.until(invoice, ({ state }) => state === 'running');
    return { instance, invoice };
  }

  /** The instances of an invoice, read from the database: polling costs the manager next to nothing. */
  async instances(invoices: readonly number[]): Promise<SoldInstance[]> {
    const server = await this.stack.managerSql();
    const { name } = await this.stack.manager();
    return withSql(server, name, async (sql) => {
      const rows = await sql(
        `SELECT id, http_port AS port, state FROM odoo_docker_instance
         WHERE factura_id = ANY($1) ORDER BY id`,
        [invoices],
      );
      return rows as unknown as SoldInstance[];
    });
  }

  /**
   * Waits until the invoice's instance is usable: its page answers, and its customer's login is accepted.
   * @param pollMs how often the page is requested
   */
  async usable(invoice: number, pollMs?: number): Promise<SoldInstance> {
    const instance = await this.until(invoice, ({ port }) => port > 0);
    const url = `http://127.0.0.1:${instance.port}`;
    const who = async () => ({
      login: CUSTOMER,
      password: await this.#adminPassword(instance.id),
    });
    await usable(url, databaseName(this.stack.install, instance.id), who, pollMs);
    return instance;
  }

  /** Waits until a spare's database has the login of the customer who has bought it. @throws Error after five minutes */
  async handedOver(number: number): Promise<void> {
    const database = databaseName(this.stack.install, number);
    await withSql(await this.stack.tenantSql(), database, async (sql) => {
      const isTheirs = async () =>
        (await sql('SELECT FROM res_users WHERE login = $1', [CUSTOMER])).length > 0;
      if (!(await until(isTheirs, TIMEOUT_MS / 1000, DATABASE_POLL_MS)))
        throw new Error(`the spare ${number} was not handed over`);
    });
  }

  /** Waits until the one instance of an invoice meets a condition. @throws Error after five minutes */
  async until(invoice: number, isSo: (instance: SoldInstance) => boolean): Promise<SoldInstance> {
    const server = await this.stack.managerSql();
    const { name } = await this.stack.manager();
    return withSql(server, name, async (sql) => {
      const end = performance.now() + TIMEOUT_MS;
      while (performance.now() < end) {
        const [found] = (await sql(
          'SELECT id, http_port AS port, state FROM odoo_docker_instance WHERE factura_id = $1',
          [invoice],
        )) as unknown as SoldInstance[];
        if (found && isSo(found)) return found;
        await sleep(DATABASE_POLL_MS);
      }
      throw new Error(`the instance of invoice ${invoice} did not get there`);
    });
  }

  /** Makes the instances of a plan sleep after so many hours without a visitor. */
  async sleepAfter(plan: PlanName, hours: number): Promise<void> {
    await this.#changePlan(plan, { microsaas_sleep_hours: hours });
  }

  /** Gives the next instances of a plan other limits. */
  async limit(
    plan: PlanName,
    { cpus, memoryMb }: { cpus: number; memoryMb: number },
  ): Promise<void> {
    await this.#changePlan(plan, { microsaas_cpus: cpus, microsaas_memory_mb: memoryMb });
  }

  async #changePlan(plan: PlanName, values: Readonly<Record<string, number>>): Promise<void> {
    const domain = [['name', '=', `Bench ${plan}`]];
    const ids = await this.#rpc.call<number[]>('product.product', 'search', [domain]);
    await this.#rpc.call('product.product', 'write', [ids, values]);
  }

  /** The instances that are kept ready, of all plans. */
  async spares(): Promise<readonly { readonly number: number; readonly state: string }[]> {
    return this.#rpc.read('microsaas.spare', [], ['number', 'state']);
  }

  /** Has so many started instances of a plan kept ready, and waits until they are there and nothing else is under way. */
  async keepSpares(plan: PlanName, count: number): Promise<void> {
    await this.#changePlan(plan, { microsaas_spares: count });
    const end = performance.now() + TIMEOUT_MS;
    for (;;) {
      const found = await this.spares();
      if (found.length === count && found.every(({ state }) => state === 'ready')) break;
      if (performance.now() > end) throw new Error(`there are not ${count} spares of ${plan}`);
      await sleep(250);
    }
    await this.atRest();
  }

  async isAsleep(id: number): Promise<boolean> {
    const domain = [['id', '=', id]];
    const [row] = await this.#rpc.read<{ is_asleep: boolean }>('odoo.docker.instance', domain, [
      'is_asleep',
    ]);
    return row?.is_asleep === true;
  }

  /** Where people reach an instance. */
  async urlOf(id: number): Promise<string> {
    const domain = [['id', '=', id]];
    const [row] = await this.#rpc.read<{ instance_url: string }>('odoo.docker.instance', domain, [
      'instance_url',
    ]);
    return row?.instance_url ?? '';
  }

  /** Presses a button on instances. */
  async press(
    button: 'start_instance' | 'stop_instance' | 'action_remove',
    ids: readonly number[],
  ) {
    await this.#rpc.call('odoo.docker.instance', button, [ids]);
  }

  /** Backs an instance up and proves it, as its button does, and waits until that is done. @throws Error when it failed */
  async backUp({ id }: SoldInstance): Promise<void> {
    await this.#rpc.call('odoo.docker.instance', 'action_backup', [[id]]);
    await this.#jobDone(id);
  }

  /** Proves its newest backup once more, with a start of Odoo. @throws Error when it failed */
  async prove(instance: SoldInstance): Promise<void> {
    await this.#rpc.call('microsaas.backup', 'action_prove', [[await this.#newest(instance)]]);
    await this.#jobDone(instance.id);
  }

  /** Restores its newest backup into it. @throws Error when it failed */
  async restore(instance: SoldInstance): Promise<void> {
    const backup = await this.#newest(instance);
    const { context, res_model: model } = await this.#rpc.call<{
      res_model: string;
      context: object;
    }>('microsaas.backup', 'action_restore', [[backup]]);
    const values = { is_understood: true };
    const wizard = await this.#rpc.call<number>(model, 'create', [values], { context });
    await this.#rpc.call(model, 'action_confirm', [[wizard]]);
    await this.#jobDone(instance.id);
  }

  /** Updates it to what is newest. @throws Error when it failed */
  async update({ id }: SoldInstance): Promise<void> {
    await this.#rpc.call('odoo.docker.instance', 'action_update', [[id]]);
    await this.#jobDone(id);
  }

  /** Has the one instance of an invoice run another image, as if it had been sold with it. @param pin the image's id */
  async runs(invoice: number, pin: string): Promise<void> {
    const { id } = await this.until(invoice, ({ state }) => state === 'running');
    await this.press('stop_instance', [id]);
    await this.until(invoice, ({ state }) => state === 'stopped');
    const server = await this.stack.managerSql();
    const { name } = await this.stack.manager();
    await withSql(server, name, (sql) =>
      sql('UPDATE odoo_docker_instance SET image_digest = $2 WHERE id = $1', [id, pin]),
    );
    await this.press('start_instance', [id]);
    await this.until(invoice, ({ state }) => state === 'running');
    await this.atRest();
  }

  async #newest({ id }: SoldInstance): Promise<number> {
    const domain = [['instancia_id', '=', id]];
    const found = await this.#rpc.read<{ id: number; date: string }>('microsaas.backup', domain, [
      'date',
    ]);
    const [newest] = found.sort((one, other) => (one.date < other.date ? 1 : -1));
    if (!newest) throw new Error(`instance ${id} has no backup`);
    return newest.id;
  }

  /** Waits until the last job of an instance is over. @throws Error when it failed, or after five minutes */
  async #jobDone(id: number): Promise<void> {
    const server = await this.stack.managerSql();
    const { name } = await this.stack.manager();
    await withSql(server, name, async (sql) => {
      const end = performance.now() + TIMEOUT_MS;
      while (performance.now() < end) {
        const [job] = await sql(
          'SELECT state, reason FROM microsaas_job WHERE instancia_id = $1 ORDER BY id DESC LIMIT 1',
          [id],
        );
        if (job?.['state'] === 'done') return;
        if (job?.['state'] === 'failed') throw new Error(`the job failed: ${job['reason']}`);
        await sleep(DATABASE_POLL_MS);
      }
      throw new Error(`the job of instance ${id} did not end`);
    });
  }

  /** Removes an invoice's instances, so that the next measurement begins like this one. */
  async takeDown(...invoices: number[]): Promise<void> {
    const ids = (await this.instances(invoices)).map(({ id }) => id);
    await this.press('action_remove', ids);
    for (const invoice of invoices) await this.until(invoice, ({ state }) => state === 'removed');
    await this.atRest();
  }

  /** Waits until the sidecar has begun, refilled its pools and has nothing to do. @throws Error after five minutes */
  async atRest(): Promise<void> {
    const end = performance.now() + TIMEOUT_MS;
    while (!(await this.#isAtRest())) {
      if (performance.now() > end) throw new Error('the sidecar does not come to rest');
      await sleep(100);
    }
  }

  /** Before its first sweep it knows of no instance, and has much to do a moment later. */
  async #isAtRest(): Promise<boolean> {
    const answer = await fetch(`${this.stack.sidecarUrl}/readyz`).catch(() => null);
    if (!answer?.ok) return false;
    const { instances } = (await answer.json()) as { instances?: string };
    return instances !== undefined && (await this.#sum(/^microsaas_backlog (\d+)$/gm)) === 0;
  }

  /** The seconds of each step of each instance, from Odoo's log of it. */
  async profile(invoice: number): Promise<string> {
    const [row] = await this.#rpc.read<{ log: string }>(
      'odoo.docker.instance',
      [
        ['factura_id', '=', invoice],
        ['active', 'in', [true, false]],
      ],
      ['log'],
    );
    return row?.log.split('\n').find((line) => line.includes('after the request')) ?? '';
  }

  /** Calls to Odoo and requests to Docker since the sidecar started. */
  async counts(): Promise<{ rpc: number; docker: number }> {
    return {
      rpc: await this.#sum(/^microsaas_rpc_seconds_count\{.*\} (\d+)$/gm),
      docker: await this.#sum(/^microsaas_docker_calls_total (\d+)$/gm),
    };
  }

  /** The sum of all the sidecar's metrics whose lines match. */
  async #sum(pattern: RegExp): Promise<number> {
    const text = await (await fetch(`${this.stack.sidecarUrl}/metrics`)).text();
    return [...text.matchAll(pattern)].reduce((total, [, value]) => total + Number(value), 0);
  }

  async #adminPassword(id: number): Promise<string> {
    const file = join(
      this.stack.files.dataDir,
      'instances',
      String(id),
      'secrets',
      'admin-password',
    );
    // A file of root's: read in the sidecar's container when another user runs the benchmark.
    return readFile(file, 'utf8').catch(() =>
      run('docker', ['exec', '--', this.stack.containers.names.sidecar, 'cat', '--', file]),
    );
  }
}
