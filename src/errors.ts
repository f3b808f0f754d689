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

/** The world was not ready; the work queue backs off and tries again. */
export class RetryableError extends ReasonedError {
  override readonly name = 'RetryableError';
}

/** Somebody else has bound the port since it was found free: the next pair is taken. */
export class PortTakenError extends ReasonedError {
  override readonly name = 'PortTakenError';
}

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

/** A process ended badly. `stderr` is its tail; the arguments never hold a secret (see engine/exec.ts). */
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
