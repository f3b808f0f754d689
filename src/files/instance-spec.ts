import { parse } from 'yaml';
import { z } from 'zod';
import { TerminalError } from '../errors.ts';

/** A folder of all nodes that the instance's container has. Absolute paths. */
export interface SpecMount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** A file whose content goes with the instance to whatever node it runs on. */
export interface SpecFile {
  /** Where the sidecar has it. */
  readonly source: string;
  readonly target: string;
}

export interface SpecTmpfs {
  readonly target: string;
  readonly sizeBytes: number;
  /** As chmod has it. */
  readonly mode: number;
}

/**
 * One instance as any engine of several nodes is to run it: what its checked Compose file says, without Compose's own words. Such an engine
 * begins here: it has no templates of its own.
 */
export interface InstanceSpec {
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly arguments: readonly string[];
  /** `uid:gid`; null: the image's. */
  readonly user: string | null;
  readonly environment: Readonly<Record<string, string>>;
  /** Of its own network. */
  readonly sysctls: Readonly<Record<string, string>>;
  readonly graceSeconds: number;
  /** All of them are what the policy of Compose files asks for: see compose-policy.ts. */
  readonly hardening: {
    readonly init: true;
    readonly readOnly: true;
    readonly dropsAllCapabilities: true;
    readonly noNewPrivileges: true;
    readonly swapBytes: 0;
  };
  readonly pids: number;
  readonly memoryBytes: number;
  /** Thousand-millionths of a processor. */
  readonly nanoCpus: number;
  readonly logging: {
    readonly driver: string;
    readonly options: Readonly<Record<string, string>>;
  };
  readonly tmpfs: readonly SpecTmpfs[];
  readonly mounts: readonly SpecMount[];
  /** odoo.conf: Odoo's user alone may read it. */
  readonly conf: SpecFile;
  readonly ports: ReadonlyArray<{ readonly target: number; readonly published: number }>;
}

/** What tells the instance's parts apart in its Compose file. */
export interface SpecFacts {
  /** The code of its template. */
  readonly template: string;
  /** Where its odoo.conf is. */
  readonly conf: string;
}

/** What an engine of several nodes cannot give, and so refuses: each is a sentence's end. */
const REFUSALS = {
  services: 'has more than one service: they would have to be on one node',
  closed:
    'is for a network that nothing leaves, a staging copy’s: on several nodes none is kept in yet',
  conf: 'has no odoo.conf',
} as const;

const bind = z
  .strictObject({
    type: z.literal('bind'),
    source: z.string(),
    target: z.string(),
    read_only: z.boolean().optional(),
    // A folder that a node lacks is an error there, not an empty new one.
    bind: z.strictObject({ create_host_path: z.literal(false) }),
  })
  .transform(
    ({ read_only, source, target }): SpecMount => ({
      source,
      target,
      readOnly: read_only ?? false,
    }),
  );

const tmpfs = z.string().transform((text, context): SpecTmpfs => {
  const [, target = '', mode = '', size = '', unit = ''] =
    /^(\/[^:]+):mode=([0-7]{3,4}),size=(\d+)([km])$/.exec(text) ?? [];
  if (target) {
    const sizeBytes = Number(size) * (unit === 'm' ? 2 ** 20 : 2 ** 10);
    return { target, sizeBytes, mode: Number.parseInt(mode, 8) };
  }
  context.addIssue('expected a folder with its mode and its size, in this order');
  return z.NEVER;
});

