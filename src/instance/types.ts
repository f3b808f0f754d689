import type { Subscription, SubscriptionChange } from '../billing/subscription-types.ts';
import type { BackupFacts } from './backup-policy.ts';
import type { Drift } from './drift.ts';
import type { FailureReason, Reason } from './reasons.ts';

/** What may be put on the work queue: which thing to reconcile, never what happened to it. `clones`: the clone pool is to be refilled; `spares`: the spare instances are to be looked at; `door`: names or ports have changed; `job`: a person waits for something with an instance's backups. */
export type Key =
  | `backup:${number}`
  | 'backup:manager'
  | `invoice:${number}`
  | `instance:${number}`
  | `job:${number}`
  | `plan:${number}`
  | 'clones'
  | 'spares'
  | 'door'
  | 'domains';

export type InstanceState = 'draft' | 'running' | 'stopped' | 'error' | 'removed';
export type DesiredState = 'draft' | 'running' | 'stopped' | 'removed';
/** What is to be reached: the desired state, unless the subscription suspends or purges the instance, or nobody uses it. */
export type EffectiveState = DesiredState | 'asleep' | 'suspended' | 'purged';

/** The two TCP ports of an instance on the host. */
export interface PortPair {
  readonly http: number;
  readonly longpolling: number;
}

/** A git repository of addons. `branch` names a branch, a tag or a commit, '' the default branch; `commit` is '' until it is fetched. */
export interface Repository {
  readonly id: number;
  readonly url: string;
  readonly branch: string;
  readonly commit: string;
  /** The plan brings it: the template database is made with it. */
  readonly isOfPlan: boolean;
}

/** What of a repository decides which modules there are. */
export type RepositoryCommit = Pick<Repository, 'url' | 'commit'>;

export interface Customer {
  /** The person who ordered: the administrator's name. */
  readonly name: string;
  /** The company's name; for a private person, theirs. */
  readonly companyName: string;
  /** One address in lower case, or ''. */
  readonly email: string;
  /** An Odoo language code such as `es_ES`. */
  readonly lang: string;
  /** ISO 3166 alpha-2, or ''. */
  readonly countryCode: string;
}

/** Which unit of which invoice line an instance was sold as. */
export interface SoldAs {
  readonly lineId: number;
  readonly unit: number;
  /** When the line was made, to the microsecond: after a restore another line may have the number, never this moment too. */
  readonly madeAt: string;
}

/** What Odoo knows of an instance's sleep (ADR 14). Moments are seconds since the epoch; 0: none. */
export interface Sleep {
  /** After how many hours without a visitor it is put to sleep; 0: never. */
  readonly sleepHours: number;
  /** As last reported. Written before it is stopped, and after it answers again. */
  readonly isAsleep: boolean;
  /** As last reported: may be an hour old. */
  readonly lastRequestAt: number;
  /** When its own scheduled work is due, as last reported: it sleeps until then at most. */
  readonly wakeAt: number;
}

/** What Odoo believes of an instance: enough for a sweep. */
export interface KnownInstance extends Sleep {
  readonly state: InstanceState;
  /** Of the last report, one word; '' before the first. */
  readonly reason: string;
  readonly revision: number;
}

/** The same, with what is known of its backups. */
export interface SweptInstance extends KnownInstance, BackupFacts {
  /** A person waits for a backup, or for what is made of one. */
  readonly hasJob: boolean;
  /** A staging copy, which is nobody's: it is not backed up. */
  readonly isCopy: boolean;
}

/** From which backup of which instance a staging copy is made. */
export interface CopyOf {
  readonly id: number;
  readonly identity: string;
  readonly snapshot: string;
}

/** What a person wants done with an instance's backups, until it is done. */
export interface Job {
  readonly id: number;
  /** A UUID that Odoo made with it. What is on disk names a job by it: numbers come again after a restore of the manager. */
  readonly identity: string;
  readonly kind:
    | 'backup'
    | 'prove'
    | 'restore'
    | 'undo_restore'
    | 'export'
    | 'update'
    | 'undo_update'
    | 'erase';
  /** The backup that it is about; '' where it is about none. */
  readonly snapshot: string;
  /** Who has asked for it: their name and login, where that is to be written down. */
  readonly askedBy?: string;
}

