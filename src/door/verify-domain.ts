import { createHash, timingSafeEqual } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { type ClientRequest, request } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';
import type { DomainFault, DomainFinding, DomainProof, WatchedDomain } from '../instance/domain.ts';
import { normalizedHost } from '../instance/host-name.ts';

/** Where the sidecar answers a domain's token, and nothing else does. */
const TOKEN_PATH = '/.well-known/microsaas-domain';

/** Below a domain: the name of the TXT record that says whose it is. */
const PROOF_LABEL = '_microsaas';

/** One query to one name server, and all queries for one name, in milliseconds. */
const QUERY_MS = 2_000;
const RESOLVE_MS = 8_000;
const QUERY_TRIES = 2;

/** From the connection to the last byte of the token, in milliseconds. */
const ANSWER_MS = 5_000;
const MAX_ANSWER_BYTES = 1_024;

/** How many foreign addresses are named: a name may have thousands. */
const MAX_NAMED = 5;

/** A host name of two labels or more (RFC 1123), in lower case. The last one is of letters, or international: an IP address is none. */
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const HOST_NAME = new RegExp(`^(?:${LABEL}\\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9])$`);
const MAX_NAME = 253;

export interface VerifierOptions {
  /** Below which instances have their names: never a customer's own. */
  readonly domain: string;
  /** The manager's label below it; '' for none. */
  readonly manager: string;
  /** The port of plain HTTP, on the public addresses. */
  readonly httpPort: number;
  /** The public addresses of this host; empty: those of the manager's name, or of the domain. */
  readonly addresses: readonly string[];
  /** A name server as `address` or `address:port`; '': the system's. */
  readonly resolver: string;
}

/**
 * Finds out whether a customer's domain leads to this host and is theirs: all its addresses are ours, its DNS names the customer, by a
 * CNAME to their own name or by a TXT record with the token, and what answers at the addresses knows the token too. Addresses alone
 * prove nothing: those of a former customer, or a wildcard record, lead here as well.
 * Name, DNS and answer are strangers': every connection goes to one of our own addresses, is bounded and follows no redirect.
 */
export class DomainVerifier {
  readonly #options: VerifierOptions;

  constructor(options: VerifierOptions) {
    this.#options = options;
  }

  /** Never throws. @returns by what it is proven, else why it is not */
  async verify(
    domain: Pick<WatchedDomain, 'id' | 'name' | 'token' | 'cnames'>,
  ): Promise<DomainFinding> {
    const { name, token } = domain;
    if (!isForeignName(name, this.#options.domain))
      return { reason: 'DomainNotFound', detail: shortened(name) };
    const located = await this.locate(name, await this.#ourAddresses());
    if ('reason' in located) return located;
    const found = await this.#prove(domain);
    if ('reason' in found) return found;
    for (const address of located.addresses) {
      const answer = await this.#ask(address, domain);
      if ('reason' in answer) return answer;
      if (!isSame(answer.body, token)) return { reason: 'DomainAnswersWrong', detail: address };
    }
    return found;
  }

  /** Looks for what says whose the domain is. A TXT record holds where both are there: it names this one domain of this one customer. */
  async #prove({
    name,
    token,
    cnames,
  }: Pick<WatchedDomain, 'name' | 'token' | 'cnames'>): Promise<
    { readonly proof: DomainProof } | DomainFault
  > {
    const found = await this.#query((resolver) =>
      Promise.all([
        resolver.resolveTxt(`${PROOF_LABEL}.${name}`).catch(noRecord),
        cnames.length > 0 ? resolver.resolveCname(name).catch(noRecord) : [],
      ]),
    );
    if (typeof found === 'string') return { reason: 'DomainUnproven', detail: found };
    const [texts, aliases] = found;
    if (texts.some((chunks) => isSame(Buffer.from(chunks.join('').trim()), token)))
      return { proof: 'txt' };
    if (aliases.some((alias) => cnames.includes(normalizedHost(alias)))) return { proof: 'cname' };
    return { reason: 'DomainUnproven', detail: '' };
  }

