import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, isAbsolute, join, relative, resolve as resolvePath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { parseAllowedTarget } from './docker/egress-rules.ts';
import { ConfigError } from './errors.ts';
import { senderOf } from './instance/sender.ts';
import type { PostgresServer } from './instance/types.ts';
import { registerSecret } from './log.ts';

/** The minimum size of a webhook secret in bytes, as Standard Webhooks has it. */
const MIN_SECRET_BYTES = 24;
const SECRET_PREFIX = 'whsec_';

const port = z.coerce.number().int().min(1).max(65_535);
const seconds = z.coerce.number().positive();
const absolute = z.string().refine(isAbsolute, 'an absolute path');
const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';
const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const hostLabel = z.string().regex(new RegExp(`^${label}$`), 'one label of a host name');
const hostName = z
  .string()
  .max(200)
  .regex(new RegExp(`^${label}(\\.${label})*$`), 'a domain in lower case, such as example.com');
/** `192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53`, or ''. */
function isNameServer(text: string): boolean {
  const [, address = ''] = /^\[?(.*?)\]?(?::(\d{1,5}))?$/.exec(text) ?? [];
  return text === '' || isIP(text) !== 0 || isIP(address) !== 0;
}
const optionalSecret = { file: z.string().default(''), value: z.string().default('') };
const isLoopback = (host: string) => /^(localhost|127\..*|::1)$/.test(host);
const isSender = (pattern: string) =>
  /\{(name|id)\}/.test(pattern) &&
  z.email().safeParse(senderOf(pattern, { id: 1, subdomain: 'a1' })).success;

