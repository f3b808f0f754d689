/**
 * Whether trying again can help is a type, not a flag somebody has to remember.
 * `reason` is one CamelCase word that the addon translates; `detail` is what it is about (a URL, a branch, a port).
 */
abstract class ReasonedError extends Error {
  readonly reason: string;
  readonly detail: string;
  constructor(
    reason: string,
    message: string,
    options: ErrorOptions & { readonly detail?: string } = {},
  ) {
    super(message, options);
    this.reason = reason;
    this.detail = options.detail ?? '';
  }
}

/** Trying again cannot help: a person must change something first. */
export class TerminalError extends ReasonedError {
  override readonly name = 'TerminalError';
}

/** Data that an instance had are gone. Whoever meets this makes nothing in their place. */
export function filesMissing(): TerminalError {
  return new TerminalError(
    'FilesMissing',
    'Files of this instance have disappeared. Nothing was created in their place: restore them from a backup.',
  );
}

/**
 * Something of another instance lies where this one's would, by its mark.
 * @param part what: `directory`, `database` or `container`
 */
export function foreignData(part: string): TerminalError {
  const message =
    "Data of another instance lie on the server under this number. Nothing was started, stopped, changed or sent. The operator finds out more on the sidecar's host with: microsaas reconcile-host";
  return new TerminalError('ForeignData', message, { detail: part });
}

/** The world was not ready; the work queue backs off and tries again. */
export class RetryableError extends ReasonedError {
  override readonly name: string = 'RetryableError';
}

/** Somebody else has bound the port since it was found free: the next pair is taken. */
export class PortTakenError extends ReasonedError {
  override readonly name = 'PortTakenError';
}

/**
 * Something in a customer's database was in the way, by accident or on purpose. The cause holds their text: for a log, where it is
 * quoted and cut, and never for a terminal.
 */
export class TenantDatabaseError extends RetryableError {
  constructor(database: string, cause: unknown) {
    super('TenantDatabase', "The customer's own database did not do what was asked of it.", {
      cause: new Error(String((cause as Error)?.message ?? cause).slice(0, MAX_QUOTED)),
      detail: database,
    });
  }
}

/** How much of a stranger's error is kept, in characters. */
const MAX_QUOTED = 500;

/** The configuration is wrong. Names the key, what was expected and what was found. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export type ManagerErrorKind =
  | 'auth'
  | 'access'
  | 'missing'
  | 'validation'
  | 'conflict'
  | 'transport'
  | 'server';

/** The manager Odoo refused or could not be reached; the same kinds whichever RPC was used. */
export class ManagerError extends Error {
  override readonly name = 'ManagerError';
  readonly kind: ManagerErrorKind;
  constructor(kind: ManagerErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }

  /** Whether the same call may succeed later without anybody changing anything. */
  get retryable(): boolean {
    return this.kind === 'transport' || this.kind === 'conflict' || this.kind === 'server';
  }
}

/** What is away when a call failed because nobody answered, or null when somebody did. */
export function whoIsAway(error: unknown): 'Odoo' | 'Docker' | 'Postgres' | null {
  if (error instanceof ManagerError && error.kind === 'transport') return 'Odoo';
  if (!(error instanceof RetryableError)) return null;
  if (error.reason === 'DockerUnavailable') return 'Docker';
  return error.reason === 'PostgresUnavailable' ? 'Postgres' : null;
}

/** A process ended badly. `stderr` is its tail; the arguments never hold a secret (see host/exec.ts). */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly command: readonly string[];
  readonly exitCode: number | null;
  readonly stderr: string;
  constructor(command: readonly string[], exitCode: number | null, stderr: string) {
    super(`${command.slice(0, 3).join(' ')} … ended with ${exitCode ?? 'a signal'}: ${stderr}`);
    this.command = command;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/** @param detail what there is too little of, as a sentence */
export function notEnoughDisk(detail: string, cause?: unknown): RetryableError {
  const sentences = [
    "The server's disk has too little room.",
    detail,
    'Free some: it goes on by itself then.',
  ];
  const message = sentences.filter(Boolean).join(' ');
  return new RetryableError('NotEnoughDisk', message, { cause, detail });
}

/** The last is how tar puts it when a part of a block still had room. */
const DISK_FULL = /no space left on device|disk quota exceeded|wrote only \d+ of \d+ bytes/i;

/** Whether a call failed because a disk has no room, or no inodes, left: Node's own word, Postgres' or a program's. */
export function isDiskFull(error: unknown): boolean {
  for (let it = error; it instanceof Error; it = it.cause) {
    const { code } = it as { readonly code?: unknown };
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === '53100') return true;
    const text = it instanceof CommandError ? it.stderr : it.message;
    if (DISK_FULL.test(text)) return true;
  }
  return false;
}
