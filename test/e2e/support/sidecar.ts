import { createHmac, randomBytes } from 'node:crypto';
import { execa } from 'execa';
import type { ManagerStack } from '../../../stack/manager.ts';
import { run } from '../../../stack/run.ts';
import { inContainer, lines } from './docker.ts';
import { eventually } from './eventually.ts';

/** One line of the sidecar's log. */
export type LogLine = Record<string, unknown> & { msg?: string };

/** The sidecar as an operator sees it: a container that can be stopped and killed, a log, two addresses. */
export class Sidecar {
  readonly name: string;
  readonly #stack: ManagerStack;

  constructor(stack: ManagerStack) {
    this.#stack = stack;
    this.name = stack.containers.names.sidecar;
  }

  get url(): string {
    return this.#stack.sidecarUrl;
  }

  async stop(): Promise<void> {
    await run('docker', ['stop', '--', this.name]);
  }

  /** Kills it in the middle of whatever it does. */
  async kill(): Promise<void> {
    await run('docker', ['kill', '--signal', 'KILL', '--', this.name]);
  }

  /** Starts it again, without waiting for it. */
  async start(): Promise<void> {
    await run('docker', ['start', '--', this.name]);
  }

  /** Starts it anew, with the configuration that is there now, and waits until it is ready. */
  async restartReady(): Promise<void> {
    await run('docker', ['restart', '--', this.name]);
    await eventually(async () => {
      const { status } = await this.ready().catch(() => ({ status: 0 }));
      if (status !== 200) throw new Error(`/readyz answers ${status}`);
    });
  }

  /** Its log over all its starts. @param since only what it said from that moment on */
  async output(since = new Date(0)): Promise<string> {
    const options = ['--since', since.toISOString()];
    const logs = await execa('docker', ['logs', ...options, '--', this.name], { all: true });
    return logs.all;
  }

  /** The JSON lines of its log. */
  async log(): Promise<LogLine[]> {
    return lines(await this.output()).flatMap((line) => {
      try {
        return [JSON.parse(line) as LogLine];
      } catch {
        return [];
      }
    });
  }

  /** Runs a `microsaas` command. @returns its output @throws RunError with its error output */
  async microsaas(...args: string[]): Promise<string> {
    return inContainer(this.name, ['microsaas', ...args]);
  }

  /** `microsaas secret`: the login that an operator gives a customer. */
  async secret(instance: number): Promise<{ url: string; login: string; password: string }> {
    const command = ['microsaas', 'secret', String(instance), '--json'] as [string, ...string[]];
    return JSON.parse(await inContainer(this.name, command));
  }

  /** `microsaas restore` of a backup. @param as the id of another instance @throws RunError with its error output */
  async restore(instance: number, backup: string, as?: number): Promise<void> {
    const target = as === undefined ? [] : ['--as', String(as)];
    const command = ['microsaas', 'restore', String(instance), backup, '--yes', ...target] as const;
    await inContainer(this.name, [...command]);
  }

  /** HTTP status of `/readyz`, and its result for each dependency. */
  async ready(): Promise<{ status: number; parts: Record<string, true | string> }> {
    const response = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(60_000) });
    return {
      status: response.status,
      parts: (await response.json()) as Record<string, true | string>,
    };
  }

  /** The value of one metric of `/metrics`, summed over all labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return lines(text)
      .filter((line) => line.startsWith(name) && /[{ ]/.test(line.charAt(name.length)))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** Waits until it is idle. */
  async idle(): Promise<void> {
    await eventually(async () => {
      const backlog = await this.metric('microsaas_backlog');
      if (backlog > 0) throw new Error(`The sidecar still works on ${backlog} keys.`);
    });
  }

  /** Sends a webhook as Odoo does. @param change tampers with the body or the headers @returns the HTTP status */
  async webhook(
    body: unknown,
    change: { secret?: string; age?: number; id?: string; text?: string } = {},
  ): Promise<number> {
    const secret = change.secret ?? (await this.#stack.files.read('sidecar/webhook-secret')) ?? '';
    const text = change.text ?? JSON.stringify(body);
    const id = change.id ?? `msg_${randomBytes(8).toString('hex')}`;
    const timestamp = Math.floor(Date.now() / 1000) - (change.age ?? 0);
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
    const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest('base64');
    const response = await fetch(`${this.url}/webhooks/odoo`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': `v1,${mac}`,
      },
      body: text,
      signal: AbortSignal.timeout(60_000),
    });
    await response.body?.cancel();
    return response.status;
  }
}
