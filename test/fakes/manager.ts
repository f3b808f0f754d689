import type { Hold, Invoice, InvoiceLine, PlanUnit } from '../../src/billing/invoice-types.ts';
import type { RecentSuspensions } from '../../src/billing/suspension-limit.ts';
import { ManagerError } from '../../src/errors.ts';
import type { BackupFacts } from '../../src/instance/backup-policy.ts';
import type { DomainReport, DomainState, WatchedDomain } from '../../src/instance/domain.ts';
import type { Distrust } from '../../src/instance/manager-history.ts';
import type {
  DesiredInstance,
  FoundInstance,
  JobReport,
  LogLine,
  Plan,
  PlanReport,
  PortPair,
  Report,
  Spare,
  SpareReport,
  TemplateSummary,
} from '../../src/instance/types.ts';
import type { HostUse, InstanceUse } from '../../src/instance/use.ts';
import type {
  Backup,
  Clock,
  DoorRoute,
  Manager,
  ManagerFacts,
  StatePage,
} from '../../src/interfaces.ts';
import { anInstance, anInvoice, aPlanLine, aSpare, identityOf } from '../support/samples.ts';
import { applyChange } from './apply-change.ts';
import { FreePorts, type PortRange } from './free-ports.ts';

/** An instance as the manager's database has it. */
export type Row = { -readonly [K in keyof DesiredInstance]: DesiredInstance[K] } & {
  /** The paid unit it was claimed for; null when a person made it by hand. */
  readonly unit: PlanUnit | null;
  reason: string;
  detail: string;
  log: readonly string[];
  active: boolean;
  /** What the customer was sent. */
  mails: readonly string[];
  nextReview: Date | null;
  /** Since when it is in its state, in seconds since the epoch. */
  since?: number;
};

/** A spare, and what its plan was when its number was given out. */
type SpareRow = { -readonly [K in keyof Spare]: Spare[K] } & { readonly content: string };

/** The data are back: dunning begins again with its first stage. */
const NO_DUNNING = {
  ...{ suspendedAt: null, finalNoticeAt: null, archivedAt: null },
  ...{ dataRemovedAt: null, removedAt: null },
} as const;

export interface FakeManagerOptions {
  readonly now: Clock;
  readonly httpPorts?: PortRange;
  readonly longpollingPorts?: PortRange;
}

/**
 * A manager Odoo in memory, with the promises of the addon's methods for the sidecar: a unit is claimed once; a port has
 * one owner; only the given members of a report are written; a report about an older revision leaves the row due, and takes
 * nothing from one that was restored meanwhile; a held
 * invoice is not unclaimed. Each call is one transaction. Calls cost the same for 10 instances and 10,000, but states().
 * `FakePeople` is what people do in it.
 */
export class FakeManager implements Manager {
  readonly rows = new Map<number, Row>();
  readonly invoices = new Map<number, Invoice>();
  /** By the number of the instance that each of them will be. */
  readonly spareRows = new Map<number, SpareRow>();
  /** What was last reported of each instance's backups, and what went wrong last. */
  readonly backups = new Map<number, readonly Backup[]>();
  readonly backupFailures = new Map<number, { readonly at: Date; readonly reason: string }>();
  /** Every report of the manager's own backups, oldest first. */
  readonly ownBackups: Array<
    readonly [Pick<BackupFacts, 'lastBackupAt' | 'lastProofAt'>, { readonly reason: string } | null]
  > = [];
  /** Every report of what instances use, oldest first, and how the machine did last. */
  readonly uses: InstanceUse[] = [];
  host: HostUse | null = null;
  /** Every report of a job, oldest first. */
  readonly jobs: Array<JobReport & { readonly id: number }> = [];
  readonly templates = new Map<string, TemplateSummary>();
  readonly forSale = new Map<number, Plan>();
  /** What the sidecar said last about each plan. */
  readonly planReports = new Map<number, Pick<PlanReport, 'isReady' | 'reason' | 'detail'>>();
  /** What the sidecar said of each customer's domain, in order. */
  readonly domainReports: Array<DomainReport & { readonly id: number }> = [];
  /** The instances that wait for people's word, and those that people have let go down. */
  readonly waiting = new Set<number>();
  readonly approved = new Set<number>();
  /** What people were told about the database being in doubt. */
  distrusted: { readonly kind: Distrust; readonly found: readonly FoundInstance[] } | null = null;
  databaseUuid = '0a1b2c3d-0000-4000-8000-000000000001';
  /** True: every call fails as it does when Odoo is down. */
  isAway = false;

