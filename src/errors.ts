import { detailOf, type FailureReason } from './instance/reasons.ts';
import type { Shortage } from './interfaces.ts';

/**
 * Whether a retry can help is expressed by the class, not by a flag. The message is for the operator's log; people read the addon's
 * sentence for the reason, filled with the detail: what it is about (a URL, a branch, a port), maybe several values.
 */
abstract class ReasonedError extends Error {
  readonly reason: FailureReason;
  readonly detail: string;
  constructor(
    reason: FailureReason,
    message: string,
    options: ErrorOptions & { readonly detail?: string | readonly string[] } = {},
  ) {
    super(message, options);
    this.reason = reason;
    this.detail = detailOf(...[options.detail ?? ''].flat());
  }
}

/** A retry cannot help: a person must change something first. */
export class TerminalError extends ReasonedError {
  override readonly name = 'TerminalError';
}

/** Data that an instance had have disappeared. Nothing may be created in their place. */
export function filesMissing(): TerminalError {
  return new TerminalError(
    'FilesMissing',
    'Files of this instance have disappeared. Nothing was created in their place: restore them from a backup.',
  );
}

/**
 * Something under this instance's name bears another instance's identity mark, or none (ADR 12).
 * @param part `directory`, `database` or `container`
 */
export function foreignData(part: string): TerminalError {
  const message =
    "Data of another instance lie on the server under this number. Nothing was started, stopped, changed or sent. The operator finds out more on the sidecar's host with: microsaas reconcile-host";
  return new TerminalError('ForeignData', message, { detail: part });
}

/** A dependency was not ready; the work queue backs off and retries. */
export class RetryableError extends ReasonedError {
  override readonly name: string = 'RetryableError';
}

/** The door is not as it should be. For the operator's log alone: instances go on without it. */
export class DoorError extends Error {
  override readonly name = 'DoorError';
}

/** Another process has bound the port since it was found free: the next pair is used. */
export class PortTakenError extends ReasonedError {
  override readonly name = 'PortTakenError';
}

/**
 * Something in a tenant's database failed, by accident or on purpose. The cause holds a tenant's text: for the log, where it is
 * quoted and truncated, and never for a terminal.
 */
export class TenantDatabaseError extends RetryableError {
  constructor(database: string, cause: unknown) {
    super('TenantDatabase', "The customer's own database did not do what was asked of it.", {
      cause: new Error(String((cause as Error)?.message ?? cause).slice(0, MAX_QUOTED)),
      detail: database,
    });
  }
}

/** How much of a tenant's error is kept, in characters. */
const MAX_QUOTED = 500;

/** The configuration, or a command's argument, is wrong. Names the key, what was expected and what was found. */
export class ConfigError extends Error {
  override readonly name: string = 'ConfigError';
}

/** A command was called with what it cannot use: said without a stack, and with an exit code of its own. */
export class UsageError extends ConfigError {
  override readonly name = 'UsageError';
}

/** Whoever called a command has ended it. The message says what goes on without it. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

export type ManagerErrorKind =
  | 'auth'
  | 'access'
  | 'missing'
  | 'validation'
  | 'conflict'
  | 'transport'
  | 'server';

/** The manager Odoo refused or could not be reached; the same kinds for all RPC protocols. */
export class ManagerError extends Error {
  override readonly name = 'ManagerError';
  readonly kind: ManagerErrorKind;
  constructor(kind: ManagerErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }

  /** Whether the same call may succeed later without a person changing anything. */
  get retryable(): boolean {
    return this.kind === 'transport' || this.kind === 'conflict' || this.kind === 'server';
  }
}

/** Which dependency does not answer, or null when the error is about something else. */
export function unavailableService(error: unknown): 'Odoo' | 'Docker' | 'Postgres' | null {
  if (error instanceof ManagerError && error.kind === 'transport') return 'Odoo';
  if (!(error instanceof RetryableError)) return null;
  if (error.reason === 'DockerUnavailable') return 'Docker';
  return error.reason === 'PostgresUnavailable' ? 'Postgres' : null;
}

/** A process failed. `stderr` is its tail; the arguments never hold a secret (see host/exec.ts). */
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

/** @param shortage null: a write failed, though there is enough now */
export function notEnoughDisk(shortage: Shortage | null, cause?: unknown): RetryableError {
  const { detail = [], message = 'A write failed.', reason = 'NotEnoughDisk' } = shortage ?? {};
  return new RetryableError(reason, `The server's disk has too little room. ${message}`, {
    cause,
    detail,
  });
}

/** The last alternative is tar's message when part of a block still fitted. */
const DISK_FULL = /no space left on device|disk quota exceeded|wrote only \d+ of \d+ bytes/i;

/** Whether a call failed because a disk is out of space or inodes: by Node's code, Postgres' SQLSTATE or a program's message. */
export function isDiskFull(error: unknown): boolean {
  for (let it = error; it instanceof Error; it = it.cause) {
    const { code } = it as { readonly code?: unknown };
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === '53100') return true;
    const text = it instanceof CommandError ? it.stderr : it.message;
    if (DISK_FULL.test(text)) return true;
  }
  return false;
}
