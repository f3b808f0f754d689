import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { parse, stringify } from 'yaml';
import type { ManagerStack } from '../../../stack/manager.ts';
import { OdooRpc } from '../../../stack/odoo-rpc.ts';
import { run } from '../../../stack/run.ts';
import { ensureSidecarImage } from '../../../stack/sidecar-image.ts';
import { startTestStack } from '../../support/test-stack.ts';
import { GitServer } from '../../unit/repositories/git-server.ts';
import { CommandLines } from './command-lines.ts';
import { Decoys } from './decoys.ts';
import { type Container, containersWith, inContainer } from './docker.ts';
import type { TestDoor } from './door.ts';
import { Instances, type Row } from './instances.ts';
import { discardInstances } from './leftovers.ts';
import { Shop } from './shop.ts';
import { Sidecar } from './sidecar.ts';

/** Short, so that what only a poll finds is not a long wait; longer than a webhook needs to act. */
const POLL_SECONDS = 5;

/** More units on one line need approval: few, so that a test can exceed it by one. */
export const UNITS_PER_LINE = 3;

const BOOKKEEPER = { login: 'bookkeeper@example.com', password: 'bookkeeper-of-the-tests' };

/** A fresh manager with its sidecar in a container, and the users of both. */
export class TestEnvironment {
  readonly stack: ManagerStack;
  readonly sidecar: Sidecar;
  readonly decoys: Decoys;
  /** While the sidecar has one. */
  door: TestDoor | null = null;
  readonly git: GitServer;
  /** The administrator. */
  readonly admin: OdooRpc;
  /** A user with the rights of Invoicing and *MicroSaaS user*, who sells and presses the buttons. */
  readonly bookkeeper: OdooRpc;
  readonly shop: Shop;
  readonly instances: Instances;
  /** When the last audit began. */
  auditedAt = new Date(0);
  /** The highest number of the chapters that have ended: all up to it are removed. */
  settled = 0;
  /** The command lines of all processes seen on this machine since the start. */
  readonly commandLines = new CommandLines();
  readonly #gitRoot: string;

  private constructor(stack: ManagerStack, admin: OdooRpc, gitRoot: string) {
    this.stack = stack;
    this.sidecar = new Sidecar(stack);
    this.decoys = new Decoys(stack);
    this.admin = admin;
    const { url } = stack;
    this.bookkeeper = new OdooRpc({ url, database: 'manager', ...BOOKKEEPER });
    this.shop = new Shop(admin);
    this.instances = new Instances(this.bookkeeper);
    this.#gitRoot = gitRoot;
    this.git = new GitServer(gitRoot);
  }

  /** Starts everything; only template databases of an earlier run are kept. */
  static async start(): Promise<TestEnvironment> {
    const sidecarImage = await ensureSidecarImage();
    const stack = await startTestStack({ databases: 'one', sidecarImage });
    await discardInstances(stack);
    await stack.connectSidecar();
    await configure(stack);
    const { rpc } = await stack.manager();
    const env = new TestEnvironment(stack, rpc, await mkdtemp(join(tmpdir(), 'microsaas-git-')));
    await env.decoys.plant();
    await env.git.start();
    await makeBookkeeper(rpc);
    env.commandLines.watch();
    await stack.startSidecar();
    return env;
  }

  /** The folder of the instances' directories. */
  get instancesDir(): string {
    return join(this.stack.files.dataDir, 'instances');
  }

  /** The containers of all instances. */
  async containers(): Promise<Container[]> {
    return containersWith(`microsaas.install=${this.stack.install}`, 'microsaas.instance');
  }

  /** The containers of one instance. */
  async containersOf(id: number): Promise<Container[]> {
    const { install } = this.stack;
    return containersWith(`microsaas.install=${install}`, `microsaas.instance=${id}`);
  }

  /** Runs a program as root on the data directory, to read files that this user may not read. */
  async onHost(...command: [string, ...string[]]): Promise<string> {
    const [program, ...args] = command;
    return getuid?.() === 0 ? run(program, args) : inContainer(this.sidecar.name, command);
  }

  /** Whether an instance has a Postgres of its own. */
  hasOwnDatabase(row: Row): boolean {
    return row.template_id !== false && /own Postgres/.test(row.template_id[1]);
  }

  /** Ends what start() began; the stack without the sidecar and without instances is kept for the next run. */
  async end(): Promise<void> {
    this.commandLines.stop();
    await this.git.stop();
    await rm(this.#gitRoot, { recursive: true, force: true });
    await this.decoys.clear();
    // For the analysis of failures.
    await this.stack.files.write('sidecar.log', await this.sidecar.output());
    await this.stack.containers.compose(['rm', '--force', '--stop', '--', 'sidecar']);
    await discardInstances(this.stack);
    await this.stack.containers.compose(['stop', '--', 'manager']);
  }
}

/** Settings of the tests in addition to those of any stack: repositories are on this machine, by plain http. */
async function configure(stack: ManagerStack): Promise<void> {
  const file = 'sidecar/microsaas.yaml';
  const config = parse((await stack.files.read(file)) ?? '') as Record<string, object>;
  const manager = { ...config['manager'], pollSeconds: POLL_SECONDS };
  const repositories = { protocols: ['https', 'http'], privateHosts: ['127.0.0.1'] };
  const limits = { unitsPerLine: UNITS_PER_LINE };
  await stack.files.write(file, stringify({ ...config, manager, repositories, limits }));
}

async function makeBookkeeper(admin: OdooRpc): Promise<void> {
  const groups = ['account.group_account_invoice', 'micro_saas.group_microsaas_user'];
  const ids: number[] = [];
  for (const group of groups) {
    const [module, name] = group.split('.');
    const domain = [
      ['module', '=', module],
      ['name', '=', name],
    ];
    const [found] = await admin.read<{ res_id: number }>('ir.model.data', domain, ['res_id']);
    if (!found) throw new Error(`The manager has no group ${group}.`);
    ids.push(found.res_id);
  }
  const context = { no_reset_password: true };
  const values = { name: 'Bookkeeper', ...BOOKKEEPER, group_ids: [[6, 0, ids]] };
  await admin.call('res.users', 'create', [values], { context });
}