const schema = z.strictObject({
  dataDir: absolute,
  templatesDir: absolute.default(join(dirname(fileURLToPath(import.meta.url)), '..', 'templates')),
  manager: z.strictObject({
    url: z.url({ protocol: /^https?$/ }),
    database: z.string().min(1),
    login: z.string().min(1).default('microsaas-sidecar'),
    apiKey: optionalSecret.value,
    apiKeyFile: optionalSecret.file,
    rpc: z.enum(['auto', 'json2', 'jsonrpc', 'xmlrpc']).default('auto'),
    pollSeconds: seconds.default(30),
  }),
  webhook: z.strictObject({ secret: optionalSecret.value, secretFile: optionalSecret.file }),
  http: z
    .strictObject({
      host: z.string().default('127.0.0.1'),
      port: port.default(8471),
      managerNetwork: z.string().default(''),
    })
    .prefault({}),
  engine: z.enum(['compose', 'swarm']).default('compose'),
  swarm: z
    .strictObject({
      sockets: z.array(absolute).default([]),
      sharedDir: z.union([z.literal(''), absolute]).default(''),
    })
    .prefault({}),
  docker: z.strictObject({ socket: absolute.default('/var/run/docker.sock') }).prefault({}),
  postgres: z.strictObject({
    socketDir: z.union([z.literal(''), absolute]).default(''),
    hosts: z.array(z.union([hostName, z.ipv4(), z.ipv6()])).default([]),
    port: port.default(5432),
    caFile: z.union([z.literal(''), absolute]).default(''),
    user: z.string().default('microsaas'),
    password: optionalSecret.value,
    passwordFile: optionalSecret.file,
    image: z.string().min(1).default('postgres:17'),
  }),
  instances: z
    .strictObject({
      url: z
        .string()
        .regex(/^(https?:\/\/\S+)?$/, 'http:// or https:// with {name}, {port} or {id}')
        .default(''),
      publishAddress: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
      parallel: z.coerce.number().int().min(0).default(0),
      freeMemoryMb: z.coerce.number().int().min(0).default(512),
      spareMemoryMb: z.coerce.number().int().min(0).default(0),
      freeDiskMb: z.coerce.number().int().min(0).default(2048),
      freeInodes: z.coerce.number().int().min(0).default(20_000),
      answerSeconds: seconds.default(180),
    })
    .refine(
      ({ publishAddress, spareMemoryMb }) => spareMemoryMb === 0 || isLoopback(publishAddress),
      {
        path: ['spareMemoryMb'],
        message: '0, unless publishAddress is a loopback address: others would find the spares',
      },
    )
    .prefault({}),
  door: z
    .strictObject({
      domain: z.union([z.literal(''), hostName]).default(''),
      manager: z.union([z.literal(''), hostLabel]).default('manager'),
      managerPort: port.default(8069),
      https: z.stringbool().or(z.boolean()).default(true),
      address: z.union([z.ipv4(), z.ipv6()]).default('0.0.0.0'),
      httpPort: port.default(80),
      httpsPort: port.default(443),
      addresses: z.array(z.union([z.ipv4(), z.ipv6()])).default([]),
      resolver: z.string().refine(isNameServer, 'address:port of a name server').default(''),
      certificateFile: z.union([z.literal(''), absolute]).default(''),
      keyFile: z.union([z.literal(''), absolute]).default(''),
      image: z.string().min(1).default('caddy:2'),
      acme: z
        .strictObject({
          directory: z.url({ protocol: /^https$/ }).default(LETS_ENCRYPT),
          email: z.union([z.literal(''), z.email()]).default(''),
          rootFile: z.union([z.literal(''), absolute]).default(''),
        })
        .prefault({}),
    })
    .prefault({}),
  mail: z
    .strictObject({
      relay: z
        .strictObject({
          host: z
            .union([z.literal(''), hostName, z.ipv4(), z.ipv6()])
            .refine((host) => !isLoopback(host), 'one that containers reach: loopback is their own')
            .default(''),
          port: port.default(587),
          encryption: z.enum(['none', 'starttls', 'ssl']).default('starttls'),
          user: z.string().default(''),
          password: optionalSecret.value,
          passwordFile: optionalSecret.file,
          sender: z
            .string()
            .refine(
              (sender) => sender === '' || isSender(sender),
              'an address with {name} or {id}, such as {name}@example.com',
            )
            .default(''),
        })
        .prefault({}),
    })
    .prefault({}),
  limits: z
    .strictObject({
      unitsPerLine: z.coerce.number().int().positive().default(20),
      claimsPerPlan: z.coerce.number().int().positive().default(20),
    })
    .prefault({}),
  backups: z
    .strictObject({
      enabled: z.stringbool().or(z.boolean()).default(true),
      repository: z
        .string()
        .regex(
          /^(\/.*|sftp:(\/\/[^\s/]+\/|[^\s/:]+:)\S+|rest:https?:\/\/[^\s/]\S*)?$/,
          'a folder, sftp:user@host:/folder, sftp://user@host:port//folder or rest:https://host/',
        )
        .default(''),
      schedule: z
        .string()
        .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day such as 02:00')
        .default('02:00'),
      environmentFile: z.union([z.literal(''), absolute]).default(''),
      sshFolder: z.union([z.literal(''), absolute]).default(''),
      image: z.string().min(1).default('microsaas-base:3'),
    })
    .prefault({}),
  repositories: z
    .strictObject({
      protocols: z.array(z.enum(['https', 'http'])).default(['https']),
      privateHosts: z.array(z.string().min(1)).default([]),
      credentials: z
        .array(
          z.strictObject({
            url: z.url({ protocol: /^https?$/ }),
            user: z
              .string()
              .regex(/^[^:]+$/, 'a name without a colon')
              .default('git'),
            tokenFile: absolute,
          }),
        )
        .default([]),
    })
    .prefault({}),
  egress: z
    .strictObject({
      enforce: z.stringbool().or(z.boolean()).default(true),
      allow: z
        .array(
          z.string().transform((text, context) => {
            const target = parseAllowedTarget(text);
            if (target) return target;
            context.addIssue('expected an address or network, and a port where only that is meant');
            return z.NEVER;
          }),
        )
        .default([]),
      image: z.string().min(1).default('microsaas-base:3'),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
      format: z.enum(['auto', 'json', 'pretty']).default('auto'),
    })
    .prefault({}),
});

type Parsed = z.infer<typeof schema>;

/** The SMTP server through which new instances send. */
export type MailRelay = Omit<Parsed['mail']['relay'], 'passwordFile'>;

