import type { Hold, Invoice, PlanUnit } from './billing/invoice-types.ts';
import type { RecentSuspensions } from './billing/suspension-limit.ts';
import type { BackupFacts } from './instance/backup-policy.ts';
import type { Kept, Proof } from './instance/backup-retention.ts';
import type { DomainFinding, DomainReport, WatchedDomain } from './instance/domain.ts';
import type { Addressed } from './instance/instance-url.ts';
import type { Distrust } from './instance/manager-history.ts';
import type { FailureReason, ProgressReason, Remark } from './instance/reasons.ts';
import type {
  CopyOf,
  CustomerDomain,
  DesiredInstance,
  EffectiveState,
  FetchedCommit,
  FoundInstance,
  Job,
  JobReport,
  MarkedInstance,
  ObservedInstance,
  Pins,
  Plan,
  PlanReport,
  PortPair,
  Report,
  Spare,
  SpareReport,
  SweptInstance,
  TemplateSummary,
} from './instance/types.ts';
import type { HostUse, InstanceUse } from './instance/use.ts';

/** What the manager tells the sidecar about itself at start. */
export interface ManagerFacts {
  /** The install id kept in Odoo; the sidecar refuses to run when its own differs. */
  readonly installId: string;
  readonly addonVersion: string;
  /** Of the manager's database; a copy of it has another one. */
  readonly databaseUuid: string;
  /** The last checkpoint and the highest number of an instance: they only grow, except in a database restored from a copy. */
  readonly checkpoint: number;
  readonly highestInstance: number;
  /** Whether mails to customers leave, and whether the company that sells has an address to write from. */
  readonly hasMailServer: boolean;
  readonly hasCompanyEmail: boolean;
  /** How many mails to customers did not leave. */
  readonly failedMails: number;
  /** When it last ran its own scheduled work, and what its clock said when it answered: seconds since the epoch; 0: it does not say. */
  readonly cronAt: number;
  readonly now: number;
  /** When it last heard of the sidecar, to the minute, in seconds since the epoch; 0: never; null: it does not say. */
  readonly heardAt: number | null;
}

/** What this host remembers of the manager it has worked for. */
export interface ManagerMemory {
  readonly databaseUuid: string;
  readonly checkpoint: number;
  /** The highest number of an instance that was ever here. */
  readonly highestInstance: number;
  /** Why the sidecar waits for a person, or null. */
  readonly distrust: Distrust | null;
}

/** Keeps a ManagerMemory beside the instances' data. */
export interface MemoryStore {
  read(): Promise<ManagerMemory | null>;
  write(memory: ManagerMemory): Promise<void>;
}

