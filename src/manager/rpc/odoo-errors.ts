import { ManagerError, type ManagerErrorKind } from '../../errors.ts';
import { redact } from '../../log.ts';

/** How much of Odoo's own words an error keeps, in characters. */
const MAX_MESSAGE_LENGTH = 500;

/** What is known about a call that failed: as much as its protocol lets through. */
export interface OdooFailure {
  /** The Python exception's name, with or without its module. */
  readonly name?: string;
  /** The HTTP status. */
  readonly status?: number;
  readonly message: string;
}

const BY_NAME: Readonly<Record<string, ManagerErrorKind>> = {
  AccessDenied: 'auth',
  Unauthorized: 'auth',
  AccessError: 'access',
  Forbidden: 'access',
  MissingError: 'missing',
  NotFound: 'missing',
  UserError: 'validation',
  RedirectWarning: 'validation',
  ValidationError: 'validation',
  UnprocessableEntity: 'validation',
  LockError: 'conflict',
  DeadlockDetected: 'conflict',
  LockNotAvailable: 'conflict',
  SerializationFailure: 'conflict',
};

/**
 * The older protocols throw these under a name that says too little: XML-RPC calls every UserError
 * "2", and both answer an unknown model, method or database as any other failure.
 * Odoo translates the second and third, so a bot user with another language gets `validation` there.
 */
const BY_SENTENCE: ReadonlyArray<readonly [RegExp, ManagerErrorKind]> = [
  [/^(Object .+ doesn't exist|The method .+ does not exist)/, 'missing'],
  [/^Record does not exist or has been deleted/, 'missing'],
  [/^Cannot grab a lock on records/, 'conflict'],
  [/database ".*" does not exist/, 'missing'],
  [/^[\w.]+\(\) (got an unexpected|missing \d+ required|takes )/, 'validation'],
];

function kindOfStatus(status: number): ManagerErrorKind {
  if (status === 401) return 'auth';
  if (status === 403) return 'access';
  if (status === 404 || status === 410) return 'missing';
  if (status === 409) return 'conflict';
  if ([400, 413, 415, 422].includes(status)) return 'validation';
  if ([408, 429, 502, 503, 504].includes(status)) return 'transport';
  return 'server';
}

/** The one kind for a failure, whichever protocol reported it. */
function kindOf(failure: OdooFailure): ManagerErrorKind {
  const sentence = BY_SENTENCE.find(([pattern]) => pattern.test(failure.message));
  if (sentence) return sentence[1];
  const name = failure.name?.split('.').at(-1) ?? '';
  if (Object.hasOwn(BY_NAME, name)) return BY_NAME[name] as ManagerErrorKind;
  return failure.status === undefined ? 'server' : kindOfStatus(failure.status);
}

/** The error for a call that Odoo, or a proxy in its place, refused. */
export function refused(what: string, failure: OdooFailure): ManagerError {
  const words = redact(failure.message).trim().slice(0, MAX_MESSAGE_LENGTH);
  return new ManagerError(kindOf(failure), `${what}: ${words}`);
}

/** The error for a call that had no usable answer. */
export function unanswered(what: string, why: string, cause?: unknown): ManagerError {
  return new ManagerError(
    'transport',
    `${what}: ${redact(why)}`,
    cause === undefined ? {} : { cause },
  );
}

/**
 * The error for an answer that Odoo meant as JSON and that is none: one row holds a number that is not finite.
 * Odoo is there, so this concerns only who asked for that row.
 */
export function broken(what: string): ManagerError {
  return new ManagerError(
    'server',
    `${what}: the answer is not JSON; a number in it is not finite`,
  );
}

/** The error for an address that answers, but elsewhere: following it could carry the key to a stranger. */
export function redirected(what: string, location: string): ManagerError {
  return new ManagerError(
    'missing',
    `${what}: the address in manager.url redirects to ${redact(location)}; put the final address there`,
  );
}