/** The complete configuration: every default filled in, every secret read. */
export interface Config {
  readonly dataDir: string;
  readonly templatesDir: string;
  readonly manager: Omit<Parsed['manager'], 'apiKeyFile'>;
  readonly webhookSecret: string;
  readonly http: Parsed['http'];
  readonly docker: Parsed['docker'];
  /** Null: instances run on this host alone, as Compose projects. */
  readonly swarm: Parsed['swarm'] | null;
  readonly postgres: {
    readonly server: PostgresServer;
    readonly user: string;
    readonly password: string;
    readonly image: string;
  };
  /** `url` is never empty here. */
  readonly instances: Parsed['instances'];
  /** No door without a `domain`. */
  readonly door: Parsed['door'];
  /** Null: no relay is configured. */
  readonly mailRelay: MailRelay | null;
  readonly limits: Parsed['limits'];
  /** `repository` is never empty here. */
  readonly backups: Parsed['backups'];
  readonly repositories: Parsed['repositories'];
  readonly egress: Parsed['egress'];
  readonly log: Parsed['log'];
  /** Its own file, and the files and folders that it names: what another host needs to be configured the same. */
  readonly files: readonly string[];
}

/**
 * Reads `microsaas.yaml` (at `path`, or MICROSAAS_CONFIG, or ./microsaas.yaml); environment variables override its keys.
 * @throws ConfigError naming the key, what was expected and what was found.
 */
export function loadConfig(
  path?: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const file = path ?? environment['MICROSAAS_CONFIG'] ?? 'microsaas.yaml';
  const merged = withEnvironment(readYaml(file), environment);
  const result = schema.safeParse(merged);
  if (!result.success) throw new ConfigError(explain(file, merged, result.error));
  return { ...resolve(result.data), files: [resolvePath(file), ...filesIn(merged)] };
}

/**
 * Checks a configuration's keys and values, not the files that it names.
 * @param name of where it is written, for the message
 * @throws ConfigError as loadConfig() does
 */
export function checkConfig(name: string, value: unknown): void {
  const result = schema.safeParse(value);
  if (!result.success) throw new ConfigError(explain(name, value, result.error));
}

function readYaml(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ConfigError(
      `${file}: expected a readable file, found ${(cause as NodeJS.ErrnoException).code}. Copy microsaas.example.yaml there, or name another with --config.`,
    );
  }
  try {
    // A section whose keys are all commented out is null: treated as absent.
    const value: unknown = parse(text, (_key, part) => (part === null ? undefined : part)) ?? {};
    if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new ConfigError(`${file}: expected keys and values, found ${typeof value}`);
  } catch (cause) {
    if (cause instanceof YAMLParseError) throw new ConfigError(`${file}: ${cause.message}`);
    throw cause;
  }
}

/** Keys whose environment variable is a comma-separated list. */
const LISTS: ReadonlySet<string> = new Set([
  'protocols',
  'privateHosts',
  'allow',
  'addresses',
  'hosts',
  'sockets',
]);

/** Overrides the key a.b by MICROSAAS_A_B, for every key of the schema. */
function withEnvironment(
  yaml: Record<string, unknown>,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, unknown> {
  const merged = structuredClone(yaml);
  for (const key of keyPaths(schema)) {
    const text = environment[environmentName(key)];
    if (text === undefined) continue;
    let place = merged;
    for (const part of key.slice(0, -1)) {
      // An empty section is null; a text in place of a section is replaced.
      if (typeof place[part] !== 'object' || place[part] === null) place[part] = {};
      place = place[part] as Record<string, unknown>;
    }
    const last = key.at(-1) as string;
    place[last] = LISTS.has(last) ? text.split(',').map((part) => part.trim()) : text;
  }
  return merged;
}

/** `['manager','pollSeconds']` → `MICROSAAS_MANAGER_POLL_SECONDS`. */
export function environmentName(key: readonly string[]): string {
  const words = key.map((part) => part.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase());
  return `MICROSAAS_${words.join('_')}`;
}

/** Every key of the configuration, as a path. */
export function keyPaths(type: z.ZodType = schema, prefix: readonly string[] = []): string[][] {
  const inner = type instanceof z.ZodPrefault ? (type.unwrap() as z.ZodType) : type;
  if (!(inner instanceof z.ZodObject)) return [[...prefix]];
  return Object.entries(inner.shape as Record<string, z.ZodType>).flatMap(([name, child]) =>
    keyPaths(child, [...prefix, name]),
  );
}

function explain(file: string, found: unknown, error: z.ZodError): string {
  const lines = error.issues.map((issue) => {
    const key = issue.path.join('.') || '(top)';
    const value = issue.path.reduce<unknown>(
      (place, part) => (place as Record<PropertyKey, unknown> | undefined)?.[part],
      found,
    );
    // The value would be the whole parent section, secrets included.
    if (issue.code === 'unrecognized_keys') return `  ${key}: ${issue.message}`;
    const shown = /secret|key|password/i.test(key) ? '[redacted]' : JSON.stringify(value);
    return `  ${key}: ${issue.message}; found ${value === undefined ? 'nothing' : shown}`;
  });
  return `${file} is wrong:\n${lines.join('\n')}`;
}

/** The values of all keys that name a file, and of the one that names a folder, at any depth. */
function filesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) =>
    typeof child !== 'string' ? filesIn(child) : child && NAMES_FILES.test(key) ? [child] : [],
  );
}