/** The manager Odoo: has the desired state, gets reports of the observed one. Every method throws ManagerError. */
export interface Manager {
  /** Names the install and learns the settings. Stores the install id when Odoo has none yet. */
  handshake(installId: string): Promise<ManagerFacts>;
  /** Ids of instances whose next review has come, oldest first. */
  due(limit: number): Promise<number[]>;
  /** Ids of paid invoices with plan units that nobody has claimed or held, oldest payment first. */
  unclaimed(limit: number): Promise<number[]>;
  /** The instances that exist among `ids`; a missing one is left out, which never means "remove". */
  desired(ids: readonly number[]): Promise<DesiredInstance[]>;
  invoice(id: number): Promise<Invoice | null>;
  /**
   * Creates the rows for these units, or finds them. May be repeated.
   * @param above new rows get higher numbers than this
   * @returns the instances in the same order, as desired() has them: who has paid waits for one call less
   */
  claim(units: readonly PlanUnit[], above: number): Promise<DesiredInstance[]>;
  /** Counts one more checkpoint and returns it. */
  checkpoint(): Promise<number>;
  /**
   * Tells people, once, that nothing is done for this database until a person confirms.
   * @param above new rows get higher numbers than this
   * @param found the instances here that it does not know
   */
  distrust(kind: Distrust, above: number, found: readonly FoundInstance[]): Promise<void>;
  /** Puts an invoice on hold until a person approves, saying why. */
  hold(invoiceId: number, hold: Hold): Promise<void>;
  report(reports: readonly Report[]): Promise<void>;
  /** Writes what instances use, and how the machine does. One that is told again is counted once. */
  reportUse(uses: readonly InstanceUse[], host: HostUse): Promise<void>;
  /** The plans among `ids`, or all when none is given. */
  plans(ids: readonly number[]): Promise<Plan[]>;
  /** Says on a plan whether its template databases are ready. */
  reportPlan(id: number, report: PlanReport): Promise<void>;
  /** All spares, in every state. */
  spares(): Promise<Spare[]>;
  /** The numbers of all spares, those too of which spares() could not be read. */
  spareNumbers(): Promise<ReadonlySet<number>>;
  /**
   * Gives out the number of a future instance of a plan, for a spare.
   * @param above it gets a higher number than this
   * @returns null: the plan is gone, not prepared, or another one by now
   */
  reserveSpare(plan: Pick<Plan, 'id' | 'spareContent'>, above: number): Promise<number | null>;
  /**
   * Says what has become of a spare. Once it is `leaving`, no claim takes it; it is forgotten when it is `gone`.
   * @returns false: it is a spare no more, or it is leaving while it is said to be ready
   */
  reportSpare(id: number, state: SpareReport, imageDigest?: string): Promise<boolean>;
  /** What Odoo believes of every instance, removed ones too: for the sweep. */
  states(): Promise<Map<number, SweptInstance>>;
  /**
   * Gives an instance the lowest pair of ports that no other has, in place of what it has.
   * @param exclude ports that the host uses for something else
   * @returns null when a range is used up: then nothing was written
   */
  assignPorts(
    desired: Pick<DesiredInstance, 'id'>,
    exclude: readonly number[],
  ): Promise<PortPair | null>;
  syncTemplates(templates: readonly TemplateSummary[]): Promise<void>;
  /** Names and ports of all instances whose data are not removed. */
  routes(): Promise<DoorRoute[]>;
  /** Says that an instance gets its data from elsewhere: it is a draft from the `begin` and stopped at the `end`. */
  restoreStage(id: number, templateCode: string, stage: 'begin' | 'end'): Promise<void>;
  /** Says how far a job is; one that has ended stays as it ended. */
  reportJob(id: number, report: JobReport): Promise<void>;
  /**
   * Writes what backups an instance has.
   * @param backups all there are, each with why it is kept; null: nobody could look
   * @param failure what went wrong just now, or null
   */
  reportBackups(
    id: number,
    backups: ReadonlyArray<Backup & { readonly kept: Kept }> | null,
    failure: { readonly reason: FailureReason; readonly detail: string } | null,
  ): Promise<void>;
  /** Writes what backups of itself there are. @param failure what went wrong just now, or null */
  reportManagerBackups(
    facts: Pick<BackupFacts, 'lastBackupAt' | 'lastProofAt'>,
    failure: { readonly reason: FailureReason; readonly detail: string } | null,
  ): Promise<void>;
  /** Those of these customers' own domains, in every state, whose instances' data are not removed. */
  domains(ids: readonly number[]): Promise<WatchedDomain[]>;
  /** Odoo makes the instance due where its addresses change by it. */
  reportDomain(id: number, report: DomainReport): Promise<void>;
  /**
   * What a visitor of this host reads.
   * @param id the instance that has the host; 0: nobody has it
   * @param language in which they read what is about nobody: `en`, `es`, or '' for the company's
   */
  page(host: string, id: number, language: string): Promise<StatePage>;
  /** How many instances were suspended or removed automatically within the last hour, before one more is. */
  recentSuspensions(instanceId: number): Promise<RecentSuspensions>;
  /** Asks people to approve that this instance, and all others that wait, are suspended or removed; recentSuspensions() says when they have. */
  requestApproval(instanceId: number, recent: RecentSuspensions): Promise<void>;
}

/** The containers of one instance, as one answer of Docker about all of them has it. */
export interface Listed {
  /** All of them run. A paused one does not. */
  readonly running: boolean;
  /** One of them has a process, be it a paused one. */
  readonly up: boolean;
  /** Where this host reaches its Odoo; 0: nowhere. */
  readonly httpPort: number;
  /** It has a Postgres of its own. */
  readonly hasOwnDatabase: boolean;
  /** Docker's ids of them. */
  readonly containers: readonly string[];
}

