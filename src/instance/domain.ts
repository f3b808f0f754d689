/** `failed`: it was verified, and has not led here for days. */
export type DomainState = 'pending' | 'verified' | 'failed';

/** Why a name is not, or soon will not be, served as a customer's own domain; the addon has the sentences. */
export interface DomainFault {
  readonly reason:
    | 'DomainNotFound'
    | 'DomainElsewhere'
    | 'DomainUnproven'
    | 'DomainUnreachable'
    | 'DomainAnswersWrong'
    | 'DomainStoppedLeadingHere';
  /** What was found instead: an address, a status. In ASCII. */
  readonly detail: string;
}

/** By what its DNS says whose domain it is: a CNAME to the instance's own name, or a TXT record with the domain's token. */
export type DomainProof = 'cname' | 'txt';

/** What was found of a domain: it leads here and is its customer's, or why not. */
export type DomainFinding = { readonly proof: DomainProof } | DomainFault;

/** A customer's domain as Odoo has it, to be verified. */
export interface WatchedDomain {
  readonly id: number;
  readonly instanceId: number;
  readonly name: string;
  readonly token: string;
  /** The host names of its instance: a CNAME to one of them proves whose it is. None where it was another customer's until lately. */
  readonly cnames: readonly string[];
  readonly state: DomainState;
  /** Since when a verified one has not led here; null: it does, or Odoo does not know. */
  readonly failingSince: Date | null;
}

/** What was found out about a customer's domain. A verified one with a fault is on its way to fail. */
export interface DomainReport {
  readonly state: DomainState;
  readonly fault: DomainFault | null;
  /** By what it is proven; null: it is not, at the moment. */
  readonly proof: DomainProof | null;
  /** When its certificate ends; null: it has none. */
  readonly certificateUntil: Date | null;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How long a verified domain may lead elsewhere: moving a zone, or a name server that is down, must not cost a customer their address. */
const PATIENCE_MS = 3 * DAY_MS;

/** @param found what its verification has just found */
export function judgeDomain(
  { state, failingSince }: Pick<WatchedDomain, 'state' | 'failingSince'>,
  found: DomainFinding,
  now: Date,
): Omit<DomainReport, 'certificateUntil'> {
  if ('proof' in found) return { state: 'verified', fault: null, proof: found.proof };
  const proof = null;
  if (state === 'pending') return { state, fault: found, proof };
  const failedMs = now.getTime() - (failingSince ?? now).getTime();
  if (state === 'verified' && failedMs < PATIENCE_MS) return { state, fault: found, proof };
  return { state: 'failed', fault: { ...found, reason: 'DomainStoppedLeadingHere' }, proof };
}

/** How soon a domain is looked at again at first: people's DNS takes minutes, an authority seconds. */
const FIRST_LOOK_MS = { domain: MINUTE_MS, certificate: 10_000 } as const;

/**
 * When a domain is to be looked at again, in milliseconds: daily when all is well, else ever more rarely, at most an hour later.
 * @param attempts how many times in a row something was missing, this time included; 0: nothing is
 * @param missing `certificate`: nothing else is
 */
export function nextLookMs(attempts: number, missing: keyof typeof FIRST_LOOK_MS): number {
  return attempts === 0 ? DAY_MS : Math.min(HOUR_MS, FIRST_LOOK_MS[missing] * 2 ** (attempts - 1));
}
