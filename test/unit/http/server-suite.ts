import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import { Readable } from 'node:stream';
import { pino } from 'pino';
import { Webhook } from 'standardwebhooks';
import { Downloads } from '../../../src/http/downloads.ts';
import type { Login } from '../../../src/http/logins.ts';
import {
  type HttpOptions,
  type HttpServer,
  type ListenAddress,
  listen,
} from '../../../src/http/server.ts';
import { makeVerify } from '../../../src/http/signature.ts';
import type { Key } from '../../../src/instance/types.ts';

const SECRET = `whsec_${randomBytes(24).toString('base64')}`;
export const HOST: ListenAddress = { host: '127.0.0.1', port: 0, webhookOnly: false };

/** Headers as the addon would send them with `body`. */
export function signed(body: string, id = 'msg_1', at = new Date()): Record<string, string> {
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(SECRET).sign(id, at, body),
  };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** One request on a connection of its own. */
export async function ask(options: RequestOptions, body: string | Buffer = ''): Promise<Answer> {
  const req = request({ host: '127.0.0.1', agent: false, ...options });
  req.end(body);
  const [res] = await once(req, 'response');
  let text = '';
  for await (const chunk of res.setEncoding('utf8')) text += chunk;
  return { status: res.statusCode, headers: res.headers, text };
}

/** A fresh server for every test of a suite, and what it was told, says and logs. */
export class ServerSuite {
  server: HttpServer | null = null;
  keys: Key[] = [];
  logged: Array<Record<string, unknown>> = [];
  /** What Odoo knows of instance 5, and every other is none. */
  invited: { url: string } | 'used' | Error = {
    url: 'https://5.example.com/web/reset_password?token=t',
  };
  /** Whom logins were asked for. */
  readonly logins: Login[] = [];
  /** Which invitations were made. */
  readonly invitations: Array<readonly [instance: number, isFirst: boolean]> = [];
  parts: Record<'odoo' | 'docker' | 'postgres', true | string> = {
    odoo: true,
    docker: true,
    postgres: true,
  };

  instances: string | null = null;
  /** What instance 5 has to download. */
  exported = 'the data';
  downloads = this.#newDownloads();

  ready = async () => this.parts;

  constructor(...addresses: ListenAddress[]) {
    beforeEach(async () => {
      this.keys = [];
      this.logged = [];
      this.invitations.length = 0;
      this.logins.length = 0;
      this.invited = { url: 'https://5.example.com/web/reset_password?token=t' };
      this.parts = { odoo: true, docker: true, postgres: true };
      this.exported = 'the data';
      this.downloads = this.#newDownloads();
      this.server = await listen(addresses, this.options());
    });
    afterEach(() => this.server?.close());
  }

  options(): HttpOptions {
    return {
      verify: makeVerify(SECRET),
      onKeys: (more) => this.keys.push(...more),
      invite: async (instance, isFirst) => {
        if (instance !== 5) return null;
        this.invitations.push([instance, isFirst]);
        if (this.invited instanceof Error) throw this.invited;
        return this.invited;
      },
      offer: async (instance, snapshot) => {
        if (instance !== 5) return null;
        return { url: `https://5.example.com${this.downloads.offer(instance, snapshot)}` };
      },
      offerLogin: async (wanted) => {
        this.logins.push(wanted);
        return wanted.instance === 5 && wanted.login === 'ana@example.com'
          ? { url: 'https://5.example.com/.well-known/microsaas-login?token=t' }
          : null;
      },
      download: (req, res) => this.downloads.serve(req, res),
      ready: () => this.ready(),
      instances: () => this.instances,
      metrics: async () => 'microsaas_up 1\n',
      log: pino({}, { write: (line: string) => void this.logged.push(JSON.parse(line)) }),
    };
  }

  #newDownloads(): Downloads {
    return new Downloads({
      open: async () =>
        this.exported
          ? { bytes: this.exported.length, content: Readable.from([this.exported]) }
          : null,
      log: pino({}, { write: (line: string) => void this.logged.push(JSON.parse(line)) }),
    });
  }

  port(index = 0): number {
    return this.server?.addresses[index]?.port ?? 0;
  }

  get(path: string, index = 0): Promise<Answer> {
    return ask({ port: this.port(index), path });
  }

  post(body: string | Buffer, headers: Record<string, string>, index = 0): Promise<Answer> {
    return this.postTo('/webhooks/odoo', body, headers, index);
  }

  postTo(
    path: string,
    body: string | Buffer,
    headers: Record<string, string>,
    index = 0,
  ): Promise<Answer> {
    return ask({ port: this.port(index), path, method: 'POST', headers }, body);
  }
}
