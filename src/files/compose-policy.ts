import { normalize } from 'node:path';
import { z } from 'zod';
import { TCP_SYSCTLS } from '../docker/postgres-access.ts';
import { TerminalError } from '../errors.ts';
import type { PortPair } from '../instance/types.ts';

/** What one instance's Compose file may refer to. Paths are absolute. */
export interface ComposeFacts {
  readonly template: string;
  readonly project: string;
  /** Every service carries exactly these. */
  readonly labels: Readonly<Record<string, string>>;
  readonly directory: string;
  /** The only file under `secrets/` that a container may read. */
  readonly postgresPassword: string;
  /** '' where the Postgres is on the network. */
  readonly socketDirectory: string;
  /** The certificate of its authority there; '' at a socket. */
  readonly postgresCa: string;
  /** The only names that a container may be told of. */
  readonly extraHosts: readonly string[];
  readonly checkouts: readonly string[];
  readonly network: string;
  /** Nothing may leave it: see closedService(). */
  readonly isClosed: boolean;
  readonly publishAddress: string;
  readonly ports: PortPair;
  readonly images: readonly string[];
}

/**
 * Checks a parsed Compose document against an allowlist: what is not named here is refused, and the hardening named here
 * must be there.
 * @throws TerminalError TemplateBreaksPolicy, naming the service and the key.
 */
export function checkCompose(document: unknown, facts: ComposeFacts): void {
  const checked = composeFile(facts).safeParse(interpolated(document, facts));
  if (checked.success) return;
  const [issue] = checked.error.issues;
  if (!issue) throw checked.error;
  const [path, why] =
    issue.code === 'unrecognized_keys'
      ? [[...issue.path, issue.keys[0]], 'is not allowed']
      : [issue.path, `is not as it must be: ${issue.message}`];
  throw broken(facts, path.map(String), why);
}

/** The document as Compose will see it. A lone `$` would be filled in from the environment, past this check. */
function interpolated(value: unknown, facts: ComposeFacts, path: readonly string[] = []): unknown {
  if (Array.isArray(value))
    return value.map((part, index) => interpolated(part, facts, [...path, String(index)]));
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(
      Object.entries(value).map(([key, part]) => [key, interpolated(part, facts, [...path, key])]),
    );
  if (typeof value !== 'string') return value;
  if (/\p{Cc}/u.test(value)) throw broken(facts, path, 'holds a control character');
  if (value.replaceAll('$$', '').includes('$')) throw broken(facts, path, 'holds a variable ($)');
  return value.replaceAll('$$', '$');
}

function broken(facts: ComposeFacts, path: readonly string[], why: string): TerminalError {
  const [section, service, ...key] = path;
  const where =
    section === 'services' && service !== undefined
      ? `service "${service}": "${key.join('.')}"`
      : `"${path.join('.')}"`;
  return new TerminalError(
    'TemplateBreaksPolicy',
    `The template "${facts.template}" breaks the policy: ${where} ${why}.`,
    { detail: [facts.template, path.join('.'), why] },
  );
}

function composeFile(facts: ComposeFacts) {
  return z.strictObject({
    services: z
      .record(z.string().regex(/^[a-z][a-z0-9]*$/), service(facts))
      .refine((services) => 'odoo' in services, 'the service "odoo" is missing')
      .refine(
        (services) => publishesBoth(Object.values(services), facts.ports),
        'the two ports are to be published once each',
      ),
    // A network of its own would use up one of the few address ranges Docker has.
    networks: z.record(
      z.string(),
      z.strictObject({ external: z.literal(true), name: z.literal(facts.network) }),
    ),
  });
}

