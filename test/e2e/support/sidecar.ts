import { createHmac, randomBytes } from 'node:crypto';
import { execa } from 'execa';
import type { ManagerStack } from '../../../stack/manager.ts';
import { run } from '../../../stack/run.ts';
import { inContainer, lines } from './docker.ts';
import { eventually } from './eventually.ts';

/** What the sidecar's log has in a line. */
export type LogLine = Record<string, unknown> & { msg?: string };

/** The sidecar as an operator has it: a container that can be stopped and killed, a log, two addresses. */
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

  /** Ends it in the middle of whatever it does. */
  async kill(): Promise<void> {
    await run('docker', ['kill', '--signal', 'KILL', '--', this.name]);
  }

  /** Starts it again; does not wait for it. */
  async start(): Promise<void> {
    await run('docker', ['start', '--', this.name]);
  }

  /** Everything it has written, over all its starts. */
  async output(): Promise<string> {
    const logs = await execa('docker', ['logs', '--', this.name], { all: true });
    return logs.all;
  }

  /** Its log's lines, those that are JSON. */
  async log(): Promise<LogLine[]> {
    return lines(await this.output()).flatMap((line) => {
      try {
        return [JSON.parse(line) as LogLine];
      } catch {
        return [];
      }
    });
  }

  /** One command of the command line. @returns what it prints @throws RunError with what it says */
  async microsaas(...args: string[]): Promise<string> {
    return inContainer(this.name, ['microsaas', ...args]);
  }

  /** `microsaas secret`: what the operator tells a customer. */
  async secret(instance: number): Promise<{ url: string; login: string; password: string }> {
    const command = ['microsaas', 'secret', String(instance), '--json'] as [string, ...string[]];
    return JSON.parse(await inContainer(this.name, command));
  }

  /** `microsaas restore`. @param as the number of another instance @throws RunError with what it says */
  async restore(archive: string, as?: number): Promise<void> {
    const target = as === undefined ? [] : ['--as', String(as)];
    await inContainer(this.name, ['microsaas', 'restore', archive, ...target]);
  }

  /** HTTP status of `/readyz`, and what it says of each part. */
  async ready(): Promise<{ status: number; parts: Record<string, true | string> }> {
    const response = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(10_000) });
    return {
      status: response.status,
      parts: (await response.json()) as Record<string, true | string>,
    };
  }

  /** One figure of `/metrics`, all its labels added up. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return lines(text)
      .filter((line) => line.startsWith(name) && /[{ ]/.test(line.charAt(name.length)))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** Waits until it works on nothing. */
  async idle(): Promise<void> {
    await eventually(async () => {
      const backlog = await this.metric('microsaas_backlog');
      if (backlog > 0) throw new Error(`The sidecar still works on ${backlog} keys.`);
    });
  }

  /** Sends a webhook as Odoo does. @param change breaks the body or the headers @returns the HTTP status */
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
      signal: AbortSignal.timeout(10_000),
    });
    await response.body?.cancel();
    return response.status;
  }
}