/** How far a job is, and what came of it. */
export interface JobReport {
  readonly state: 'running' | 'done' | 'failed';
  readonly reason: Reason;
  readonly detail: string;
  /** 0 … 100. */
  readonly percent: number;
}

/** For how many people a plan is. */
export interface UserLimit {
  /** Internal users that are not archived, the administrator among them. */
  readonly users: number;
  /** What whoever adds one more reads, in their company's language. */
  readonly refusal: string;
}

/** What the manager says one instance should be. */
export interface DesiredInstance extends Sleep {
  readonly id: number;
  /** A UUID that Odoo made with the row. Data belong to an instance only if their mark says so: numbers may come again. */
  readonly identity: string;
  /** Its data were made before there were marks: what has none may be given the instance's. */
  readonly mayAdopt: boolean;
  /** Null when a person made it by hand. */
  readonly soldAs: SoldAs | null;
  /** A label for people. Never part of a name, a path, an argument or a file's syntax. */
  readonly name: string;
  /** What Odoo shows now: the sidecar's own last report. */
  readonly state: InstanceState;
  /** Of the last report, one word; '' before the first. */
  readonly reason: string;
  readonly desiredState: DesiredState;
  /** Grows with every write of a person to a desired field. */
  readonly revision: number;
  readonly restartCount: number;
  /** It has answered once, so its data exists: a missing database is then an alarm, not a reason to make a new one. */
  readonly wasReady: boolean;
  /** A person has said that its data may go though no archive of them can be written. */
  readonly endsWithoutArchive: boolean;
  readonly ports: PortPair | null;
  readonly instanceUrl: string;
  /** Its host name's label below the door's domain: unique, lower case. '' where Odoo has given none. */
  readonly subdomain: string;
  /** Labels that it had before and that nobody else gets for a while: they redirect to it. */
  readonly formerSubdomains: readonly string[];
  /** The customer's own domains, in the customer's order. */
  readonly domains: readonly CustomerDomain[];
  readonly templateCode: string;
  /** The image that it runs, whatever its template's tag is by now (ADR 16): a digest or an image id; '' until it was reported. */
  readonly imageDigest: string;
  /** 0 means the template's own default. */
  readonly memoryMb: number;
  readonly cpus: number;
  /** Null: its plan has as many users as one likes. */
  readonly userLimit: UserLimit | null;
  /** Its plan's, by their technical names. */
  readonly modules: readonly string[];
  /** Of all modules that its plan ever had, those that it was given, removed by now or not (ADR 16); null: nobody has noted them. */
  readonly givenModules: readonly string[] | null;
  readonly repositories: readonly Repository[];
  readonly customer: Customer;
  /** The customer's own number in Odoo, the same for all of a company's contacts; 0 without one. */
  readonly partnerId: number;
  /** So long its customer lets support log in, in seconds since the epoch; 0: nobody is let in (ADR 21). */
  readonly supportUntil: number;
  /** Seconds since the epoch: when the payment was reconciled, or *Start* pressed on the manual path. */
  readonly requestedAt: number;
  readonly subscription: Subscription | null;
  /** Null: it is no staging copy. */
  readonly copyOf: CopyOf | null;
  /** Null: nobody waits for one. */
  readonly job: Job | null;
  /**
   * `kept`: nobody's yet, kept started until it is sold (ADR 17). `sold`: it was, and what was made for nobody is handed over to its
   * customer. `no`: it was made for who has it.
   */
  readonly spare: 'no' | 'kept' | 'sold';
  /** Of a spare alone: in each of them it can be sold, Odoo language codes. */
  readonly languages?: readonly string[];
  readonly companyTimeZone: string;
  /** Whether an invoice whose payment the bank has not confirmed yet counts as paid. */
  readonly inPaymentIsPaid: boolean;
  /** What the manager's clock said when it answered. */
  readonly managerTime: Date;
}