  readonly now: Clock;
  readonly #ranges: { readonly httpPorts: PortRange; readonly longpollingPorts: PortRange };
  readonly #domainStates = new Map<
    number,
    { readonly state: DomainState; readonly failingSince: Date | null }
  >();
  #checkpoint = 0;
  #lastId = 0;
  /** Tells the identities of one number apart that comes again after a restore. */
  #made = 0;
  #installId = '';
  #http: FreePorts;
  #longpolling: FreePorts;
  readonly #claimed = new Map<string, number>();
  readonly #invoiceOfLine = new Map<number, number>();
  /** A line that has the number of one that was lost was made at another moment. */
  readonly #lineMadeAt = new Map<number, string>();
  /** Invoices with paid units that nobody has claimed, oldest first. */
  readonly #open = new Set<number>();
  /** Rows by their next review: those whose time has come, and the few others. */
  readonly #due = new Set<number>();
  readonly #later = new Set<number>();

  constructor({ now, httpPorts, longpollingPorts }: FakeManagerOptions) {
    this.now = now;
    this.#ranges = {
      httpPorts: httpPorts ?? ([20_000, 39_999] as const),
      longpollingPorts: longpollingPorts ?? ([40_000, 59_999] as const),
    };
    this.#http = new FreePorts(this.#ranges.httpPorts);
    this.#longpolling = new FreePorts(this.#ranges.longpollingPorts);
  }

  /** What its mails need. */
  mail = { hasMailServer: true, hasCompanyEmail: true, failedMails: 0 };
  /** When its own scheduled work last ran, in seconds since the epoch; and how far its clock is ahead, in seconds. */
  cronAt = 0;
  /** When it last heard of a sidecar, in seconds since the epoch. */
  heardAt: number | null = null;
  clockAheadSeconds = 0;

  async handshake(installId: string): Promise<ManagerFacts> {
    this.#checkHere();
    this.#installId ||= installId;
    return {
      addonVersion: '19.0.1.0.0',
      installId: this.#installId,
      databaseUuid: this.databaseUuid,
      checkpoint: this.#checkpoint,
      highestInstance: this.#lastId,
      ...this.mail,
      cronAt: this.cronAt,
      heardAt: this.heardAt,
      now: this.now().getTime() / 1000 + this.clockAheadSeconds,
    };
  }

  async due(limit: number): Promise<number[]> {
    this.#checkHere();
    for (const id of [...this.#later]) this.review(id, this.rows.get(id)?.nextReview ?? null);
    return first(this.#due, limit);
  }

  async unclaimed(limit: number): Promise<number[]> {
    this.#checkHere();
    return first(this.#open, limit);
  }

  async desired(ids: readonly number[]): Promise<DesiredInstance[]> {
    this.#checkHere();
    return ids.flatMap((id) => {
      const row = this.rows.get(id);
      return row ? [{ ...row, managerTime: this.now() }] : [];
    });
  }

  async invoice(id: number): Promise<Invoice | null> {
    this.#checkHere();
    return this.invoices.get(id) ?? null;
  }

  async checkpoint(): Promise<number> {
    this.#checkHere();
    this.#checkpoint += 1;
    return this.#checkpoint;
  }

  async distrust(kind: Distrust, above: number, found: readonly FoundInstance[]): Promise<void> {
    this.#checkHere();
    this.#lastId = Math.max(this.#lastId, above);
    this.distrusted ??= { kind, found };
  }

  async claim(units: readonly PlanUnit[], above: number): Promise<DesiredInstance[]> {
    this.#checkHere();
    this.#lastId = Math.max(this.#lastId, above);
    const ids = units.map(({ lineId, unit }) => {
      const key = `${lineId}/${unit}`;
      const known = this.#claimed.get(key);
      if (known !== undefined) return known;
      const invoiceId = this.#invoiceOfLine.get(lineId) ?? 0;
      const line = this.invoices.get(invoiceId)?.lines.find((it) => it.id === lineId);
      if (!line || unit < 1 || unit > unitsSold(line) || line.priceSubtotal < 0)
        throw new ManagerError('validation', `line ${lineId} sells no unit ${unit}`);
      const id =
        this.#sellSpare({ lineId, unit }) ??
        this.insert({ desiredState: 'running' }, { lineId, unit });
      this.#claimed.set(key, id);
      this.#changeLine(invoiceId, lineId, { claimedUnits: [...line.claimedUnits, unit] });
      return id;
    });
    return this.desired(ids);
  }

  async spares(): Promise<Spare[]> {
    this.#checkHere();
    return [...this.spareRows.values()].map(({ content, ...row }) => {
      const isFresh = row.isFresh && this.forSale.get(row.planId)?.spareContent === content;
      return { ...row, isFresh, managerTime: this.now() };
    });
  }

  async spareNumbers(): Promise<ReadonlySet<number>> {
    this.#checkHere();
    return new Set(this.spareRows.keys());
  }

  async reserveSpare(
    { id: planId, spareContent }: Pick<Plan, 'id' | 'spareContent'>,
    above: number,
  ): Promise<number | null> {
    this.#checkHere();
    const plan = this.forSale.get(planId);
    if (plan?.spareContent !== spareContent) return null;
    this.#lastId = Math.max(this.#lastId, above) + 1;
    this.#made += 1;
    const id = this.#lastId;
    const { languages, modules, repositories, templateCode } = plan;
    const made = { languages, modules, repositories, templateCode };
    const identity = identityOf(id, this.#made);
    const requestedAt = this.now().getTime() / 1000;
    const spare = aSpare({ id, identity, planId, ports: null, requestedAt, ...made });
    this.spareRows.set(id, { ...spare, content: spareContent });
    return id;
  }

  async reportSpare(id: number, state: SpareReport, imageDigest = ''): Promise<boolean> {
    this.#checkHere();
    const row = this.spareRows.get(id);
    if (state === 'gone') {
      if (row && row.spareState !== 'leaving') return false;
      this.#http.give(id, 0);
      this.#longpolling.give(id, 0);
      this.spareRows.delete(id);
      return true;
    }
    if (!row || (state === 'ready' && row.spareState === 'leaving')) return false;
    Object.assign(row, { spareState: state }, state === 'ready' ? { imageDigest } : {});
    return true;
  }

  /** A ready spare becomes the instance of a paid unit, in the transaction that binds them. @returns its number */
  #sellSpare(unit: PlanUnit): number | null {
    const spare = [...this.spareRows.values()].find(
      ({ content, isFresh, planId, spareState }) =>
        spareState === 'ready' && isFresh && this.forSale.get(planId)?.spareContent === content,
    );
    if (!spare) return null;
    const { id, identity, imageDigest, ports, repositories } = spare;
    this.spareRows.delete(id);
    const kept = { identity, imageDigest, ports, repositories, spare: 'sold' } as const;
    return this.insert({ ...kept, desiredState: 'running' }, unit, id);
  }

  async hold(invoiceId: number, { reason }: Hold): Promise<void> {
    this.#checkHere();
    this.changeInvoice(invoiceId, { hold: reason });
  }

  async report(reports: readonly Report[]): Promise<void> {
    this.#checkHere();
    for (const { ports, id } of reports) if (ports) this.#checkPorts(id, ports);
    for (const report of reports) this.#apply(report);
  }

  /** What a command asks; in place of the addon's sentence the reason. */
  async told(ids: readonly number[], lines: number) {
    this.#checkHere();
    const rows = ids.flatMap((id) => this.rows.get(id) ?? []);
    return new Map(
      rows.map(({ id, log, reason, since = 0 }) => [
        id,
        { since, sentence: `${reason}.`, log: [...log].reverse().slice(0, lines) },
      ]),
    );
  }

  async plans(ids: readonly number[]): Promise<Plan[]> {
    this.#checkHere();
    const all = [...this.forSale.values()];
    return ids.length === 0 ? all : all.filter(({ id }) => ids.includes(id));
  }

  async reportPlan(id: number, { commits, detail, isReady, reason }: PlanReport): Promise<void> {
    this.#checkHere();
    this.planReports.set(id, { isReady, reason, detail });
    const plan = this.forSale.get(id);
    if (!plan) return;
    const repositories = plan.repositories.map((repository) => ({
      ...repository,
      commit: commits.find((it) => it.id === repository.id)?.commit ?? repository.commit,
    }));
    this.forSale.set(id, { ...plan, repositories });
  }

  async states() {
    this.#checkHere();
    return new Map(
      [...this.rows.values()].map(
        ({ id, state, reason, revision, sleepHours, isAsleep, lastRequestAt, wakeAt, ...row }) => [
          id,
          {
            ...{ state, reason, revision, sleepHours, isAsleep, lastRequestAt, wakeAt },
            ...this.#backupFacts(id),
            ...{ hasJob: row.job !== null, isCopy: row.copyOf !== null },
          },
        ],
      ),
    );
  }

  #backupFacts(id: number): BackupFacts {
    const newest = (moments: readonly (Date | null)[]) =>
      Math.max(0, ...moments.map((moment) => (moment?.getTime() ?? 0) / 1000));
    const backups = this.backups.get(id) ?? [];
    return {
      lastBackupAt: newest(backups.map(({ date }) => date)),
      lastProofAt: newest(backups.map(({ date, proof }) => (proof === 'data' ? date : null))),
      lastFailureAt: newest([this.backupFailures.get(id)?.at ?? null]),
    };
  }

  async restoreStage(id: number, templateCode: string, stage: 'begin' | 'end'): Promise<void> {
    this.#checkHere();
    const row = this.rows.get(id);
    if (!row) throw new Error(`no instance ${id}`);
    if (stage === 'end') row.desiredState = 'stopped';
    else Object.assign(row, { templateCode, desiredState: 'draft', wasReady: true });
    if (stage === 'begin') row.active = true;
    row.revision += 1;
    if (stage === 'begin' && row.subscription)
      row.subscription = { ...row.subscription, ...NO_DUNNING };
    this.review(id, this.now());
  }

  async reportJob(id: number, report: JobReport): Promise<void> {
    this.#checkHere();
    const row = [...this.rows.values()].find(({ job }) => job?.id === id);
    this.jobs.push({ id, ...report });
    if (!row || report.state === 'running') return;
    row.job = null;
    // What is seen of it at this moment postpones nothing.
    row.revision += 1;
    this.review(row.id, this.now());
  }

  async reportBackups(
    id: number,
    backups: readonly Backup[] | null,
    failure: { readonly reason: string } | null,
  ): Promise<void> {
    this.#checkHere();
    if (backups) this.backups.set(id, backups);
    if (failure) this.backupFailures.set(id, { at: this.now(), reason: failure.reason });
  }

  async reportUse(uses: readonly InstanceUse[], host: HostUse): Promise<void> {
    this.#checkHere();
    this.uses.push(...uses);
    this.host = host;
  }

  async reportManagerBackups(
    facts: Pick<BackupFacts, 'lastBackupAt' | 'lastProofAt'>,
    failure: { readonly reason: string } | null,
  ): Promise<void> {
    this.#checkHere();
    this.ownBackups.push([facts, failure]);
  }

  async assignPorts(
    { id }: Pick<DesiredInstance, 'id'>,
    exclude: readonly number[],
  ): Promise<PortPair | null> {
    this.#checkHere();
    const row = this.rows.get(id) ?? this.spareRows.get(id);
    const http = this.#http.lowest(exclude);
    const longpolling = this.#longpolling.lowest(exclude);
    if (!row || http === null || longpolling === null) return null;
    this.#http.give(id, http);
    this.#longpolling.give(id, longpolling);
    row.ports = { http, longpolling };
    return row.ports;
  }

  async syncTemplates(templates: readonly TemplateSummary[]): Promise<void> {
    this.#checkHere();
    this.templates.clear();
    for (const template of templates) this.templates.set(template.code, template);
  }

  async routes(): Promise<DoorRoute[]> {
    this.#checkHere();
    const live = [...this.rows.values()].filter(({ state }) => state !== 'removed');
    return live.map(({ id, subdomain, formerSubdomains, domains, ports }) =>
      structuredClone({ id, subdomain, formerSubdomains, domains, ports }),
    );
  }

  async domains(ids: readonly number[]): Promise<WatchedDomain[]> {
    this.#checkHere();
    return [...this.rows.values()].flatMap(({ id: instanceId, domains, subdomain }) =>
      domains
        .filter(({ id }) => ids.includes(id))
        .map(({ id, name, token, isVerified }) => {
          const known = this.#domainStates.get(id);
          const state = isVerified ? 'verified' : (known?.state ?? 'pending');
          const cnames = [`${subdomain}.example.com`];
          const failingSince = known?.failingSince ?? null;
          return { id, instanceId, name, token, cnames, state, failingSince };
        }),
    );
  }

  async reportDomain(id: number, report: DomainReport): Promise<void> {
    this.#checkHere();
    this.domainReports.push({ id, ...report });
    const { fault, state } = report;
    const isFailing = state === 'verified' && fault !== null;
    const since = this.#domainStates.get(id)?.failingSince ?? this.now();
    this.#domainStates.set(id, { state, failingSince: isFailing ? since : null });
    const isVerified = state === 'verified';
    for (const row of this.rows.values()) {
      const domain = row.domains.find((it) => it.id === id);
      if (!domain || domain.isVerified === isVerified) continue;
      row.domains = row.domains.map((it) => (it.id === id ? { ...it, isVerified } : it));
      this.review(row.id, this.now());
    }
  }

  async page(_host: string, id: number): Promise<StatePage> {
    this.#checkHere();
    const row = this.rows.get(id);
    const [status, title] = row ? [503, row.state] : [404, 'unknown'];
    const rest = { retryAfter: 0, lang: 'en_US', lines: [], logoUrl: '' };
    const links = { action: null, secondAction: null };
    return { status, title, company: 'Hosting', ...links, ...rest };
  }

  async recentSuspensions(instanceId: number): Promise<RecentSuspensions> {
    this.#checkHere();
    const rows = [...this.rows.values()].flatMap(({ subscription }) => subscription ?? []);
    const hourAgo = new Date(this.now().getTime() - 3_600_000);
    const taken = rows.filter(({ suspendedAt, dataRemovedAt }) =>
      [suspendedAt, dataRemovedAt].some((moment) => moment !== null && moment > hourAgo),
    );
    const fleet = rows.filter(({ dataRemovedAt }) => dataRemovedAt === null);
    const isApproved = this.approved.has(instanceId);
    return { taken: taken.length, fleet: fleet.length, isApproved };
  }

  async requestApproval(instanceId: number): Promise<void> {
    this.#checkHere();
    this.waiting.add(instanceId);
  }

  // -- its database -------------------------------------------------------------------------------

  /** A new row, due at once. @param reserved its id, where that was given out before. @returns its id. */
  insert(
    wish: Partial<DesiredInstance>,
    unit: PlanUnit | null = null,
    reserved: number | null = null,
  ): number {
    const id = reserved ?? this.#lastId + 1;
    this.#lastId = Math.max(this.#lastId, id);
    this.#made += 1;
    const requestedAt = this.now().getTime() / 1000;
    const row = anInstance({
      state: 'draft',
      wasReady: false,
      givenModules: null,
      ports: null,
      requestedAt,
      soldAs: unit && { ...unit, madeAt: this.#lineMadeAt.get(unit.lineId) ?? '' },
      identity: identityOf(id, this.#made),
      ...wish,
      id,
    });
    const subscription = row.subscription && { ...row.subscription, id };
    const empty = { active: true, reason: '', detail: '', log: [], mails: [], nextReview: null };
    this.rows.set(id, { ...row, subscription, unit, ...empty });
    this.review(id, this.now());
    return id;
  }

  /** A new invoice of one line. @returns its id. */
  issue(invoice: Partial<Invoice>, line: Partial<InvoiceLine>): number {
    const id = this.invoices.size + 1;
    this.invoices.set(id, anInvoice({ ...invoice, id, lines: [aPlanLine({ ...line, id })] }));
    this.#invoiceOfLine.set(id, id);
    this.#lineMadeAt.set(id, this.now().toISOString());
    this.changeInvoice(id, {});
    return id;
  }

  changeInvoice(id: number, change: Partial<Invoice>): void {
    const invoice = { ...(this.invoices.get(id) as Invoice), ...change };
    this.invoices.set(id, invoice);
    const isOpen =
      invoice.paymentState === 'paid' &&
      invoice.hold === '' &&
      invoice.lines.some((line) => line.claimedUnits.length < unitsSold(line));
    if (isOpen) this.#open.add(id);
    else this.#open.delete(id);
  }

  /** Says when the sidecar shall look at an instance again; null: not by itself. */
  review(id: number, at: Date | null): void {
    const row = this.rows.get(id);
    if (row) row.nextReview = at;
    this.#due.delete(id);
    this.#later.delete(id);
    if (at !== null) (at <= this.now() ? this.#due : this.#later).add(id);
  }

  /** A dump of the database. @returns what puts it in place of the present one */
  dump(): () => void {
    const kept = structuredClone({
      rows: this.rows,
      spareRows: this.spareRows,
      invoices: this.invoices,
      claimed: this.#claimed,
      invoiceOfLine: this.#invoiceOfLine,
      open: this.#open,
      due: this.#due,
      later: this.#later,
    });
    const [checkpoint, lastId] = [this.#checkpoint, this.#lastId];
    return () => {
      refill(this.rows, kept.rows);
      refill(this.spareRows, kept.spareRows);
      refill(this.invoices, kept.invoices);
      refill(this.#claimed, kept.claimed);
      refill(this.#invoiceOfLine, kept.invoiceOfLine);
      for (const [now, then] of [
        [this.#open, kept.open],
        [this.#due, kept.due],
        [this.#later, kept.later],
      ] as const) {
        now.clear();
        for (const id of then) now.add(id);
      }
      this.#checkpoint = checkpoint;
      this.#lastId = lastId;
      this.#http = new FreePorts(this.#ranges.httpPorts);
      this.#longpolling = new FreePorts(this.#ranges.longpollingPorts);
      for (const { id, ports } of [...this.rows.values(), ...this.spareRows.values()])
        if (ports) {
          this.#http.give(id, ports.http);
          this.#longpolling.give(id, ports.longpolling);
        }
    };
  }

  #changeLine(invoiceId: number, lineId: number, change: Partial<InvoiceLine>): void {
    const lines = this.invoices.get(invoiceId)?.lines ?? [];
    this.changeInvoice(invoiceId, {
      lines: lines.map((line) => (line.id === lineId ? { ...line, ...change } : line)),
    });
  }

  #checkPorts(id: number, { http, longpolling }: PortPair): void {
    if (!this.#http.mayHave(id, http) || !this.#longpolling.mayHave(id, longpolling))
      throw new ManagerError('validation', `port ${http} or ${longpolling} has another owner`);
  }

  #apply(report: Report): void {
    const row = this.rows.get(report.id);
    if (!row) return;
    const { log, nextReview, commits, subscription, secondsToReady, ...plain } = report;
    const { revision, adopted, ports: reportedPorts, ...reported } = plain;
    const isRestored = report.state === 'removed' && revision !== row.revision;
    const ports = isRestored ? undefined : reportedPorts;
    const written = isRestored ? { ...reported, active: row.active } : reported;
    Object.assign(row, written);
    if (adopted) row.mayAdopt = false;
    if (secondsToReady !== undefined || report.state === 'running') row.wasReady = true;
    // An address that a customer was told stays theirs after the removal.
    const isKept = ports?.http === 0 && row.wasReady;
    if (ports && !isKept) {
      this.#http.give(row.id, ports.http);
      this.#longpolling.give(row.id, ports.longpolling);
    }
    if (ports) row.ports = ports.http > 0 ? ports : null;
    if (log) row.log = [...row.log, ...log.map(asText)].slice(-100);
    if (commits)
      row.repositories = row.repositories.map((repository) => ({
        ...repository,
        commit: commits.find((it) => it.id === repository.id)?.commit ?? repository.commit,
      }));
    if (subscription && row.subscription) {
      row.subscription = applyChange(row.subscription, subscription);
      for (const { kind } of subscription.notices ?? []) row.mails = [...row.mails, kind];
    }
    if (revision !== row.revision) this.review(row.id, this.now());
    else if (nextReview !== undefined) this.review(row.id, nextReview);
  }

  #checkHere(): void {
    if (this.isAway) throw new ManagerError('transport', 'connect ECONNREFUSED');
  }
}

/** A part of a unit sells nothing. */
export function unitsSold({ quantity }: Pick<InvoiceLine, 'quantity'>): number {
  return Math.max(0, Math.floor(quantity));
}

/** The first `count` of a set, without going through the rest. */
function first(set: ReadonlySet<number>, count: number): number[] {
  const found: number[] = [];
  for (const it of set) {
    if (found.length >= count) break;
    found.push(it);
  }
  return found;
}

function refill<K, V>(map: Map<K, V>, entries: ReadonlyMap<K, V>): void {
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}

/** A line of the log; in place of the addon's sentences its reason, what that is about and why it is. */
function asText(line: LogLine): string {
  if (typeof line === 'string') return line;
  const { at, because = '', detail, reason } = line;
  return [at, reason, detail, because].filter(Boolean).join(' ');
}
