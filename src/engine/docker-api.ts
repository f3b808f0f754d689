import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { RetryableError } from '../errors.ts';

/** How long one question to the daemon may take, in milliseconds. */
const TIMEOUT = 15_000;

const containerSchema = z.object({
  Id: z.string(),
  Names: z.array(z.string()),
  State: z.string(),
  Status: z.string(),
  Labels: z.record(z.string(), z.string()),
});

const networkSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  Options: z
    .record(z.string(), z.string())
    .nullish()
    .transform((options) => options ?? {}),
});

export interface Container {
  readonly id: string;
  readonly name: string;
  /** created, running, restarting, paused, exited, dead */
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Questions to the Docker daemon over its socket: some milliseconds, where starting the CLI costs a process.
 * What changes anything goes through the CLI and Compose instead (compose.ts).
 */
export class DockerApi {
  readonly #socket: string;
  readonly #onCall: () => void;

  constructor(socket: string, onCall: () => void = () => {}) {
    this.#socket = socket;
    this.#onCall = onCall;
  }

  async ping(): Promise<void> {
    await this.#get('/_ping');
  }

  /** Containers that carry all of these labels (`name=value` or `name`), whatever their state. */
  async containers(labels: readonly string[]): Promise<Container[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: labels }));
    const answer = await this.#get(`/containers/json?all=1&filters=${filters}`);
    return z
      .array(containerSchema)
      .parse(JSON.parse(answer))
      .map((c) => ({
        id: c.Id,
        name: (c.Names[0] ?? '').replace(/^\//, ''),
        state: c.State,
        labels: c.Labels,
      }));
  }

  /** The id (`sha256:…`) of a local image, or null when it is not here. */
  async imageId(image: string): Promise<string | null> {
    const answer = await this.#get(`/images/${encodeURIComponent(image)}/json`, [404]);
    return answer === '' ? null : z.object({ Id: z.string() }).parse(JSON.parse(answer)).Id;
  }

  /** A network's subnet, gateway and number of containers, or null when there is none of that name. */
  async network(
    name: string,
  ): Promise<{ subnet: string; gateway: string; containers: number } | null> {
    const answer = await this.#get(`/networks/${encodeURIComponent(name)}`, [404]);
    if (answer === '') return null;
    const network = z
      .object({
        IPAM: z.object({
          Config: z.array(z.object({ Subnet: z.string(), Gateway: z.string().default('') })),
        }),
        Containers: z.record(z.string(), z.unknown()).default({}),
      })
      .parse(JSON.parse(answer));
    const { Subnet: subnet = '', Gateway: gateway = '' } = network.IPAM.Config[0] ?? {};
    return { subnet, gateway, containers: Object.keys(network.Containers).length };
  }

  /** The networks that carry a label (`name=value`), each with the Linux bridge it is. */
  async networks(label: string): Promise<{ name: string; bridge: string }[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
    const answer = await this.#get(`/networks?filters=${filters}`);
    return z
      .array(networkSchema)
      .parse(JSON.parse(answer))
      .map(({ Id, Name, Options }) => ({
        name: Name,
        // What Docker names it when nobody else does.
        bridge: Options['com.docker.network.bridge.name'] ?? `br-${Id.slice(0, 12)}`,
      }));
  }

  /**
   * Calls back with the labels of every container event that carries the label, until the stream or signal ends.
   * @param opened is called once nothing can be missed any more
   */
  async events(
    label: string,
    opened: () => void,
    happened: (labels: Readonly<Record<string, string>>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const filters = encodeURIComponent(
      JSON.stringify({
        type: ['container'],
        event: ['die', 'start', 'destroy', 'oom'],
        label: [label],
      }),
    );
    const eventSchema = z.object({
      Actor: z.object({ Attributes: z.record(z.string(), z.string()) }),
    });
    await new Promise<void>((resolve, reject) => {
      const call = request(
        { socketPath: this.#socket, path: `/events?filters=${filters}`, signal },
        (response) => {
          opened();
          const lines = createInterface({ input: response });
          lines.on('line', (line) =>
            happened(eventSchema.parse(JSON.parse(line)).Actor.Attributes),
          );
          // A cut stream is an error of the response, which readline takes and passes on as its own.
          lines.on('error', reject);
          response.on('close', resolve);
        },
      );
      call.on('error', reject);
      call.end();
    }).catch((cause) => {
      if (!signal.aborted) throw unavailable(cause);
    });
  }

  /** @returns the body, or '' for a status in `absent`. @throws RetryableError('DockerUnavailable') */
  #get(path: string, absent: readonly number[] = []): Promise<string> {
    this.#onCall();
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.#socket, path, timeout: TIMEOUT }, (response) => {
        const status = response.statusCode ?? 0;
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('error', (cause) => reject(unavailable(cause)));
        response.on('end', () => {
          if (absent.includes(status)) resolve('');
          else if (status >= 400)
            reject(unavailable(new Error(`Docker answered ${status}: ${body}`)));
          else resolve(body);
        });
      });
      call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT} ms`)));
      call.on('error', (cause) => reject(unavailable(cause)));
      call.end();
    });
  }
}

function unavailable(cause: unknown): RetryableError {
  return new RetryableError('DockerUnavailable', 'Docker does not answer.', { cause });
}
