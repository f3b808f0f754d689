import type { CertificateState, Certificates } from '../../src/interfaces.ts';

/** The certificates of a door in memory, by name. */
export class FakeCertificates implements Certificates {
  readonly ends = new Map<string, Date>();
  overdue: CertificateState['overdue'] = null;

  async until(name: string): Promise<Date | null> {
    return this.ends.get(name) ?? null;
  }

  async state(names: readonly string[]): Promise<CertificateState> {
    const has = names.filter((name) => this.ends.has(name));
    const all = has.map((name) => ({ name, until: this.ends.get(name) as Date }));
    all.sort((one, other) => one.until.getTime() - other.until.getTime());
    const { overdue } = this;
    return {
      soonest: all[0] ?? null,
      overdue,
      missing: names.filter((name) => !this.ends.has(name)),
    };
  }
}