/** An instance that is kept started before it is sold (ADR 17). */
export interface Spare extends DesiredInstance {
  /** Of the plan that it is sold as; 0: the plan is gone. */
  readonly planId: number;
  readonly languages: readonly string[];
  readonly spareState: 'making' | 'ready' | 'leaving';
  /** False: it is old, or not what its plan would be made as by now. Nobody gets it any more. */
  readonly isFresh: boolean;
}

/** What is reported of a spare. */
export type SpareReport = 'ready' | 'leaving' | 'gone';

/** A domain of the customer's own at which the instance is to answer. */
export interface CustomerDomain {
  readonly id: number;
  /** In lower case, in ASCII. */
  readonly name: string;
  /** It led here when it was last looked at, or did so until some days ago. */
  readonly isVerified: boolean;
  /** The door has a certificate for it. Without one it is no https address: it is ordered once the domain is verified, and may be refused. */
  readonly hasCertificate: boolean;
  /** What the door answers under that name alone: proves that the name leads to this host. */
  readonly token: string;
}

/** Whose something is, by its mark. `unmarked`: it is there and has none. */
export type Owner = 'nobody' | 'own' | 'unmarked' | 'foreign';

/** What there is of one instance, as observed. */
export interface ObservedInstance {
  /** Whose the directory of this number is. */
  readonly directory: Owner;
  /** Whose the containers of this number are. */
  readonly containerOwner: Owner;
  /** Whether every repository of the instance has its checkout on disk. */
  readonly checkouts: 'missing' | 'current';
  /** The files its containers are made from, compared with the desired state. Different limits alone do not make a running instance stale. */
  readonly files: 'absent' | 'stale' | 'current';
  /** What is made once and never again: its secrets, and the files that Odoo keeps beside its database. */
  readonly data: 'absent' | 'partial' | 'whole';
  /**
   * `offline`: the instance's own Postgres is not up, so nobody can tell. `unmarked`, `foreign`: one of its name is there, and
   * has no mark, or another instance's.
   */
  readonly database: 'offline' | 'absent' | 'ready' | 'unmarked' | 'foreign';
  /** `outdated`: up, but made from older files. `paused`: one of them is frozen (`docker pause`). */
  readonly containers: 'none' | 'stopped' | 'paused' | 'partial' | 'outdated' | 'running';
  /** Its database has its customer's identity: that of a spare that was sold may not have it yet. */
  readonly isHandedOver: boolean;
  /** `/web/login` answered 200 just now. */
  readonly answering: boolean;
  /** It ran, has been silent for minutes, and a restart has not been tried lately. */
  readonly hung: boolean;
  /** The identity of the job whose data wait to be put in the place of the instance's; '': none do. */
  readonly preparedJob: string;
  /** Whether the Apps of the customer's Odoo list the modules of all repositories in use. */
  readonly appsList: 'stale' | 'current';
  /** `other`: it runs and answers with other limits than its plan gives now, and Docker can change them while it runs. */
  readonly limits: 'current' | 'other';
}

/** The steps that can be taken. Each may be repeated, and its outcome shows in the next observation. */
export type Action =
  | 'adopt'
  | 'assignPorts'
  | 'fetchRepositories'
  | 'render'
  | 'startDatabase'
  | 'createDatabase'
  | 'handOver'
  | 'start'
  | 'awaitAnswer'
  | 'restart'
  | 'updateAppsList'
  | 'applyLimits'
  | 'stop'
  | 'swapData'
  | 'removeContainers'
  | 'purge';

type StallReason = Extract<FailureReason, 'DatabaseMissing' | 'FilesMissing' | 'ForeignData'>;

/** What to do next and why; `stall` means that only a person can help. */
export type Step =
  | { readonly do: Action; readonly because: string }
  | { readonly stall: StallReason; readonly because: string; readonly detail?: string };

/**
 * A line of an instance's log: English text, or a reason whose sentence the addon writes there. `at`: `YYYY-MM-DD HH:MM:SS`, UTC;
 * `because`: why the sidecar does what nobody has asked for.
 */
