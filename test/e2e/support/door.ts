import { type IncomingHttpHeaders, request } from 'node:http';
import { parse, stringify } from 'yaml';
import { localDoor } from '../../../stack/door.ts';
import { freePort } from '../../../stack/free-port.ts';
import { run } from '../../../stack/run.ts';
import type { TestEnvironment } from './environment.ts';
import { eventually } from './eventually.ts';

const FILE = 'sidecar/microsaas.yaml';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

/** The door of the test environment, on this machine's loopback: names below `localhost`, by plain http. */
export class TestDoor {
  readonly port: number;
  readonly container: string;
  readonly #env: TestEnvironment;
  readonly #before: string;

  private constructor(env: TestEnvironment, port: number, before: string) {
    this.#env = env;
    this.port = port;
    this.#before = before;
    this.container = env.stack.containers.door;
  }

  /** Gives the running sidecar a door. */
  static async open(env: TestEnvironment): Promise<TestDoor> {
    const before = (await env.stack.files.read(FILE)) ?? '';
    const door = new TestDoor(env, await freePort(18_080), before);
    const managerPort = Number(new URL(env.stack.url).port);
    const settings = { ...localDoor(door.port), managerPort };
    await env.stack.files.write(FILE, stringify({ ...parse(before), door: settings }));
    await env.sidecar.restartReady();
    await door.isOpen();
    return door;
  }

  /** Takes it away again: afterwards the sidecar is as it was. */
  async close(): Promise<void> {
    await this.#env.stack.files.write(FILE, `${this.#before}\n`);
    await this.#env.sidecar.restartReady();
    await run('docker', ['rm', '--force', '--', this.container]);
  }

  /** Waits until the manager answers through it. */
  async isOpen(): Promise<void> {
    await eventually(async () => {
      const { status } = await this.ask('manager', '/web/login').catch(() => ({ status: 0 }));
      if (status !== 200) throw new Error(`the manager's name answers ${status}`);
    }, 60);
  }

  /** The address of a name. */
  url(label: string): string {
    return `http://${label}.localhost:${this.port}`;
  }

  /** Asks a name behind the door, which Node could not resolve. @param label or a whole host name */
  ask(label: string, path: string, { method = 'GET', headers = {}, body }: Ask = {}) {
    const host = label.includes('.') ? label : `${label}.localhost:${this.port}`;
    return new Promise<Answer>((resolve, reject) => {
      const place = { host: '127.0.0.1', port: this.port, path, method, agent: false };
      const call = request({ ...place, headers: { host, ...headers }, timeout: 60_000 });
      call.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString(),
          }),
        );
      });
      call.on('timeout', () => call.destroy(new Error('no answer within a minute')));
      call.on('error', reject);
      call.end(body);
    });
  }

  /** The status with which a name answers the request for a websocket: 101 when it is up. */
  websocket(label: string): Promise<number> {
    const host = `${label}.localhost:${this.port}`;
    const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
    const key = { 'sec-websocket-key': Buffer.alloc(16, 7).toString('base64') };
    const headers = { host, origin: `http://${host}`, ...upgrade, ...key };
    return new Promise((resolve, reject) => {
      const place = { host: '127.0.0.1', port: this.port, agent: false };
      const call = request({ ...place, path: '/websocket?version=19.0-1', headers });
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