/** How an instance that should run does, seen from outside. `emptied`: files are missing; `silent`: no answer within the timeout, or a status of 5xx. */
export type Health = 'well' | 'silent' | 'emptied';

/** Observes an instance without asking Docker or the manager. Never throws. */
export type Probe = (id: number, listed: Listed) => Promise<Health>;

/** What was found of one running instance. Null: it could not be measured, or not in the time for it. */
export interface Measured {
  /** Of the mark beside its data. */
  readonly identity: string;
  /** What its directory takes on the disk. */
  readonly fileBytes: number | null;
  readonly databaseBytes: number | null;
  /** Its database is part of these files. */
  readonly isDatabaseAFile: boolean;
  /** See InstanceUse. */
  readonly users: number | null;
  readonly memoryBytes: number | null;
  /** Processor time since its containers were started. */
  readonly cpuSeconds: number | null;
}

/**
 * Measures what an instance uses without asking Docker or the manager, in some seconds at most, whatever its tenant does. Null where
 * nothing of it is here. Never throws.
 */
export type Measure = (id: number, listed: Listed) => Promise<Measured | null>;

/** Who visits a spare before its customer does, and in which language: an Odoo language code. */
export interface RehearsedVisit {
  readonly login: string;
  readonly password: string;
  readonly lang: string;
}

/** A session of a user of an instance's Odoo, which their browser has by its id. Neither is kept, nor in any log. */
export interface OdooSession {
  readonly sid: string;
  /** As Odoo stores it. */
  readonly content: Readonly<Record<string, unknown>>;
}

/** Work that can wait: backups, and what is made with them. */
export interface Background {
  /** Does what a customer waits for: the other stands still meanwhile, for a quarter of a minute at most. @returns what `work` returns */
  during<T>(work: () => Promise<T>): Promise<T>;
}

