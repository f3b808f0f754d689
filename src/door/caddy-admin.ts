import { request } from 'node:http';
import { DoorError } from '../errors.ts';

/** How long Caddy may take to load a configuration, in milliseconds: 10,000 names take a quarter of a second of processor time. */
const LOAD_MS = 30_000;
const READ_MS = 5_000;

/** Caddy's admin API on its unix socket. */
export class CaddyAdmin {
  readonly #socket: string;

  /** @param socket absolute path; at most 107 bytes */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /** The configuration that is loaded, as JSON: null for none; undefined when nobody answers. */
  async config(): Promise<unknown> {
    const answer = await this.#ask('GET', '/config/', READ_MS).catch(() => undefined);
    return answer?.status === 200 ? JSON.parse(answer.body) : undefined;
  }

  /** Loads a whole configuration: all of it or, with what is wrong, nothing. @throws DoorError */
  async load(config: unknown): Promise<void> {
    const { body, status } = await this.#ask(
      'POST',
      '/load',
      LOAD_MS,
      JSON.stringify(config),
    ).catch((cause: Error) => {
      throw new DoorError(`The door does not answer: ${cause.message}`, {
        cause,
      });
    });
    if (status === 200) return;
    throw new DoorError(`The door refuses its configuration: ${reasonIn(body)}`);
  }

  #ask(
    method: 'GET' | 'POST',
    path: string,
    timeout: number,
    body = '',
  ): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      // Caddy compares Host and Origin with what it listens on; a unix socket has neither.
      const headers = {
        host: '',
        ...(body
          ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
          : {}),
      };
      const call = request({
        socketPath: this.#socket,
        method,
        path,
        headers,
        timeout,
        agent: false,
      });
      call.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      });
      call.on('timeout', () => call.destroy(new Error(`no answer within ${timeout} ms`)));
      call.on('error', reject);
      call.end(body);
    });
  }
}

/** Caddy says what is wrong as `{"error": "…"}`. */
function reasonIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === 'string' ? error : body;
  } catch {
    return body;
  }
}
