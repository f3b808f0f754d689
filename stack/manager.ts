import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { showsLogin, statusOf } from '../src/engine/readiness-probe.ts';
import { contentHash } from './content-hash.ts';
import { addressBehind, type DoorSettings, localDoor, statusBehind } from './door.ts';
import { freePort } from './free-port.ts';
import { images } from './images.ts';
import { ManagerDatabases, ODOO_ROLE } from './manager-database.ts';
import { OdooRpc } from './odoo-rpc.ts';
import { repository } from './paths.ts';
import { type Say, timed } from './progress.ts';
import { run, succeeds } from './run.ts';
import type { SqlServer } from './sql.ts';
import { StackContainers } from './stack-containers.ts';
import { StackFiles } from './stack-files.ts';
import { TemplateCopies } from './template-copies.ts';
import { until } from './until.ts';

/** What one manager stack is. */
export interface StackOptions {
  /** Absolute path of its own folder, e.g. `var/demo`. */
  dir: string;
  install: string;
  /** Installed in the manager's databases; `micro_saas` among them. */
  modules: string[];
  /** Odoo language codes beside English. */
  languages: string[];
  /** `one`: Odoo serves `manager` alone, as in production; `all`: every database of its server, for tests. */
  databases: 'one' | 'all';
  /** The image to run the sidecar from; undefined: no sidecar, the configuration is for one outside a container. */
  sidecarImage: string | undefined;
  /**
   * The sidecar's settings of the door, without the manager's port; 'local': names below `localhost`, which browsers resolve to this
   * machine without DNS; undefined: no door.
   */
  door?: DoorSettings | 'local';
  /** More settings of the sidecar, by section. */
  sidecarSettings?: Record<string, object>;
  /** More variables of docker-compose.yml. */
  environment?: Record<string, string>;
  /**
   * Added to the ports at which the search for free ones begins, those of instances too; by default 0. Stacks that run beside each other
   * have offsets a thousand apart: the port of what is being restarted is free for a moment, and who chose it then would keep it from
   * coming back.
   */
  portOffset?: number;
  /** A folder where stacks keep copies of their template databases for each other, absolute; undefined: Odoo installs all anew. */
  templateCopies?: string;
  say: Say;
}

/** A database of the manager and its administrator. */
export interface ManagerDatabase {
  name: string;
  login: string;
  password: string;
  /** As that administrator. */
  rpc: OdooRpc;
}

/** What is remembered between two runs; `stack.json`, mode 0600. */
interface Remembered {
  managerPort: number;
  sidecarPort: number;
  doorPort: number;
  /** Hash of the addon the database `manager` was last installed or upgraded with; '' before that. */
  addon: string;
}

const DATABASE = 'manager';
const ADMIN = 'admin';
const PORT_ATTEMPTS = 10;

/** One manager stack: Odoo with the addon, its Postgres, the customers' Postgres and, when wished, the sidecar. */
export class ManagerStack {
  readonly files: StackFiles;
  readonly install: string;
  readonly containers: StackContainers;
  readonly #options: StackOptions;
  /** Found out once a run: the addon may be edited meanwhile. */
  #template: Promise<string> | undefined;
  #remembered: Remembered;