/** What runs instances. `observe` changes nothing; every other method may be repeated. */
export interface Engine {
  /** Marks the instance's directory as its own where it has no mark. */
  adopt(desired: DesiredInstance): Promise<void>;
  /** The numbers of all instances of which a directory or a container is here, whether Odoo knows them or not. */
  numbers(): Promise<number[]>;
  /** What the mark in the directory of this number says; null where there is none. */
  marked(id: number): Promise<MarkedInstance | null>;
  /** @param state the effectiveState() of `desired`: for some, less is observed */
  observe(
    desired: DesiredInstance,
    state: EffectiveState,
  ): Promise<Omit<ObservedInstance, 'database' | 'hung' | 'isHandedOver' | 'preparedJob'>>;
  /** Which of the two ports something on the host has bound. */
  occupiedPorts(ports: PortPair): Promise<number[]>;
  /**
   * Fetches what is missing.
   * @returns the commit of each repository, in order, and what of them cannot be used
   */
  fetchRepositories(
    wanted: Pick<DesiredInstance, 'templateCode' | 'repositories'>,
    signal: AbortSignal,
  ): Promise<{ readonly commits: readonly FetchedCommit[]; readonly remarks: readonly Remark[] }>;
  /** The image that its files name, as DesiredInstance has it; '' where they name none. */
  imageDigest(desired: DesiredInstance): Promise<string>;
  /** Writes what the instance's containers are made from: its template, filled in for the desired state. Starts nothing. */
  render(desired: DesiredInstance): Promise<void>;
  /** Starts the instance's own Postgres, where its template has one. */
  startDatabase(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /** Makes all of the instance's containers run, as render() has written them. @throws PortTakenError, RetryableError('StartFailed') */
  start(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /**
   * Waits until Odoo answers at all, without asking it for a page that costs it work.
   * @returns false when an instance that has run before is no longer up: observe it again
   * @throws RetryableError('NotAnswering') after its time is up, ('StartFailed') when a first start has ended, ('CrashLoop')
   */
  awaitListening(desired: DesiredInstance, signal: AbortSignal): Promise<boolean>;
  /** Waits until `/web/login` answers 200. Otherwise as awaitListening(). */
  awaitLogin(desired: DesiredInstance, signal: AbortSignal): Promise<boolean>;
  /** Opens the first pages of a spare in a language, as its customer will, so that its Odoo has made them once. */
  rehearse(spare: Spare, visit: RehearsedVisit, signal: AbortSignal): Promise<void>;
  /** Removes the sessions of who has visited a spare. */
  forgetSessions(spare: Spare): Promise<void>;
  /**
   * Lets a browser into an instance that runs, by this session.
   * @param browser headers of its request: what Odoo notes of who logs in
   * @returns whether the instance's Odoo accepts it; its tenant can have it say anything
   */
  admit(
    desired: DesiredInstance,
    session: OdooSession,
    browser: Readonly<Record<string, string>>,
  ): Promise<boolean>;
  /** Whether spares are kept of a template's instances: of those with a Postgres of their own none are. */
  mayBeSpare(templateCode: string): boolean;
  /** Writes what is known of the instance into its mark: that it is a spare no more, and whom it was sold to. @throws TerminalError('ForeignData') */
  renewMark(desired: DesiredInstance): Promise<void>;
  /** Makes the Apps of an instance list the modules of its repositories. @returns false where it failed */
  updateAppsList(desired: DesiredInstance, signal: AbortSignal): Promise<boolean>;
  /** Gives what runs the limits of its plan, as far as nothing is taken from it that it may use now. */
  applyLimits(desired: DesiredInstance): Promise<void>;
  stop(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /** Stops what is up and starts it again, as it is. */
  restart(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /** Removes containers only; files and data stay. */
  removeContainers(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /** Removes containers and files for good, and the network when nobody else is on it. */
  purge(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /** Observes a running instance from outside. */
  readonly probe: Probe;
  /** Where people reach the instance. */
  url(instance: Addressed): string;
  /** The containers of each instance that has any, by the instance's id. */
  list(): Promise<Map<number, Listed>>;
  /** Removes what a killed sidecar has left behind of its own helpers; returns the names. */
  removeStaleHelpers(): Promise<string[]>;
  /**
   * Calls back with the id of every instance whose containers changed, until the signal; reconnects automatically,
   * and then calls back with null: events may have been missed.
   */
  watch(changed: (id: number | null) => void, signal: AbortSignal): Promise<void>;
}

/** A database that Databases.clone() has made, without its customer's identity yet. */
export interface ClonedDatabase {
  /** Its name as long as it is unfinished. */
  readonly database: string;
}

/** The customers' databases. */
export interface Databases {
  /** Marks the instance's database as its own where it has no mark. */
  adopt(desired: DesiredInstance): Promise<void>;
  /** The numbers of all instances that have a database on the shared server, whether Odoo knows them or not. */
  numbers(): Promise<number[]>;
  /** Resolves when the shared server answers; throws RetryableError('PostgresUnavailable'). */
  ping(): Promise<void>;
  /**
   * Where the instance's URL has changed since it was last reported, writes the new one into its database; a running
   * Odoo uses it from its next request.
   * @throws TenantDatabaseError when the customer's database refuses it
   */
  setUrl(desired: DesiredInstance): Promise<void>;
  /**
   * Has the instance's Odoo refuse one user more than its plan has; nobody, where that sets no limit.
   * @throws TenantDatabaseError when the customer's database refuses it
   */
  limitUsers(desired: DesiredInstance): Promise<void>;
  /** Builds what the plan's instances will be cloned from, where it is not there yet. */
  prepare(plan: Plan, signal: AbortSignal): Promise<void>;
  /** Replaces the spare clones that clone() has used; does nothing when none was used. */
  restock(): Promise<void>;
  /** Drops what instances were cloned from and no plan wants, when it is stale or long unused; returns the names. */
  trim(plans: readonly Plan[]): Promise<string[]>;
  /** @param state the effectiveState() of `desired`: where the data are removed, its own Postgres is gone */
  observe(desired: DesiredInstance, state: EffectiveState): Promise<ObservedInstance['database']>;
  /** The instances that have a database on the shared server. */
  list(): Promise<ReadonlySet<number>>;
  /** Waits until the server that was just started takes connections. */
  awaitServer(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /**
   * Clones the template database of the instance's module set, building it first if need be, under a name that no Odoo knows.
   * @param progress is called with the reason of a long wait
   * @returns what personalise() goes on with; that takes no more than tenths of a second
   */
  clone(
    desired: DesiredInstance,
    progress: (reason: ProgressReason) => void,
    signal: AbortSignal,
  ): Promise<ClonedDatabase>;
  /**
   * Gives a clone the customer's identity, or a spare's, with which nobody can log in, and its files; and then the instance's own name:
   * what has that is complete.
   */
  personalise(desired: DesiredInstance, clone: ClonedDatabase): Promise<void>;
  /**
   * Makes sure of what clone() begins with: a template, or a data directory for the instance's own Postgres, which must not run yet.
   * May take minutes: to be called while no slot or lock is held that others want.
   */
  prepareFor(
    desired: DesiredInstance,
    progress: (reason: ProgressReason) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Lets the administrator of a spare that runs in, in one of its languages, until endRehearsal().
   * @param lang an Odoo language code
   */
  beginRehearsal(spare: Spare, lang: string): Promise<Omit<RehearsedVisit, 'lang'>>;
  /** Lets nobody in any more, and removes what the rehearsal has left in the database. */
  endRehearsal(spare: Spare): Promise<void>;
  /**
   * Gives what was a spare its customer's identity, all at once, whether it runs or not; a running Odoo has it from its next request.
   * @throws TenantDatabaseError when the customer's database refuses it
   */
  handOver(desired: DesiredInstance): Promise<void>;
  /** Whether handOver() has been. Asks the instance's own database. */
  isHandedOver(desired: DesiredInstance): Promise<boolean>;
  /** Waits until the requests that the instance's Odoo answers at this moment have their answers, some seconds at most. */
  awaitRequests(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /** A link with which the administrator sets their password, once; and whether nobody has logged in before. */
  invitation(
    desired: DesiredInstance,
  ): Promise<{ readonly link: string; readonly isFirst: boolean }>;
  /**
   * A session of a user of the instance's Odoo, for Engine.admit().
   * @param who their login; `endsAt`: after that Odoo accepts it no more, in seconds since the epoch, within two hours of now; null: it ends
   * as any other does
   * @returns null where there is no such internal user, or a password alone does not let them in
   */
  odooSession(
    desired: DesiredInstance,
    who: { readonly login: string; readonly endsAt: number | null },
  ): Promise<OdooSession | null>;
  /**
   * When work that the instance's Odoo has planned is due, as its own database says: its administrator can make that any moment.
   * `always`: it fetches mail every few minutes. Null: nothing is planned, or nobody can tell.
   */
  nextWork(desired: DesiredInstance): Promise<Date | 'always' | null>;
  /**
   * Makes an instance's database again, from what `fill` puts into an empty one.
   * @param options `isCopy`: another instance may have the same data, and must not share its secrets. `url`: where the instance was when
   * the data were its own; '' where nobody knows
   * @param fill is given the server and the way in, as the tenant
   * @throws TerminalError('DatabaseExists') when the instance has one
   */
  restore(
    desired: DesiredInstance,
    options: { readonly isCopy: boolean; readonly url: string },
    fill: (server: TenantServer, login: TenantEntry) => Promise<void>,
  ): Promise<void>;
  /** Removes the instance's database and role for good. */
  drop(desired: DesiredInstance): Promise<void>;
}

/** Where the last copies of what is removed are kept. Every method may be repeated. */
export interface Archives {
  /**
   * Takes the last backup of an instance that does not run, and proves it. Its own Postgres, where it has one, must run.
   * @returns its name, and how many files and folders are not in it, as no program could open all of their paths
   * @throws TerminalError too for what of the data is in the way: the same a moment later would fail as well
   */
  write(
    desired: DesiredInstance,
    signal: AbortSignal,
  ): Promise<{ readonly name: string; readonly leftOut: number }>;
  /** Throws TerminalError('BackupGone') unless the instance has the last backup of this end of it, and that is proven. */
  verify(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
}

/** One backup of an instance: its database, its files and its secrets, all of one moment. */
export interface Backup {
  /** restic's id: 64 hexadecimal digits. */
  readonly snapshot: string;
  readonly date: Date;
  /** Of all that is in it, before it was compressed and compared with what is there already. */
  readonly bytes: number;
  /** A person has asked for it. */
  readonly isByHand: boolean;
  /** Of the last one before the data are removed: see DatedBackup; and how many files and folders are not in it. */
  readonly ending?: string;
  readonly leftOut?: number;
  readonly proof: Proof;
  readonly proofDate: Date | null;
  /** Why its proof failed, with what the reason is about. */
  readonly reason: FailureReason | '';
  readonly detail: string;
}

/** Backups of instances, outside of their databases and directories. Every method may be repeated. */
export interface Backups {
  /** Takes one more, of an instance that runs or of one that does not. Its own Postgres, where it has one, must run. */
  take(
    desired: DesiredInstance,
    options: { readonly isByHand: boolean },
    signal: AbortSignal,
  ): Promise<void>;
  /** All there are, oldest first. */
  list(desired: DesiredInstance, signal: AbortSignal): Promise<Backup[]>;
  /**
   * Restores one where nothing else is, compares, with `boots` starts Odoo on it too where that can be tried, and notes what came of it.
   * @throws TerminalError saying what is wrong with it
   */
  prove(
    desired: DesiredInstance,
    snapshot: string,
    options: { readonly boots: boolean },
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Removes those that nobody need keep: see keptBackups(). A server that only takes more keeps them, which is no failure.
   * @returns what is left, as list() would
   */
  forgetOld(desired: DesiredInstance, now: Date, signal: AbortSignal): Promise<Backup[]>;
}

/** Backups of the manager itself: its database, its files and the sidecar's configuration. Otherwise as Backups. */
export interface ManagerBackups {
  /** @throws TerminalError('ManagerOutOfReach') where the sidecar reaches its database or files by no way */
  take(options: { readonly isByHand: boolean }, signal: AbortSignal): Promise<void>;
  list(signal: AbortSignal): Promise<Backup[]>;
  prove(snapshot: string, signal: AbortSignal): Promise<void>;
  forgetOld(now: Date, signal: AbortSignal): Promise<Backup[]>;
}

/** Backups put in the place of an instance's data, which are kept for a while. Every method may be repeated after a kill. */
export interface Restores {
  /**
   * Makes what is to replace the instance's data, beside them. The instance may run meanwhile; its own Postgres, where it has one, must.
   * @throws TerminalError('NothingToUndo', 'BackupOdooNewer', 'BackupForeign', …)
   */
  prepare(
    desired: DesiredInstance,
    job: Job,
    progress: (reason: ProgressReason) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** The identity of the job whose data are prepared; '': none's are. */
  prepared(desired: Pick<DesiredInstance, 'id'>): Promise<string>;
  /** Puts what is prepared in the place of the instance's data. It must not run; its own Postgres, where it has one, must. */
  carryOut(desired: DesiredInstance, job: Job): Promise<void>;
  /** Whether carryOut() has been, for this job. */
  isCarriedOut(desired: DesiredInstance, job: Job): Promise<boolean>;
  /** When the data were last replaced, while what they replaced is still there: the next one takes its place. Null: it is not. */
  replacedAt(desired: Pick<DesiredInstance, 'id'>): Promise<Date | null>;
  /** Drops what was replaced before this moment, in milliseconds since the epoch. */
  dropReplaced(desired: DesiredInstance, before: number): Promise<void>;
  /**
   * Restores a backup of an instance into a folder that is there as long as `work` runs.
   * @throws TerminalError('BackupOdooNewer', 'BackupForeign', 'BackupGone', …)
   */
  fetched<T>(
    desired: DesiredInstance,
    snapshot: string,
    signal: AbortSignal,
    work: (source: RestoreSource, signal: AbortSignal) => Promise<T>,
  ): Promise<T>;
}

/** Where the backups of an instance of another install are, on this host. */
export interface ForeignPlace {
  /** Path of its repository: a copy of the folder that the other install has it in. */
  readonly repository: string;
  /** Path of the other install's escrow file, or of one that has this repository's key at least. */
  readonly escrow: string;
}

/** What an instance of which nothing is here is made from: a backup, or an archive of an earlier version. Used once: a restore that is repeated gets another. */
export interface RestoreSource {
  /** Tells it from any other: a backup's id, an archive's name. */
  readonly name: string;
  /** Whose data they are; '' for what an archive does not say. */
  readonly owner: { readonly id: number; readonly identity: string };
  readonly template: string;
  /** Where that instance was; '' where nobody knows. */
  readonly url: string;
  /** Puts the secrets into the instance's directory; of another's, only the customer's first password. */
  placeSecrets(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /** Puts the files that Odoo keeps beside its database in their place, once render() has made the folder around them. */
  placeFiles(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /** Fills an empty database, as its tenant. @throws TerminalError('ProofDatabase') where that cannot be */
  fill(server: TenantServer, login: TenantEntry, signal: AbortSignal): Promise<void>;
}

/** Where a server is entered. */
export interface TenantServer {
  readonly socketDir: string;
}

/** The way into one database, as its tenant. */
export interface TenantEntry {
  readonly database: string;
  readonly role: string;
  readonly password: string;
}

/** Marks instances of which something is here that is no customer's data yet. */
export interface RestoringMarks {
  /** @param name of the RestoreSource. @throws TerminalError('ForeignData') where the directory is another's */
  begin(desired: DesiredInstance, name: string): Promise<void>;
  /** What begin() was given, while end() has not followed; '' where an earlier version began it; null: nothing was begun. */
  begun(desired: Pick<DesiredInstance, 'id'>): Promise<string | null>;
  /** The instance has all of its data. */
  end(desired: Pick<DesiredInstance, 'id'>): Promise<void>;
}

/** Staging copies: the data of another instance's backup, without what would act in its name. */
export interface Copies {
  /**
   * Makes the files and the database of a copy that has none yet. What is under its final name is complete and neutralised; killed at any
   * moment, it is made again.
   * @throws TerminalError('NeutraliseFailed', 'BackupForeign', 'BackupGone', 'BackupOdooNewer', …); RetryableError('NotEnoughDisk')
   */
  make(
    desired: DesiredInstance,
    of: CopyOf,
    progress: (reason: ProgressReason) => void,
    signal: AbortSignal,
  ): Promise<void>;
}

/** What is read of a customer's data while it is written for them to take away. */
export type ExportProgress = Extract<
  ProgressReason,
  'FetchingBackup' | 'ReadingBackup' | 'WritingExport'
>;

/** Backups written as Odoo's own dump, for customers to take away; each is there for a day. */
export interface Exports {
  /**
   * Writes one, in the place of the instance's others. One that is there already is there for another day. May be repeated after a kill.
   * @throws RetryableError('NotEnoughDisk', 'ExportsFull'); TerminalError('BackupGone'), or saying why the backup cannot be read
   */
  write(
    desired: DesiredInstance,
    snapshot: string,
    progress: (reason: ExportProgress) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Whether the instance has the export of this backup. */
  has(id: number, snapshot: string): Promise<boolean>;
  /** Opens one for reading; null: it is not there, or not any more. */
  open(
    id: number,
    snapshot: string,
  ): Promise<{ readonly bytes: number; readonly content: AsyncIterable<Uint8Array> } | null>;
  /** Removes those whose day is over. */
  dropOld(): Promise<void>;
}

/**
 * Newer versions for an instance, with data that were updated for them. What rehearse() and make() leave is carried out by Restores; every
 * method may be repeated after a kill.
 */
export interface Updates {
  /**
   * Finds out what is newest, updates a backup to it where nothing else is, and verifies that. The instance may run.
   * @throws TerminalError('NothingToUpdate', 'UpdateFailed', …)
   */
  rehearse(
    desired: DesiredInstance,
    job: Job,
    snapshot: string,
    progress: (reason: ProgressReason) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Makes an updated copy of the instance's data, beside them. It must not run. @throws TerminalError('UpdateFailed') */
  make(desired: DesiredInstance, signal: AbortSignal): Promise<void>;
  /** Removes what rehearse() and make() have left: the instance stays as it is. */
  abandon(desired: DesiredInstance): Promise<void>;
  /** Before Restores.prepare() of an undo: the versions that go with what is kept. @throws TerminalError('NothingToUndo') */
  prepareUndo(desired: DesiredInstance, job: Job): Promise<void>;
  /** The versions that go with what is prepared; null: those that the instance has. */
  pins(desired: DesiredInstance): Promise<Pins | null>;
}

/** What is kept of instances beyond their data, and its end. */
export interface Erasures {
  /**
   * Removes the backups of an instance whose data were removed, their key, and what else of its data is on this host, for good; notes who asked.
   * May be repeated after a kill.
   * @throws TerminalError('BackupServerKeeps') where the server removes nothing that it is asked to
   */
  erase(desired: DesiredInstance, job: Job, signal: AbortSignal): Promise<void>;
}

/** What keeps instances from the host and its networks. */
export interface Firewall {
  /** Installs the rules again, whether or not they are still loaded. Throws where netfilter cannot be used. */
  ensure(): Promise<void>;
}

/** Where one instance's visitors go. */
export interface DoorRoute {
  readonly id: number;
  /** A staging copy: search engines are told to leave it out. By default it is none. */
  readonly isCopy?: boolean;
  /** '' where Odoo has given none: then it has no address. */
  readonly subdomain: string;
  /** Labels that redirect to the instance's address. */
  readonly formerSubdomains: readonly string[];
  readonly domains: readonly CustomerDomain[];
  /** Null: it has none now, and its visitors get a page. */
  readonly ports: PortPair | null;
}

export interface StatePageLink {
  readonly label: string;
  readonly url: string;
}

/** What a visitor reads in place of an instance that does not answer, in their language. */
export interface StatePage {
  /** Of HTTP. */
  readonly status: number;
  /** After how many seconds to look again; 0: it will not change by itself. */
  readonly retryAfter: number;
  /** An Odoo language code. */
  readonly lang: string;
  readonly title: string;
  readonly lines: readonly string[];
  readonly action: StatePageLink | null;
  /** Another thing that they can do besides. */
  readonly secondAction: StatePageLink | null;
  /** The name and the logo of who sells; '' where there is none. */
  readonly company: string;
  readonly logoUrl: string;
}

/** A request that the door has passed on, from its access log. */
export interface LoggedRequest {
  /** As the visitor's browser named it, with its port if it did. */
  readonly host: string;
  /** Without its query. */
  readonly path: string;
  readonly status: number;
  /** When it came, in milliseconds since the epoch. */
  readonly at: number;
}

/** The reverse proxy in front of all instances. */
export interface Door {
  /** Sees to it that the door runs and has exactly these routes. Asks Docker, and loads a configuration only where it differs. */
  ensure(routes: readonly DoorRoute[]): Promise<void>;
  /** Sees to it that the door runs, with the routes that it had last: all that can be done while nobody says which they are. */
  ensureRunning(): Promise<void>;
  /** Calls back whenever the door has ended, until the signal; reconnects automatically, and then calls back too. */
  watch(onEnded: () => void, signal: AbortSignal): Promise<void>;
  /** Calls back with each request, those before the sidecar's start too as far as the log still has them, until the signal. */
  requests(onRequest: (request: LoggedRequest) => void, signal: AbortSignal): Promise<void>;
}

/** Whether a domain leads to this host and is its customer's. Takes some seconds at most and never throws. */
export type VerifyDomain = (
  domain: Pick<WatchedDomain, 'id' | 'name' | 'token' | 'cnames'>,
) => Promise<DomainFinding>;

/** The certificates that the door has. */
export interface Certificates {
  /** When the certificate of this name ends; null: there is none. */
  until(name: string): Promise<Date | null>;
  /** When the first certificate of any of these names ends, and which of them have none. */
  state(names: readonly string[]): Promise<CertificateState>;
}

export interface CertificateState {
  /** The name whose certificate ends first; null: none has one. */
  readonly soonest: { readonly name: string; readonly until: Date } | null;
  /** The first of those that should long have been renewed, whatever time they were given for; null: none. */
  readonly overdue: { readonly name: string; readonly until: Date } | null;
  readonly missing: readonly string[];
}

/** What the disk has too little of. */
export interface Shortage {
  readonly reason: 'NotEnoughDisk' | 'NotEnoughInodes';
  /** What is free, what is kept, and what is needed where that is known. */
  readonly detail: readonly string[];
  /** All of it, for the log. */
  readonly message: string;
}

/** The file system of dataDir, with all customers' data. */
export interface Disk {
  /** What there is too little of; null when there is enough. Costs one system call. */
  shortage(): Promise<Shortage | null>;
  /** The instances with the largest files, largest first; what takes longer than a minute is not counted. */
  largest(): Promise<ReadonlyArray<{ readonly id: number; readonly bytes: number }>>;
}

/** The current time; tests pass a clock of their own. */
export type Clock = () => Date;