const NAMES_FILES = /File$|^sshFolder$/;

function resolve(parsed: Parsed): Omit<Config, 'files'> {
  const { engine: _, mail, ...rest } = parsed;
  requirePrivate(parsed.backups);
  const { apiKeyFile, ...manager } = parsed.manager;
  const { webhook } = parsed;
  const webhookSecret = secret('webhook.secret', webhook.secret, webhook.secretFile);
  const bytes = Buffer.from(webhookSecret.replace(SECRET_PREFIX, ''), 'base64').length;
  if (bytes < MIN_SECRET_BYTES)
    throw new ConfigError(
      `webhook.secret: expected at least ${MIN_SECRET_BYTES} bytes as ${SECRET_PREFIX}<base64>, found ${bytes}. Settings > MicroSaaS > Make a new secret in Odoo shows one, once.`,
    );
  return {
    ...rest,
    swarm: swarmOf(parsed),
    mailRelay: relayOf(mail.relay),
    instances: { ...parsed.instances, url: parsed.instances.url || defaultUrl(parsed.door) },
    backups: {
      ...parsed.backups,
      repository: repositoryOf(parsed),
    },
    manager: { ...manager, apiKey: secret('manager.apiKey', manager.apiKey, apiKeyFile) },
    webhookSecret,
    postgres: {
      server: serverOf(parsed),
      user: parsed.postgres.user,
      image: parsed.postgres.image,
      password: secret('postgres.password', parsed.postgres.password, parsed.postgres.passwordFile),
    },
  };
}

/** What several hosts need: everything of an instance is on all of them. @throws ConfigError */
function swarmOf(parsed: Parsed): Parsed['swarm'] | null {
  const { dataDir, docker, engine, instances, postgres, swarm } = parsed;
  if (engine === 'compose') return null;
  const { sharedDir, sockets } = swarm;
  if (!sharedDir)
    throw new ConfigError(
      'swarm.sharedDir: expected the folder that all nodes have at this path, with the same files; found nothing',
    );
  if (relative(sharedDir, dataDir).startsWith('..'))
    throw new ConfigError(
      `dataDir: expected a folder below swarm.sharedDir (${sharedDir}), since the instances of all nodes have their files there; found ${dataDir}`,
    );
  if (postgres.hosts.length === 0)
    throw new ConfigError(
      'postgres.hosts: expected a Postgres on the network, since other nodes do not have a socket of this host; found none',
    );
  if (instances.spareMemoryMb > 0)
    throw new ConfigError(
      `instances.spareMemoryMb: expected 0 with engine swarm, since others in the network of its nodes could find the spares; found ${instances.spareMemoryMb}`,
    );
  return { sharedDir, sockets: sockets.length > 0 ? sockets : [docker.socket] };
}

/** Where the customers' Postgres is: on the network, or at its socket. @throws ConfigError */
function serverOf({ dataDir, postgres }: Parsed): PostgresServer {
  const { caFile, hosts, port, socketDir } = postgres;
  if (hosts.length === 0 && caFile)
    throw new ConfigError(
      `postgres.hosts: expected the hosts whose certificates postgres.caFile vouches for; found none`,
    );
  if (hosts.length === 0) return { socketDir: socketDir || join(dataDir, 'postgresql') };
  if (socketDir)
    throw new ConfigError(
      'postgres: expected either hosts or socketDir, since there is one Postgres; found both',
    );
  if (!caFile)
    throw new ConfigError(
      'postgres.caFile: expected the certificate of the authority that has signed those of postgres.hosts, since nothing connects without verifying them; found nothing',
    );
  requireAuthority(caFile, dataDir);
  return { hosts, port, caFile };
}

