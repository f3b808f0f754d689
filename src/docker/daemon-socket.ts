import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { RetryableError } from '../errors.ts';

/** How long one request to the daemon may take, in milliseconds. */
const TIMEOUT_MS = 15_000;

export interface DaemonCall {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** Statuses from 300 on that are an answer as well. */
  readonly accepted?: readonly number[];
  /** Sent as JSON. */
  readonly body?: object;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface DaemonAnswer {
  readonly status: number;
  readonly body: string;
}

/** One Docker daemon, asked over its unix socket. */
export class DaemonSocket {
  readonly #socket: string;
  readonly #onCall: () => void;

  constructor(socket: string, onCall: () => void = () => {}) {
    this.#socket = socket;
    this.#onCall = onCall;
  }

  /**
   * @throws RetryableError DockerUnavailable when nobody answers, DockerRefused for a status of 4xx that is not among `accepted`,
   * DockerFailed for one of 5xx
   */
  call(path: string, options: DaemonCall = {}): Promise<DaemonAnswer> {
    const { method = 'GET', accepted = [], body, timeoutMs = TIMEOUT_MS, signal } = options;
    const headers = body ? { headers: { 'content-type': 'application/json' } } : {};
    this.#onCall();
    return new Promise((resolve, reject) => {
      const target = { socketPath: this.#socket, path, method, timeout: timeoutMs, ...headers };
      const call = request({ ...target, ...(signal ? { signal } : {}) }, (response) => {
        const status = response.statusCode ?? 0;
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', (cause) => reject(unavailable(cause)));
        response.on('end', () => {
          if (status < 300 || accepted.includes(status)) resolve({ status, body: text });
          else reject(refused(status, text));
        });
      });
      call.on('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs} ms`)));
      call.on('error', (cause) => reject(unavailable(cause)));
      call.end(body && JSON.stringify(body));
    });
  }

  /**
   * Calls back with every line of an answer that does not end, until it or the signal ends.
   * @param onOpen is called once no line can be missed any more
   * @throws RetryableError when the stream was refused or cut
   */
  async lines(
    path: string,
    onOpen: () => void,
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const call = request({ socketPath: this.#socket, path, signal }, (response) => {
        const status = response.statusCode ?? 0;
        if (status >= 400) {
          response.resume();
          reject(refused(status, 'the stream of events'));
          return;
        }
        onOpen();
        const lines = createInterface({ input: response });
        lines.on('line', onLine);
        // A cut stream is an error of the response, which readline emits as its own.
        lines.on('error', reject);
        response.on('close', resolve);
      });
      call.on('error', reject);
      call.end();
    }).catch((cause) => {
      if (signal.aborted) return;
      throw cause instanceof RetryableError ? cause : unavailable(cause);
    });
  }
}

function unavailable(cause: unknown): RetryableError {
  return new RetryableError('DockerUnavailable', 'Docker does not answer.', { cause });
}

/** Docker answers, but with an error: it is not unavailable. */
function refused(status: number, body: string): RetryableError {
  const cause = new Error(`Docker answered ${status}: ${body}`);
  return status >= 500
    ? new RetryableError('DockerFailed', 'Docker reports an error of its own.', { cause })
    : new RetryableError('DockerRefused', 'Docker refused a request.', { cause });
}
