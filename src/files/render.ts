import { createHash } from 'node:crypto';
import { parseDocument, stringify } from 'yaml';
import { LABELS } from '../docker/labels.ts';
import { TerminalError } from '../errors.ts';
import type { UnixUser } from '../host/files.ts';
import { projectName } from '../instance/name.ts';
import type { PortPair, PostgresServer } from '../instance/types.ts';
import type { Checkout } from '../repositories/checkout-layout.ts';
import { checkCompose } from './compose-policy.ts';
import { checkConf } from './conf-policy.ts';
import type { TemplateText } from './template-language.ts';
import { templateVariables } from './template-variables.ts';

/** One folder under `templates/`, read and compiled. */
export interface Template {
  readonly code: string;
  readonly name: string;
  readonly odooVersion: string;
  readonly image: string;
  /** `shared`: a database on the host's Postgres; `own`: a Postgres container beside Odoo. */
  readonly database: 'shared' | 'own';
  /** '' when the database is shared. */
  readonly postgresImage: string;
  readonly postgresUser: UnixUser | null;
  readonly memoryMb: number;
  readonly cpus: number;
  readonly compose: TemplateText;
  readonly conf: TemplateText;
}

/**
 * What Odoo and the configuration specify for one instance: no secret, and nothing that comes from the template.
 * Two equal inputs mean that the files need not be made again, even when the template has been upgraded since.
 */
export interface RenderInput {
  readonly install: string;
  readonly instance: number;
  /** Changes for the same number only after a restore: no part of the digest. */
  readonly identity: string;
  readonly templateCode: string;
  /** Absolute: the instance's own directory. */
  readonly directory: string;
  /** Where the Postgres that instances share listens. */
  readonly sharedServer: PostgresServer;
  /** `name:address` of its hosts, for an instance without a name server: no part of the digest. */
  readonly hostAddresses: readonly string[];
  /** In the order of the repositories. */
  readonly checkouts: readonly Checkout[];
  readonly network: string;
  /** The host's address the ports are published on. */
  readonly publishAddress: string;
  readonly ports: PortPair;
  /** MiB; 0 means the template's default. */
  readonly memoryMb: number;
  /** Processors, may be a fraction; 0 means the template's default. */
  readonly cpus: number;
  /** Grows with each requested restart: another label, hence another container. */
  readonly restartCount: number;
}

/** What only odoo.conf may hold. */
export interface RenderSecrets {
  readonly dbPassword: string;
  readonly masterPasswordHash: string;
}

/** The two files, checked and ready to be written. */
export interface Rendered {
  readonly compose: string;
  readonly conf: string;
  readonly digest: string;
}

/**
 * The digest of an input: 64 hexadecimal digits for all but the limits, a dash and 8 for the limits. The order of keys does not matter.
 * The identity and the addresses of hosts are left out: others are no reason to write the files again.
 */
export function digestOf({
  identity: _,
  hostAddresses: __,
  memoryMb,
  cpus,
  sharedServer,
  ...rest
}: RenderInput): string {
  // As it was while all had none, and a socket: another digest would restart every instance.
  const place =
    'socketDir' in sharedServer
      ? { sharedSocketDirectory: sharedServer.socketDir }
      : { sharedServer };
  const same = { ...rest, ...place, workers: 0 };
  return `${sha256(same)}-${sha256({ memoryMb, cpus }).slice(0, 8)}`;
}

/**
 * Whether two digests are the same but for the limits. A plan's new limits must not interrupt users: they
 * apply when the instance next starts.
 */
export function areSameButLimits(one: string, other: string): boolean {
  return one.split('-')[0] === other.split('-')[0];
}

function sha256(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

/**
 * Makes an instance's docker-compose.yml and odoo.conf, and checks both. Pure: writes nothing.
 * The Compose file is written out from the checked document, so what was checked is what Compose gets.
 * @throws TerminalError TemplateInvalid (it does not render, or is no YAML or ini) or TemplateBreaksPolicy.
 */
export function renderInstance(
  template: Template,
  input: RenderInput,
  secrets: RenderSecrets,
): Rendered {
  const digest = digestOf(input);
  const view = templateVariables(template, input, digest);
  const document = parseCompose(
    template,
    rendered(template, 'docker-compose.yml', template.compose, view),
  );
  checkCompose(document, {
    template: template.code,
    project: projectName(input.install, input.instance),
    labels: labelsOf(input, digest),
    directory: input.directory,
    postgresPassword: view.paths.postgresPassword,
    socketDirectory: view.paths.socket,
    postgresCa: view.paths.postgresCa,
    extraHosts: view.extraHosts,
    checkouts: input.checkouts.map(({ path }) => path),
    network: input.network,
    isClosed: view.isClosed,
    publishAddress: input.publishAddress,
    ports: input.ports,
    images: [template.image, template.postgresImage].filter(Boolean),
  });
  const confView = { ...view, ...secrets };
  const conf = rendered(template, 'odoo.conf', template.conf, confView);
  checkConf(conf, template, confView);
  return { compose: stringify(document, WRITE_YAML), conf, digest };
}

/** Quoted throughout, and readable by parsers of YAML 1.1, where a bare `on` is a boolean. */
const WRITE_YAML = {
  version: '1.2',
  compat: 'yaml-1.1',
  defaultStringType: 'QUOTE_DOUBLE',
  defaultKeyType: 'PLAIN',
  lineWidth: 0,
} as const;

function labelsOf(input: RenderInput, digest: string): Record<string, string> {
  return {
    [LABELS.install]: input.install,
    [LABELS.instance]: String(input.instance),
    [LABELS.identity]: input.identity,
    [LABELS.restart]: String(input.restartCount),
    [LABELS.digest]: digest,
  };
}

function rendered(template: Template, file: string, text: TemplateText, view: object): string {
  try {
    return text.render(view);
  } catch (error) {
    throw invalid(template, file, (error as Error).message, error);
  }
}

/** No aliases, merges, tags of its own or repeated keys: Compose's parser and ours must see the same document. */
function parseCompose(template: Template, text: string): unknown {
  const document = parseDocument(text, { version: '1.2', uniqueKeys: true, merge: false });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) throw invalid(template, 'docker-compose.yml', problem.message, problem);
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw invalid(template, 'docker-compose.yml', (error as Error).message, error);
  }
}

function invalid(template: Template, file: string, why: string, cause: unknown): TerminalError {
  return new TerminalError(
    'TemplateInvalid',
    `The template "${template.code}" cannot be used: ${file}: ${why}`,
    { detail: [template.code, file, why], cause },
  );
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    part && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
