import { containersRemove } from '../docker/commands.ts';
import { type DockerCli, ignoreFailure } from '../docker/docker-cli.ts';
import { odooOnce } from '../docker/odoo-once.ts';
import { accessTo } from '../docker/postgres-access.ts';
import { CommandError, RetryableError, TerminalError } from '../errors.ts';
import type { UnixUser } from '../host/files.ts';
import { projectName } from '../instance/name.ts';
import type { DesiredInstance } from '../instance/types.ts';
import type { Cluster } from '../postgres/cluster.ts';
import { MAKING, type TenantLogin } from '../postgres/tenant-session.ts';
import { type Checkout, mountsOf } from '../repositories/checkout-layout.ts';
import { checkBlank, removeSecrets, stopSending } from './blank-secrets.ts';
import { renewParameters } from './personalise.ts';

/** How long Odoo may take to say what its modules have to be neutralised, in milliseconds: it starts, asks for them and reads files. */
const TIMEOUT_MS = 10 * 60_000;

/** How much of why it failed is told, in characters: the text may be a tenant's. */
const MAX_TOLD = 200;

/** What of the host is needed to ask an instance's own Odoo. */
export interface NeutraliseHost {
  readonly install: string;
  readonly docker: DockerCli;
  /** Where an instance's odoo.conf is. */
  readonly confOf: (id: number) => string;
  /** Sources of its modules in addition to the image, in the order of its repositories. */
  readonly checkoutsOf: (desired: DesiredInstance) => Promise<readonly Checkout[]>;
}

/** A database that is filled and not in use yet. */
export interface Unneutralised {
  readonly cluster: Cluster;
  readonly login: TenantLogin;
  readonly image: string;
  /** The user that Odoo runs as in the image. */
  readonly owner: UnixUser;
  /** Where the copy is reached. */
  readonly url: string;
}

/** Makes a database harmless, before any Odoo has opened it. */
export type Neutralise = (
  desired: DesiredInstance,
  database: Unneutralised,
  signal: AbortSignal,
) => Promise<void>;

/**
 * Makes the database of a staging copy act for nobody: first by what Odoo and its modules bring for it (`odoo neutralize`, 17 to 19), then
 * by what that leaves. The modules may be a hostile tenant's: their SQL is run as the tenant's role, in the copy alone, and what there is
 * afterwards is looked at.
 * @throws TerminalError('NeutraliseFailed'): the database is not to be used
 */
export function neutralise(host: NeutraliseHost): Neutralise {
  return async (desired, database, signal) => {
    try {
      await run(host, desired, database, signal);
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof RetryableError && cause.reason === 'PostgresUnavailable') throw cause;
      const detail = toldOf(cause);
      throw new TerminalError('NeutraliseFailed', `not neutralised: ${detail}`, { cause, detail });
    }
  };
}

async function run(
  host: NeutraliseHost,
  desired: DesiredInstance,
  { cluster, image, login, owner, url }: Unneutralised,
  signal: AbortSignal,
): Promise<void> {
  const { docker, install } = host;
  const container = `${projectName(install, desired.id)}-neutralise`;
  const command = odooOnce(
    {
      ...{ install, kind: 'neutralise', container, image, owner },
      ...{ conf: host.confOf(desired.id), access: await accessTo(host, cluster.server) },
      ...{ filestoreDir: '', database: login.database },
      addons: mountsOf(await host.checkoutsOf(desired)),
    },
    ['neutralize'],
    ['--stdout'],
  );
  // Left behind by a sidecar that was killed, it would have the name.
  await docker(containersRemove([container])).catch(ignoreFailure);
  const script = await docker(command, { timeoutMs: TIMEOUT_MS, signal, input: '' });
  if (!/^BEGIN;/.test(script)) throw new Error('Odoo has no SQL to neutralise a database');
  await cluster.enter(login, MAKING, async (session) => {
    // What Odoo's own SQL names has no schema.
    await session.run('SET search_path TO public');
    // One message: the first statement that fails ends all of it, and with it the transaction that the script has begun.
    await session.run(script);
  });
  // The script may have changed the role's password and settings.
  await cluster.ensureRole(login.role, login.password);
  await cluster.enter(login, MAKING, async (session) => {
    await session.run('BEGIN');
    await renewParameters(session, url);
    await stopSending(session);
    await removeSecrets(session);
    await session.run('COMMIT');
  });
  await cluster.enter(login, MAKING, checkBlank);
}

/** Why it failed, in a line: what a command or a database says, which may be a tenant's text. */
function toldOf(cause: unknown): string {
  const { cause: deeper, message } = cause as Error;
  const text =
    cause instanceof CommandError
      ? (cause.stderr.trim().split('\n').at(-1) ?? '')
      : deeper instanceof Error
        ? deeper.message
        : message;
  return text.replace(/\s+/g, ' ').slice(0, MAX_TOLD);
}