function service(facts: ComposeFacts) {
  return z
    .strictObject({
      image: z.enum(facts.images),
      container_name: z.string().regex(new RegExp(`^${facts.project}-[a-z]+$`)),
      labels: z.strictObject(mapValues(facts.labels, (value) => z.literal(value))),
      entrypoint: z.array(z.string()).optional(),
      command: z.array(z.string()).optional(),
      user: z
        .string()
        .regex(/^[1-9]\d*:[1-9]\d*$/)
        .optional(),
      environment: z.record(z.string(), z.string()).optional(),
      depends_on: z.array(z.string()).optional(),
      restart: z.enum(['unless-stopped', 'no']),
      init: z.literal(true),
      stop_grace_period: z.string().regex(/^\d{1,3}s$/),
      read_only: z.literal(true),
      cap_drop: z.tuple([z.literal('ALL')]),
      security_opt: z.tuple([z.literal('no-new-privileges:true')]),
      pids_limit: z.int().positive().max(1024),
      mem_limit: z.string().regex(/^\d+m$/),
      memswap_limit: z.string(),
      cpus: z.number().positive(),
      logging: z.strictObject({
        driver: z.enum(['json-file', 'local']),
        // Unbounded unless both are set.
        options: z.strictObject({
          'max-size': z.string().regex(/^\d{1,2}m$/),
          'max-file': z.string().regex(/^\d$/),
        }),
      }),
      tmpfs: z.array(z.string().regex(/^\/[\w./-]+(:[\w=,]+)?$/)).optional(),
      volumes: z.array(bind(facts)).optional(),
      ports: z.array(port(facts)).optional(),
      networks: z.tuple([z.string()]).optional(),
      dns: z.tuple([z.literal(NO_NAME_SERVER)]).optional(),
      extra_hosts: z
        .array(
          z
            .string()
            .refine((one) => facts.extraHosts.includes(one), 'expected a host of the Postgres'),
        )
        .optional(),
      sysctls: z.strictObject(mapValues(TCP_SYSCTLS, (value) => z.literal(value))).optional(),
      network_mode: z.literal('none').optional(),
    })
    .refine((it) => it.mem_limit === it.memswap_limit, {
      path: ['memswap_limit'],
      message: 'expected the same as mem_limit, which means no swap',
    })
    .refine((it) => it.restart === (isShut(it, facts) ? 'no' : 'unless-stopped'), {
      path: ['restart'],
      message: 'expected "no" with the closed network, "unless-stopped" with another',
    })
    .refine((it) => Boolean(it.dns) === isShut(it, facts), {
      path: ['dns'],
      message: `expected [${NO_NAME_SERVER}] with the closed network, none with another`,
    })
    .refine((it) => Boolean(it.networks) !== Boolean(it.network_mode), {
      path: ['networks'],
      message: 'expected one of networks and network_mode',
    });
}

/**
 * In the container itself, where nobody answers. Docker asks its own name servers for a container from the host, past the firewall, where
 * they are on the host's loopback; one that Compose names it asks from the container.
 */
const NO_NAME_SERVER = '127.0.0.1';

/**
 * A service that nothing may leave. Docker does not start it by itself, since after a reboot the firewall's rules are missing for a while:
 * the sidecar does, once they are loaded.
 */
function isShut({ networks }: { readonly networks?: unknown }, facts: ComposeFacts): boolean {
  return facts.isClosed && networks !== undefined;
}

function port(facts: ComposeFacts) {
  return z.strictObject({
    target: z.int().positive(),
    published: z.literal([facts.ports.http, facts.ports.longpolling]),
    host_ip: z.literal(facts.publishAddress),
    protocol: z.literal('tcp'),
  });
}

function bind(facts: ComposeFacts) {
  return z
    .strictObject({
      type: z.literal('bind'),
      source: z.string().refine((path) => path === normalize(path), 'expected a path without ".."'),
      target: z.string().startsWith('/'),
      read_only: z.boolean().optional(),
      // A missing directory must be an error, not an empty new one.
      bind: z.strictObject({ create_host_path: z.literal(false) }),
    })
    .refine((it) => mayBind(it.source, it.read_only === true, facts), {
      path: ['source'],
      message:
        "expected a path inside the instance's directory, the Postgres socket directory or, read-only, a checkout or the Postgres' certificate",
    });
}

function mayBind(source: string, isReadOnly: boolean, facts: ComposeFacts): boolean {
  if (source === facts.socketDirectory) return true;
  if ([facts.postgresPassword, facts.postgresCa, ...facts.checkouts].includes(source))
    return isReadOnly;
  return (
    source.startsWith(`${facts.directory}/`) &&
    !`${source}/`.startsWith(`${facts.directory}/secrets/`)
  );
}

type Ports = ReadonlyArray<{ readonly published: number }> | undefined;

function publishesBoth(
  services: ReadonlyArray<{ readonly ports?: Ports }>,
  wanted: PortPair,
): boolean {
  const published = services.flatMap((it) => it.ports ?? []).map((it) => it.published);
  return (
    published.length === 2 &&
    published.includes(wanted.http) &&
    published.includes(wanted.longpolling)
  );
}

function mapValues<T>(record: Readonly<Record<string, string>>, map: (value: string) => T) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