/** The service of Odoo. A key that is not here is refused: nothing of a template is left out unsaid. */
const service = z.strictObject({
  image: z.string(),
  // Engines of several nodes name what they make.
  container_name: z.string(),
  labels: z.record(z.string(), z.string()),
  entrypoint: z.array(z.string()).default([]),
  command: z.array(z.string()).default([]),
  user: z.string().optional(),
  environment: z.record(z.string(), z.string()).default({}),
  restart: z.literal('unless-stopped'),
  init: z.literal(true),
  stop_grace_period: z.string().regex(/^\d+s$/),
  read_only: z.literal(true),
  cap_drop: z.tuple([z.literal('ALL')]),
  security_opt: z.tuple([z.literal('no-new-privileges:true')]),
  pids_limit: z.int().positive(),
  mem_limit: z.string().regex(/^\d+m$/),
  // The same as mem_limit, which means no swap: the policy sees to it.
  memswap_limit: z.string(),
  cpus: z.number().positive(),
  logging: z.strictObject({
    driver: z.string(),
    options: z.record(z.string(), z.string()),
  }),
  tmpfs: z.array(tmpfs).default([]),
  volumes: z.array(bind).default([]),
  ports: z.array(
    z.strictObject({
      target: z.int().positive(),
      published: z.int().positive(),
      // Each node publishes on its own address.
      host_ip: z.string(),
      protocol: z.literal('tcp'),
    }),
  ),
  sysctls: z.record(z.string(), z.string()).default({}),
  // How instances are kept apart is the engine's own.
  networks: z.tuple([z.string()]),
});

const composeFile = z.strictObject({
  services: z.record(z.string(), z.unknown()),
  networks: z.record(z.string(), z.strictObject({ external: z.literal(true), name: z.string() })),
});

/**
 * What an instance's written Compose file says, for engines of several nodes. Pure.
 * @param compose the file's text, which render() has checked
 * @throws TerminalError('TemplateBreaksPolicy') naming what such an engine does not have
 */
export function instanceSpec(compose: string, facts: SpecFacts): InstanceSpec {
  const { services } = parsed(composeFile, unescaped(parse(compose)), [], facts);
  if (Object.keys(services).join() !== 'odoo') throw refused(facts, 'services', REFUSALS.services);
  const { odoo: found } = services;
  if (typeof found === 'object' && found !== null && 'dns' in found)
    throw refused(facts, 'services.odoo.dns', REFUSALS.closed);
  const odoo = parsed(service, found, ['services', 'odoo'], facts);
  const conf = odoo.volumes.find(({ source }) => source === facts.conf);
  if (!conf) throw refused(facts, 'services.odoo.volumes', REFUSALS.conf);
  return {
    image: odoo.image,
    labels: odoo.labels,
    entrypoint: odoo.entrypoint,
    arguments: odoo.command,
    user: odoo.user ?? null,
    environment: odoo.environment,
    sysctls: odoo.sysctls,
    graceSeconds: Number.parseInt(odoo.stop_grace_period, 10),
    hardening: {
      ...{ init: odoo.init, readOnly: odoo.read_only },
      ...{ dropsAllCapabilities: true, noNewPrivileges: true, swapBytes: 0 },
    },
    pids: odoo.pids_limit,
    memoryBytes: Number.parseInt(odoo.mem_limit, 10) * 2 ** 20,
    nanoCpus: Math.round(odoo.cpus * 1e9),
    logging: odoo.logging,
    tmpfs: odoo.tmpfs,
    mounts: odoo.volumes.filter((it) => it !== conf),
    conf: { source: conf.source, target: conf.target },
    ports: odoo.ports.map(({ published, target }) => ({ target, published })),
  };
}

function parsed<T extends z.ZodType>(
  schema: T,
  value: unknown,
  place: readonly string[],
  facts: SpecFacts,
): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  const path = [...place, ...(issue?.path ?? []), ...unknown].map(String).join('.');
  const why = unknown.length > 0 ? 'is not known' : `is not as expected: ${issue?.message}`;
  throw refused(facts, path, `${why} to engines of several nodes`);
}

function refused({ template }: SpecFacts, path: string, why: string): TerminalError {
  return new TerminalError(
    'TemplateBreaksPolicy',
    `The template "${template}" cannot be used on several nodes: "${path}" ${why}.`,
    { detail: [template, path, why] },
  );
}

/** Compose's way of writing a `$`. */
function unescaped(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unescaped);
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, unescaped(it)]));
  return typeof value === 'string' ? value.replaceAll('$$', '$') : value;
}
