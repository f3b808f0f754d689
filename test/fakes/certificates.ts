import type { CertificateState, Certificates } from '../../src/interfaces.ts';

/** The certificates of a door in memory, by name. */
export class FakeCertificates implements Certificates {
  readonly ends = new Map<string, Date>();

  async until(name: string): Promise<Date | null> {
    return this.ends.get(name) ?? null;
  }

  async state(names: readonly string[]): Promise<CertificateState> {
    const has = names.filter((name) => this.ends.has(name));
    const all = has.map((name) => ({ name, until: this.ends.get(name) as Date }));
    all.sort((one, other) => one.until.getTime() - other.until.getTime());
    return { soonest: all[0] ?? null, missing: names.filter((name) => !this.ends.has(name)) };
  }
}
