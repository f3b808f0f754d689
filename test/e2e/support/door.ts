import { randomInt } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { request as plainly } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { images } from '../../../stack/images.ts';
import { run } from '../../../stack/run.ts';
import { FakeDns } from '../../fakes/dns.ts';
import { AcmeAuthority } from '../../support/acme-authority.ts';
import type { TestEnvironment } from './environment.ts';
import { eventually } from './eventually.ts';

const FILE = 'sidecar/microsaas.yaml';

/** Below which the instances of the tests have their names; no DNS outside this machine knows it. */
const DOMAIN = 'front.test';

/** Addresses of their own, so that the ports are the real ones: an authority validates on 80 and 443 alone. */
const NETWORK = `127.${randomInt(128, 250)}.${randomInt(1, 254)}`;
const DOOR = `${NETWORK}.2`;
const AUTHORITY = `${NETWORK}.3`;
const NAME_SERVER = `${NETWORK}.4`;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly isSecure?: boolean;
}

/** The door of the test environment: https on the real ports of a loopback address, a private certificate authority, DNS of its own. */
export class TestDoor {
  readonly container: string;
  readonly #env: TestEnvironment;
  readonly #before: string;
  readonly #authorityFolder = mkdtempSync(join(tmpdir(), 'ms-authority-'));
  readonly #dns = new FakeDns();
  readonly #authority: AcmeAuthority;
  #root = '';

  private constructor(env: TestEnvironment, before: string, names: readonly string[]) {
    this.#env = env;
    this.#before = before;
    this.container = env.stack.containers.door;
    this.#authority = new AcmeAuthority({
      name: `ms-${env.stack.install}-authority`,
      folder: this.#authorityFolder,
      ...{ address: AUTHORITY, port: 9_443 },
      hosts: new Map(names.map((name) => [name, DOOR])),
    });
    for (const name of names) this.#dns.names.set(name, { a: [DOOR] });
  }

  /** A customer makes their domain a CNAME to a name of an instance. @param label below the door's domain */
  point(domain: string, label: string): void {
    this.#dns.names.set(domain, { cname: `${label}.${DOMAIN}`, a: [DOOR] });
  }

  /**
   * Gives the running sidecar a door.
   * @param labels the names below its domain that the authority is to find
   * @param domains customers' own that lead here
   */
  static async open(
    env: TestEnvironment,
    labels: readonly string[],
    domains: readonly string[],
  ): Promise<TestDoor> {
    const before = (await env.stack.files.read(FILE)) ?? '';
    const names = ['manager', ...labels].map((label) => `${label}.${DOMAIN}`);
    const door = new TestDoor(env, before, [...names, ...domains]);
    try {
      await door.#open();
    } catch (error) {
      // Its sockets would keep the test process from its end.
      await door.close();
      throw error;
    }
    return door;
  }

  async #open(): Promise<void> {
    const { stack, sidecar } = this.#env;
    const resolver = await this.#dns.listen(NAME_SERVER);
    await this.#authority.start();
    this.#root = await readFile(this.#authority.rootFile, 'utf8');
    await stack.files.write('sidecar/acme-root.crt', this.#root);
    const settings = {
      ...{ domain: DOMAIN, address: DOOR, addresses: [DOOR], resolver, image: images.caddy },
      managerPort: Number(new URL(stack.url).port),
      acme: { directory: this.#authority.directory, rootFile: '/etc/microsaas/acme-root.crt' },
    };
    await this.#forget();
    await stack.files.write(FILE, stringify({ ...parse(this.#before), door: settings }));
    this.#env.door = this;
    await sidecar.restartReady();
    await this.isOpen();
  }

  /** Takes it away again: afterwards the sidecar is as it was. */
  async close(): Promise<void> {
    await this.#env.stack.files.write(FILE, `${this.#before}\n`);
    await this.#env.sidecar.restartReady();
    this.#env.door = null;
    await this.#forget();
    await this.#authority.stop();
    await this.#dns.close();
    await rm(this.#authorityFolder, { recursive: true, force: true });
  }

  /** Removes the door and its certificates: those of an earlier run are of an authority that is no more. */
  async #forget(): Promise<void> {
    await run('docker', ['rm', '--force', '--', this.container]);
    await this.#env.onHost('rm', '-rf', '--', join(this.#env.stack.files.dataDir, 'door'));
  }

  /** Waits until the manager answers through it. */
  async isOpen(): Promise<void> {
    await eventually(async () => {
      const { status } = await this.ask('manager', '/web/login');
      if (status !== 200) throw new Error(`the manager's name answers ${status}`);
    });
  }

  /** The address of a name below the domain. */
  url(label: string): string {
    return `https://${label}.${DOMAIN}`;
  }

  /**
   * Asks a name behind the door, as a browser that trusts the authority. @param name a label below the domain, or a whole host name
   * @throws where nobody listens, or chain or name of the certificate are wrong
   */
  ask(name: string, path: string, more: Ask = {}): Promise<Answer> {
    const { method = 'GET', headers = {}, body, isSecure = true } = more;
    const host = name.includes('.') ? name : `${name}.${DOMAIN}`;
    return new Promise((resolve, reject) => {
      const trust = isSecure ? { servername: host, ca: this.#root } : {};
      const call = (isSecure ? request : plainly)({
        ...{ host: DOOR, path, method, agent: false, timeout: 60_000, ...trust },
        headers: { host, ...headers },
      });
      call.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString('latin1'),
          }),
        );
      });
      call.on('timeout', () => call.destroy(new Error('no answer within a minute')));
      call.on('error', reject);
      call.end(body);
    });
  }

  /** Whether an address behind it shows Odoo's login page. */
  async showsLogin(url: string): Promise<boolean> {
    const answer = await this.ask(new URL(url).hostname, '/web/login').catch(() => null);
    return answer?.status === 200 && answer.text.includes('name="login"');
  }

  /** The status with which a name answers the request for a websocket: 101 when it is up. */
  websocket(label: string): Promise<number> {
    const host = `${label}.${DOMAIN}`;
    const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
    const key = { 'sec-websocket-key': Buffer.alloc(16, 7).toString('base64') };
    const headers = { host, origin: `https://${host}`, ...upgrade, ...key };
    return new Promise((resolve, reject) => {
      const trust = { servername: host, ca: this.#root };
      const path = '/websocket?version=19.0-1';
      const call = request({ host: DOOR, path, agent: false, ...trust, headers });
      call.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve(response.statusCode ?? 0);
      });
      call.on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      call.on('error', reject);
      call.end();
    });
  }
}