export type LogLine =
  | string
  | {
      readonly at: string;
      readonly reason: Reason;
      readonly detail: string;
      readonly because?: Drift;
    };

/** What is written back to Odoo about one instance. Only the given keys are written. */
export interface Report {
  readonly id: number;
  /** The revision this report is about; an older one never postpones the next review. */
  readonly revision: number;
  readonly state?: InstanceState;
  readonly reason?: Reason;
  readonly detail?: string;
  readonly ports?: PortPair;
  readonly instanceUrl?: string;
  /** New log lines, oldest first, each with its time. */
  readonly log?: readonly LogLine[];
  /** When to reconcile it again without being asked; null: only when something changes. */
  readonly nextReview?: Date | null;
  readonly secondsToReady?: number;
  readonly commits?: readonly FetchedCommit[];
  readonly imageDigest?: string;
  readonly givenModules?: readonly string[] | undefined;
  readonly subscription?: SubscriptionChange;
  readonly active?: boolean;
  /** All that it has is marked now. */
  readonly adopted?: true;
  /** See Sleep; moments are seconds since the epoch. */
  readonly isAsleep?: boolean;
  readonly lastRequestAt?: number;
  readonly wakeAt?: number;
}

/** What is on the host of one instance, as its mark says: enough for Odoo to have its record again. */
export interface MarkedInstance {
  readonly id: number;
  readonly identity: string;
  readonly name: string;
  readonly templateCode: string;
  /** '' in a mark that is older than the door. */
  readonly subdomain: string;
  readonly ports: PortPair | null;
  readonly restartCount: number;
  readonly repositories: ReadonlyArray<Omit<Repository, 'id'>>;
  readonly soldAs: SoldAs | null;
  /** A staging copy, or a spare: nobody's, so it gets no record again. By default it is neither. */
  readonly isCopy?: boolean;
  readonly isSpare?: boolean;
}

/** An instance on the host that the manager does not know; '' for what is not known of it. */
export interface FoundInstance {
  readonly id: number;
  readonly name: string;
  readonly url: string;
}

/** A commit that was fetched for a repository. */
export interface FetchedCommit {
  readonly id: number;
  readonly commit: string;
}

/** The versions that an instance runs (ADR 16). */
export interface Pins {
  readonly imageDigest: string;
  readonly commits: readonly FetchedCommit[];
  /** Undefined: those that Odoo has. */
  readonly givenModules?: readonly string[] | undefined;
}

/** What is written back to Odoo about one plan. */
export interface PlanReport {
  /** Of the plan that this is about: a plan that was edited meanwhile is prepared again. */
  readonly content: string;
  /** Whether all that its instances are made from is there. */
  readonly isReady: boolean;
  /** Why it is not; or `Remarks`: it is, and each line of the detail is a remark on a repository. '': nothing is to be said. */
  readonly reason: FailureReason | 'Remarks' | '';
  readonly detail: string;
  readonly commits: readonly FetchedCommit[];
}

/** A kind of instance: one folder under `templates/`. */
export interface TemplateSummary {
  readonly code: string;
  readonly name: string;
  readonly odooVersion: string;
  /** The image that new instances get: its pin, as in DesiredInstance, and its others; none while it is not on this machine. */
  readonly imagePins: readonly string[];
}

/** What a plan's instances are cloned from: one template database for each of the languages. */
export interface Plan {
  /** The product template's id. */
  readonly id: number;
  readonly templateCode: string;
  /** Tells one version of the plan from another. */
  readonly content: string;
  readonly modules: readonly string[];
  readonly repositories: readonly Repository[];
  /** Odoo language codes that customers of the manager may have. */
  readonly languages: readonly string[];
  readonly countryCode: string;
  /** How many started instances are to be kept ready, and how many were sold lately: who sells more comes first. */
  readonly spares: number;
  readonly recentSales: number;
  /** Tells one version of what a spare is made of from another. */
  readonly spareContent: string;
}
