import { createPrivateKey, X509Certificate } from 'node:crypto';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CertificateState, Certificates } from '../interfaces.ts';

/** A chain of a few certificates has some kilobytes; more is not read. */
const MAX_CHAIN_BYTES = 64 * 1024;

/**
 * Caddy renews a certificate when a third of its time is left (https://caddyserver.com/docs/automatic-https), thirty days of ninety: with
 * less than this share left, it has failed for long.
 */
const OVERDUE_SHARE = 1 / 6;

/** When a certificate is good. */
interface Validity {
  readonly from: Date;
  readonly until: Date;
}

/** How long one reading of all certificates is good for, in milliseconds: they change every two months. */
const READING_TTL_MS = 60_000;

/** The wildcard certificate in the files that the operator gives. */
export interface GivenCertificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface StoredCertificatesOptions {
  /** What Caddy sees as `/data`. */
  readonly dataDir: string;
  /** Null: Caddy gets all of them by itself. */
  readonly given: GivenCertificate | null;
  /** Names that need one beside those of the instances. */
  readonly always: readonly string[];
  /** By default the system's clock. */
  readonly now?: () => number;
}

/**
 * The certificates that Caddy has, as they lie on disk. CertMagic, its library, keeps one in
 * `caddy/certificates/<directory of the authority>/<name>/<name>.crt`, the leaf first, and writes `*` as `wildcard_`
 * (https://pkg.go.dev/github.com/caddyserver/certmagic#KeyBuilder).
 */
export class StoredCertificates implements Certificates {
  readonly #root: string;
  readonly #given: GivenCertificate | null;
  readonly #always: readonly string[];
  readonly #now: () => number;
  /** By path and name, with the time of change: thousands are not read again. */
  readonly #kept = new Map<
    string,
    { readonly changed: number; readonly validity: Validity | null }
  >();
  #reading: { readonly until: number; readonly all: Promise<Map<string, Validity>> } | null = null;

  constructor({ always, dataDir, given, now = Date.now }: StoredCertificatesOptions) {
    this.#always = always;
    this.#now = now;
    this.#root = join(dataDir, 'caddy', 'certificates');
    this.#given = given;
  }

  async until(name: string): Promise<Date | null> {
    const folder = folderOf(name);
    if (folder === null) return null;
    const found = await Promise.all(
      (await listed(this.#root)).map((authority) =>
        this.#read(join(this.#root, authority, folder, `${folder}.crt`), name),
      ),
    );
    return latest([...found, await this.#givenFor(name)])?.until ?? null;
  }

  async state(names: readonly string[]): Promise<CertificateState> {
    const all = await this.#all();
    const there: Array<Validity & { readonly name: string }> = [];
    const missing: string[] = [];
    for (const name of [...this.#always, ...names]) {
      const validity = latest([all.get(name) ?? null, await this.#givenFor(name)]);
      if (validity === null) missing.push(name);
      else there.push({ name, ...validity });
    }
    const overdue = there.filter((it) => isOverdue(it, this.#now()));
    return { soonest: firstToEnd(there), overdue: firstToEnd(overdue), missing };
  }

  /** @throws saying what is wrong with the certificate that the operator gives for names below the domain, if any */
  async checkGiven(domain: string): Promise<void> {
    if (this.#given) await checkGivenCertificate(this.#given, domain);
  }

  #all(): Promise<Map<string, Validity>> {
    if (this.#reading && Date.now() < this.#reading.until) return this.#reading.all;
    const all = this.#readAll();
    this.#reading = { until: Date.now() + READING_TTL_MS, all };
    return all;
  }

  async #readAll(): Promise<Map<string, Validity>> {
    const all = new Map<string, Validity>();
    for (const authority of await listed(this.#root))
      for (const folder of await listed(join(this.#root, authority))) {
        const name = folder.replace(/^wildcard_/, '*');
        const path = join(this.#root, authority, folder, `${folder}.crt`);
        const validity = latest([all.get(name) ?? null, await this.#read(path, name)]);
        if (validity) all.set(name, validity);
      }
    return all;
  }

  /** @returns when the certificate in this file is good; null where there is none for this name */
  async #read(path: string, name: string): Promise<Validity | null> {
    const found = await stat(path).catch(() => null);
    if (!found?.isFile() || found.size > MAX_CHAIN_BYTES) return null;
    const key = `${path} ${name}`;
    const kept = this.#kept.get(key);
    if (kept?.changed === found.mtimeMs) return kept.validity;
    const validity = validityOf(await readFile(path).catch(() => null), name);
    this.#kept.set(key, { changed: found.mtimeMs, validity });
    return validity;
  }

  async #givenFor(name: string): Promise<Validity | null> {
    return this.#given && this.#read(this.#given.certificateFile, name);
  }
}

/** Whether a certificate and its key can be read, belong together and are for names below the domain. @throws saying what is wrong */
async function checkGivenCertificate(
  { certificateFile, keyFile }: GivenCertificate,
  domain: string,
): Promise<void> {
  const [pem, key] = await Promise.all([readBounded(certificateFile), readBounded(keyFile)]);
  const certificate = new X509Certificate(pem);
  if (!certificate.checkPrivateKey(createPrivateKey(key)))
    throw new Error(`${keyFile} is not the key of ${certificateFile}`);
  if (!certificate.checkHost(`any.${domain}`))
    throw new Error(`${certificateFile} is not for *.${domain}`);
}

async function readBounded(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size > MAX_CHAIN_BYTES) throw new Error(`${path} has ${size} bytes: no certificate`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function validityOf(pem: Buffer | null, name: string): Validity | null {
  if (pem === null) return null;
  try {
    const certificate = new X509Certificate(pem);
    const host = name.replace(/^\*/, 'any');
    if (!certificate.checkHost(host)) return null;
    return { from: new Date(certificate.validFrom), until: new Date(certificate.validTo) };
  } catch {
    return null; // half written, or damaged: as if it was not there
  }
}

/** Names are Odoo's, and become a path here: none that leads anywhere else. */
function folderOf(name: string): string | null {
  return /^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(name) ? name.replace(/^\*/, 'wildcard_') : null;
}

async function listed(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

function latest(all: ReadonlyArray<Validity | null>): Validity | null {
  return all.reduce<Validity | null>(
    (one, other) => (other && (one === null || other.until > one.until) ? other : one),
    null,
  );
}

function isOverdue({ from, until }: Validity, now: number): boolean {
  const left = until.getTime() - now;
  return left < OVERDUE_SHARE * (until.getTime() - from.getTime());
}

function firstToEnd(
  all: ReadonlyArray<Validity & { readonly name: string }>,
): CertificateState['soonest'] {
  const [first, ...others] = all;
  if (first === undefined) return null;
  const { name, until } = others.reduce((one, it) => (it.until < one.until ? it : one), first);
  return { name, until };
}