  /** @returns the addresses of a name, if they all are among ours; else why not. Never throws. */
  async locate(
    name: string,
    ours: readonly string[],
  ): Promise<{ readonly addresses: readonly string[] } | DomainFault> {
    const found = await this.#resolve(name);
    if (typeof found === 'string')
      return { reason: 'DomainNotFound', detail: `${shortened(name)} (${found})` };
    if (found.length === 0) return { reason: 'DomainNotFound', detail: shortened(name) };
    // Compares addresses and not their texts: IPv6 has several for one.
    const list = new BlockList();
    for (const address of ours) list.addAddress(address, family(address));
    const others = found.filter((address) => !list.check(address, family(address)));
    if (others.length > 0) return { reason: 'DomainElsewhere', detail: listed(others) };
    return { addresses: found };
  }

  async #ourAddresses(): Promise<readonly string[]> {
    const { addresses, domain, manager } = this.#options;
    if (addresses.length > 0) return addresses;
    for (const name of manager ? [`${manager}.${domain}`, domain] : [domain]) {
      const found = await this.#resolve(name);
      if (typeof found !== 'string' && found.length > 0) return found;
    }
    return [];
  }

  /** @returns the addresses of a name, CNAMEs followed; or, where they could not be found out, the error's code */
  async #resolve(name: string): Promise<string[] | string> {
    const found = await this.#query((resolver) =>
      Promise.all([
        resolver.resolve4(name).catch(noRecord),
        resolver.resolve6(name).catch(noRecord),
      ]),
    );
    if (typeof found === 'string') return found;
    return [...new Set(found.flat())].filter((address) => isIP(address) !== 0);
  }

  /** Asks the name server, within RESOLVE_MS. @returns its answers; or, where there was none, the error's code */
  async #query<T>(ask: (resolver: Resolver) => Promise<T>): Promise<T | string> {
    const resolver = new Resolver({ timeout: QUERY_MS, tries: QUERY_TRIES });
    const timer = setTimeout(() => resolver.cancel(), RESOLVE_MS);
    try {
      if (this.#options.resolver) resolver.setServers([this.#options.resolver]);
      return await ask(resolver);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'no answer';
    } finally {
      clearTimeout(timer);
      resolver.cancel();
    }
  }

  /** Asks one of our own addresses for the token of a domain: by its number too, for several customers may have entered the name. */
  #ask(
    address: string,
    { id, name }: Pick<WatchedDomain, 'id' | 'name'>,
  ): Promise<{ readonly body: Buffer } | DomainFault> {
    const { httpPort } = this.#options;
    const shown = isIPv6(address) ? `[${address}]` : address;
    const where = { reason: 'DomainUnreachable', detail: `${shown}:${httpPort}` } as const;
    return new Promise((resolve) => {
      const end = (answer: { readonly body: Buffer } | DomainFault, asked?: ClientRequest) => {
        resolve(answer);
        asked?.destroy();
      };
      const wrong = (detail: string): DomainFault => ({ reason: 'DomainAnswersWrong', detail });
      const asked = request({
        host: address,
        port: httpPort,
        path: `${TOKEN_PATH}?id=${id}`,
        headers: { Host: name, Connection: 'close' },
        agent: false,
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      asked.on('error', () => end(where));
      asked.on('response', (answer) => {
        answer.on('error', () => end(where));
        if (answer.statusCode !== 200)
          return end(wrong(`${address}, status ${answer.statusCode}`), asked);
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          chunks.push(chunk);
          if (bytes > MAX_ANSWER_BYTES) end(wrong(address), asked);
        });
        answer.on('end', () => end({ body: Buffer.concat(chunks) }));
      });
      asked.end();
    });
  }
}

/** Whether it is a host name outside the domain of the instances, and not above it: that one would have the cookies of all below. */
function isForeignName(name: string, domain: string): boolean {
  if (name.length > MAX_NAME || !HOST_NAME.test(name)) return false;
  const isAbove = domain.endsWith(`.${name}`);
  return name !== domain && !name.endsWith(`.${domain}`) && !isAbove;
}

/** For a name without such a record: no error. @throws every other one */
function noRecord(error: NodeJS.ErrnoException): never[] {
  if (error.code === 'ENOTFOUND' || error.code === 'ENODATA') return [];
  throw error;
}

/** In the same time wherever the two differ; never for an empty token. */
function isSame(answer: Buffer, token: string): boolean {
  const digest = (value: Buffer | string) => createHash('sha256').update(value).digest();
  return token !== '' && timingSafeEqual(digest(answer), digest(token));
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

function listed(addresses: readonly string[]): string {
  const named = addresses.slice(0, MAX_NAMED).join(', ');
  return addresses.length > MAX_NAMED ? `${named}, …` : named;
}

/** A name that is possibly none, as a detail. */
function shortened(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);
}