/** Instances read it as users of their own, where Docker mounts it by the host's path. @throws ConfigError */
function requireAuthority(file: string, dataDir: string): void {
  const fail = (expected: string, found: string) => {
    throw new ConfigError(`postgres.caFile: expected ${expected}; found ${found}`);
  };
  if (relative(dataDir, file).startsWith('..'))
    fail(`a file below dataDir (${dataDir}), whose path alone is the host's too`, file);
  try {
    if ((statSync(file).mode & 0o004) === 0)
      fail(
        'a file that everybody may read, as instances do',
        `${file}, which is not: chmod 0644 it`,
      );
    new X509Certificate(readFileSync(file));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    fail(`a certificate as PEM in ${file}`, (cause as Error).message);
  }
}

/**
 * Where the backups are; by default below `dataDir`. Another folder would be one of the sidecar's container, and only look like the host's.
 * @throws ConfigError
 */
function repositoryOf({ backups: { repository }, dataDir }: Parsed): string {
  if (!repository) return join(dataDir, 'backups', 'repositories');
  if (repository.startsWith('/') && relative(dataDir, repository).startsWith('..'))
    throw new ConfigError(
      `backups.repository: expected a server, or a folder below dataDir (${dataDir}), which alone is the host's inside the sidecar's container: mount the disk there; found ${repository}`,
    );
  return repository;
}

/** Where customers reach an instance unless `instances.url` says otherwise: behind the door where there is one. */
function defaultUrl({ domain, https, httpPort, httpsPort }: Parsed['door']): string {
  if (!domain) return 'http://127.0.0.1:{port}';
  const [scheme, port, usual] = https ? ['https', httpsPort, 443] : ['http', httpPort, 80];
  return `${scheme}://{name}.${domain}${port === usual ? '' : `:${port}`}`;
}

function relayOf({ passwordFile, ...relay }: Parsed['mail']['relay']): MailRelay | null {
  if (!relay.host) return null;
  if (!relay.sender)
    throw new ConfigError(
      'mail.relay.sender: expected the address that each instance sends from, such as {name}@example.com; found nothing',
    );
  const hasPassword = relay.password !== '' || passwordFile !== '';
  if (!relay.user && !hasPassword) return relay;
  if (!relay.user)
    throw new ConfigError('mail.relay.user: expected the user of the password; found nothing');
  if (relay.encryption === 'none')
    throw new ConfigError(
      'mail.relay.encryption: expected starttls or ssl, since there is a password; found none',
    );
  return { ...relay, password: secret('mail.relay.password', relay.password, passwordFile) };
}

/** Nobody else may read how the server of the backups is entered; ssh says so of its key by itself. */
function requirePrivate({ environmentFile }: Parsed['backups']): void {
  if (!environmentFile) return;
  for (const line of secret('backups.environment', '', environmentFile).split('\n')) {
    const [, password] = /^\w*(?:PASSWORD|SECRET|KEY)\w*=(.+)$/.exec(line) ?? [];
    if (password) registerSecret(password);
  }
}

/** A secret given directly or by a file that only its owner may read. */
function secret(key: string, value: string, file: string): string {
  if (value) return registerSecret(value);
  if (!file)
    throw new ConfigError(
      `${key}: expected a secret, or ${key}File naming its file; found neither`,
    );
  try {
    if ((statSync(file).mode & 0o077) !== 0)
      throw new ConfigError(
        `${key}File: expected ${file} to be of mode 0600, found it open to others. chmod 600 it.`,
      );
    const text = readFileSync(file, 'utf8').trim();
    if (!text) throw new ConfigError(`${key}File: expected a secret in ${file}, found it empty`);
    return registerSecret(text);
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    throw new ConfigError(`${key}File: expected a readable file, found ${code} at ${file}`);
  }
}