  constructor(options: StackOptions) {
    const { install, portOffset = 0 } = options;
    this.#options = options;
    this.install = install;
    this.#remembered = {
      managerPort: 8069 + portOffset,
      sidecarPort: 8471 + portOffset,
      doorPort: 8080 + portOffset,
      addon: '',
    };
    this.files = new StackFiles(options.dir);
    this.containers = new StackContainers(install, options.dir);
  }

  /** The manager's address on this machine. */
  get url(): string {
    return `http://127.0.0.1:${this.#remembered.managerPort}`;
  }

  /** Where people open the manager: behind the door where there is one. */
  get publicUrl(): string {
    const door = this.#door;
    return door === undefined ? this.url : addressBehind(door, door.manager ?? 'manager');
  }

  /** The sidecar's address on this machine. */
  get sidecarUrl(): string {
    return `http://127.0.0.1:${this.#remembered.sidecarPort}`;
  }

  /**
   * Starts everything but the sidecar, or revives it; afterwards Odoo answers. May be repeated.
   * @throws Error when this install's volumes are there but not the files that belong to them
   */
  async startManager(): Promise<void> {
    const { dir, install, say } = this.#options;
    await mkdir(dir, { recursive: true });
    const text = await this.files.read('stack.json');
    if (text === undefined) await this.#refuseForeignVolumes();
    else this.#remembered = { ...this.#remembered, ...JSON.parse(text) } as Remembered;
    await this.files.prepare(install);
    await this.#choosePorts();
    await this.containers.ensureNetwork();
    await this.#writeFiles();
    await this.containers.compose(['up', '--detach', '--', 'manager-db', 'tenant-db']);
    const databases = await this.#databases();
    await databases.ready();
    await databases.ensureRole(await this.files.secret('odoo-db-password'));
    const addon = await this.#addonHash();
    if (this.#remembered.addon === '') {
      // Without the remembered mark, a database of that name is an interrupted attempt.
      await databases.drop(DATABASE);
      await this.files.remove('sidecar/api-key');
      await this.#cloneTemplate(DATABASE, say);
    } else {
      await this.#bringUpToDate(databases, this.#remembered.addon !== addon);
    }
    await this.#startOdoo(databases);
    await this.waitForLogin(this.url);
    this.#remembered.addon = addon;
    await this.#remember();
  }

  /** Upgrades this checkout's modules where they have changed, and installs what the options name and an earlier run did not. */
  async #bringUpToDate(databases: ManagerDatabases, hasChanged: boolean): Promise<void> {
    const { modules, say } = this.#options;
    const missing = await databases.missingModules(DATABASE, modules);
    if (!hasChanged && missing.length === 0) return;
    if (hasChanged) say('The addon has changed: upgrading the manager');
    if (missing.length > 0) say(`Installing ${missing.join(', ')}`);
    await succeeds('docker', ['stop', '--', this.containers.names.manager]);
    // All that this checkout brings; what comes with Odoo itself is as it was.
    const ours = modules.filter((it) => it.startsWith('micro_saas') && !missing.includes(it));
    const update = hasChanged ? ['--update', ours.join(), '--i18n-overwrite'] : [];
    const init = missing.length > 0 ? ['--init', missing.join()] : [];
    await this.containers.odoo(DATABASE, [...update, ...init]);
  }

  /**
   * Sees to it that these languages can be chosen in the manager, beside those that can be by now.
   * @param codes of languages that Odoo knows
   */
  async addLanguages(codes: readonly string[]): Promise<void> {
    const { rpc } = await this.manager();
    const context = { active_test: false };
    const isNew = [
      ['code', 'in', codes],
      ['active', '=', false],
    ];
    const ids = await rpc.call<number[]>('res.lang', 'search', [isNew], { context });
    if (ids.length === 0) return;
    this.#options.say(`Adding languages to the manager: ${codes.join(', ')}`);
    const wizard = await rpc.create('base.language.install', {
      ...{ lang_ids: [[6, 0, ids]], overwrite: false },
    });
    await rpc.call('base.language.install', 'lang_install', [[wizard]]);
  }

  /** Makes the sidecar's user, key and secret, once, and writes the sidecar's configuration. */
  async connectSidecar(): Promise<void> {
    await this.#choosePorts();
    const manager = await this.manager();
    if ((await this.files.read('sidecar/api-key')) === undefined) {
      const made = await connect(manager);
      await this.files.write('sidecar/webhook-secret', made.webhook_secret);
      await this.files.write('sidecar/api-key', made.api_key);
    }
    // By RPC as well as by SQL: an Odoo that runs already keeps the old value in memory.
    const url = (await this.#parameters())['microsaas.sidecar_url'];
    await manager.rpc.call('ir.config_parameter', 'set_param', ['microsaas.sidecar_url', url]);
    const door = this.#door;
    const before = await this.files.read('sidecar/microsaas.yaml');
    await this.files.writeSidecarConfig({
      inContainer: this.#options.sidecarImage !== undefined,
      managerUrl: this.url,
      database: DATABASE,
      port: this.#remembered.sidecarPort,
      network: this.containers.network,
      more: {
        ...this.#options.sidecarSettings,
        ...(door ? { door: { managerPort: this.#remembered.managerPort, ...door } } : {}),
      },
    });
    // Compose sees no change in a file that it mounts.
    const { sidecar } = this.containers.names;
    const isChanged = before !== (await this.files.read('sidecar/microsaas.yaml'));
    if (isChanged && (await this.containers.isRunning(sidecar)))
      await run('docker', ['container', 'restart', '--', sidecar]);
  }

  /** Starts the sidecar's container and waits until it reaches everything it needs. @throws Error with its log */
  async startSidecar(): Promise<void> {
    const { sidecar } = this.containers.names;
    for (let attempt = 1; ; attempt += 1) {
      await this.containers.compose(['up', '--detach', '--', 'sidecar']);
      // An answer alone proves nothing: another stack's sidecar may have taken the port.
      const answers = async () => (await statusOf(`${this.sidecarUrl}/readyz`)) === 200;
      const isReady = (await this.#sidecarListens(30)) && (await until(answers, 30));
      if (isReady && (this.#options.door !== 'local' || (await this.answersBehindDoor(60)))) return;
      const log = await this.containers.log(sidecar);
      if (attempt === PORT_ATTEMPTS || !/EADDRINUSE|address already in use/.test(log)) {
        throw new Error(`The sidecar is not ready:\n${log.split('\n').slice(-20).join('\n')}`);
      }
      await run('docker', ['container', 'rm', '--force', '--', sidecar]);
      this.#remembered.sidecarPort += 1;
      this.#remembered.doorPort += 1;
      await this.connectSidecar();
    }
  }

  get #door(): DoorSettings | undefined {
    const { door } = this.#options;
    return door === 'local' ? localDoor(this.#remembered.doorPort) : door;
  }

  /** Whether the manager answers through the door of this machine within so many seconds. One on the internet waits for DNS and a certificate. */
  async answersBehindDoor(seconds: number): Promise<boolean> {
    const door = this.#door;
    if (door === undefined) return true;
    const url = `${this.publicUrl}/web/login`;
    const answers = async () => {
      const status = await statusBehind(door, url);
      // A website of several languages sends a program on to one of them; the door's own pages are 402 and above.
      return status !== null && status < 400;
    };
    return until(answers, seconds);
  }

  async #sidecarListens(seconds: number): Promise<boolean> {
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      const log = await this.containers.log(this.containers.names.sidecar);
      if (log.includes('EADDRINUSE')) return false;
      if (log.includes('sidecar is up')) return true;
      await sleep(100);
    }
    return false;
  }

  /** The database the manager sells from. */
  async manager(): Promise<ManagerDatabase> {
    return this.#asDatabase(DATABASE, await this.files.secret('admin-password'));
  }

  /**
   * Another fresh manager database, cloned in well under a second; Odoo must have been started with `databases: 'all'`.
   * @param name of the database: small letters, digits and underscores
   */
  async database(name: string): Promise<ManagerDatabase> {
    await this.#cloneTemplate(name, this.#options.say);
    return this.#asDatabase(name, await this.files.secret('admin-password'));
  }

  /** Removes a database that `database()` made, with its files. */
  async dropDatabase(name: string): Promise<void> {
    await (await this.#databases()).drop(name);
    await this.containers.inManager(['rm', '-rf', '--', `/var/lib/odoo/filestore/${name}`]);
  }

  /** The manager's Postgres as its superuser, for looking at what Odoo wrote. */
  async managerSql(): Promise<SqlServer> {
    const password = await this.files.secret('manager-db-password');
    return { socketDir: this.files.managerSocketDir, user: 'microsaas', password };
  }

  /** The customers' Postgres as its superuser. */
  async tenantSql(): Promise<SqlServer> {
    const password = await this.files.secret('tenant-db-password');
    return { socketDir: this.files.tenantSocketDir, user: 'microsaas', password };
  }

  /** Waits until an Odoo shows its login page. @throws Error after two minutes */
  async waitForLogin(url: string): Promise<void> {
    if (!(await until(() => showsLogin(url), 120))) {
      throw new Error(
        `${url}/web/login does not answer; "docker logs ${this.containers.names.manager}".`,
      );
    }
  }

  /** The template of the current image, addon and modules: built when first asked for, and then the only one. */
  async #ensureTemplate(say: Say): Promise<string> {
    const { modules, languages, templateCopies } = this.#options;
    const image = await run('docker', [
      'image',
      'inspect',
      '--format',
      '{{.Id}}',
      '--',
      images.odoo,
    ]);
    const addon = await this.#addonHash();
    const nameOf = async (some: readonly string[]) =>
      `tpl_${await contentHash(repository, [], image, addon, some.join(), languages.join())}`;
    const name = await nameOf(modules);
    const databases = await this.#databases();
    if (await databases.exists(name, 'template')) return name;
    const copies = templateCopies ? new TemplateCopies(templateCopies, this.install) : undefined;
    await timed(say, `Building the manager's database (once): ${modules.join(', ')}`, async () =>
      databases.ensureTemplate(name, { modules, languages }, async () => {
        const password = await this.files.secret('odoo-db-password');
        const socketDir = this.files.managerSocketDir;
        const login = { socketDir, database: name, role: ODOO_ROLE, password };
        const place = { containers: this.containers, login };
        let count = modules.length;
        // The longest list that begins as this one does, and of which there is a copy.
        while (count > 0 && !(await copies?.fill(await nameOf(modules.slice(0, count)), place)))
          count -= 1;
        if (count === modules.length) return;
        const load = languages.length > 0 ? ['--load-language', languages.join()] : [];
        await this.containers.odoo(name, ['--init', modules.slice(count).join(), ...load]);
        await copies?.keep(place);
      }),
    );
    for (const earlier of await databases.templates()) {
      if (earlier !== name) await this.dropDatabase(earlier);
    }
    return name;
  }

  async #cloneTemplate(name: string, say: Say): Promise<void> {
    this.#template ??= this.#ensureTemplate(say);
    const template = await this.#template;
    const password = await this.files.secret('admin-password');
    await (await this.#databases()).clone(template, name, { password, url: this.url });
    const filestore = '/var/lib/odoo/filestore';
    await this.containers.inManager([
      'cp',
      '-a',
      '-T',
      '--',
      `${filestore}/${template}`,
      `${filestore}/${name}`,
    ]);
  }

  async #databases(): Promise<ManagerDatabases> {
    return new ManagerDatabases(await this.managerSql());
  }

  async #asDatabase(name: string, password: string): Promise<ManagerDatabase> {
    const rpc = new OdooRpc({ url: this.url, database: name, login: ADMIN, password });
    return { name, login: ADMIN, password, rpc };
  }

  async #addonHash(): Promise<string> {
    return contentHash(repository, ['odoo-addon']);
  }

  async #parameters(): Promise<Record<string, string>> {
    const { portOffset = 0 } = this.#options;
    return {
      // The demo's stays direct: only browsers find names below localhost.
      'web.base.url': this.#options.door === 'local' ? this.url : this.publicUrl,
      // Where Odoo's own printing finds the styles: the port that people use is not open inside the container.
      'report.url': 'http://127.0.0.1:8069',
      'microsaas.sidecar_url': `http://sidecar:${this.#remembered.sidecarPort}/webhooks/odoo`,
      ...(portOffset > 0 && {
        'microsaas.http_port_first': String(20_000 + portOffset),
        'microsaas.longpolling_port_first': String(25_000 + portOffset),
      }),
    };
  }

  async #remember(): Promise<void> {
    await this.files.write('stack.json', `${JSON.stringify(this.#remembered, null, 2)}\n`);
  }

  /** Keeps the ports of last time unless somebody else has taken them meanwhile. */
  async #choosePorts(): Promise<void> {
    const { manager, sidecar } = this.containers.names;
    const remembered = this.#remembered;
    if (!(await this.containers.isRunning(manager)))
      remembered.managerPort = await freePort(remembered.managerPort);
    if (!(await this.containers.isRunning(sidecar)))
      remembered.sidecarPort = await freePort(remembered.sidecarPort);
    if (!(await this.containers.isRunning(this.containers.door)))
      remembered.doorPort = await freePort(remembered.doorPort);
    await this.#remember();
  }

  /** Another stack may take a port between the look and the start: then the next one is taken. */
  async #startOdoo(databases: ManagerDatabases): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      await this.#choosePorts();
      await this.#writeFiles();
      await databases.setParameters(DATABASE, await this.#parameters());
      try {
        await this.containers.compose(['up', '--detach', '--', 'manager']);
        return;
      } catch (error) {
        const taken = /port is already allocated|address already in use/;
        if (attempt === PORT_ATTEMPTS || !taken.test(String(error))) throw error;
        this.#remembered.managerPort += 1;
      }
    }
  }

  async #writeFiles(): Promise<void> {
    const { databases, install, sidecarImage } = this.#options;
    await this.files.secret('manager-db-password');
    await this.files.writeEnvironment({
      INSTALL: install,
      DATA_DIR: this.files.dataDir,
      ADDONS_DIR: join(repository, 'odoo-addon'),
      MANAGER_PORT: String(this.#remembered.managerPort),
      MANAGER_GATEWAY: await this.containers.gateway(),
      ODOO_IMAGE: images.odoo,
      POSTGRES_IMAGE: images.postgres,
      SIDECAR_IMAGE: sidecarImage ?? images.base,
      ...this.#options.environment,
    });
    const database = databases === 'one' ? DATABASE : undefined;
    await this.files.writeOdooConf({ database, image: images.odoo });
  }

  async #refuseForeignVolumes(): Promise<void> {
    const volume = `ms-${this.install}-manager-db`;
    if (await succeeds('docker', ['volume', 'inspect', '--', volume])) {
      throw new Error(
        `The volume ${volume} is there, but not the passwords in ${this.files.dir}. ` +
          'Remove the old stack first: npm run demo -- --down',
      );
    }
  }
}

/** The sidecar's user and its credentials in one manager database; each call makes one more API key. */
export async function connect(
  database: ManagerDatabase,
): Promise<{ login: string; api_key: string; webhook_secret: string; database: string }> {
  return database.rpc.call('res.config.settings', 'microsaas_connect');
}
