/**
 * Why an instance or a plan is as it is: one word each, sent to Odoo with a *detail*. The sentences that people read are in the
 * addon alone, `models/reason_sentences.py`, one for each word below; test/unit/reasons.test.ts compares the two.
 */

/** What is said while a step is under way. */
export const PROGRESS_REASONS = [
  'Marking',
  'AssigningPorts',
  'FetchingRepositories',
  'Rendering',
  'StartingDatabase',
  'PreparingTemplate',
  'CreatingDatabase',
  'HandingOver',
  'WaitingForMemory',
  'Starting',
  'WaitingForAnswer',
  'Restarting',
  'UpdatingApps',
  'ApplyingLimits',
  'Stopping',
  'TakingDown',
  'Archiving',
  'BackingUp',
  'Proving',
  'Erasing',
  'FetchingBackup',
  'RestoringDatabase',
  'Neutralising',
  'SwappingData',
  'ReadingBackup',
  'WritingExport',
  'Rehearsing',
  'Updating',
  'Purging',
] as const;
export type ProgressReason = (typeof PROGRESS_REASONS)[number];

const PROGRESS: ReadonlySet<string> = new Set(PROGRESS_REASONS);

/** Whether a reason is said while a step is under way: where no step is, the sidecar ended in the middle of one. */
export function isProgress(reason: string): boolean {
  return PROGRESS.has(reason);
}

/** What is said once nothing is left to do. */
export const SETTLED_REASONS = [
  'Running',
  'Asleep',
  'Stopped',
  'Removed',
  'Purged',
  'Expired',
  'Refunded',
  'Cancelled',
  'NothingReplaced',
] as const;
export type SettledReason = (typeof SETTLED_REASONS)[number];

/** What is said of something that could not be used or done, while all the rest was. */
export const REMARK_REASONS = ['SubmodulesLeftOut', 'PackagesMissing', 'AppsListFailed'] as const;
export interface Remark {
  readonly reason: (typeof REMARK_REASONS)[number];
  readonly detail: string;
}

/** Why a step failed. The class of the error says whether a retry can help. */
export const FAILURE_REASONS = [
  'ArchiveDamaged',
  'ArchiveNameInvalid',
  'ArchiveServerDown',
  'ArchiveUnreadable',
  'BackupDamaged',
  'BackupFailed',
  'BackupForeign',
  'BackupGone',
  'BackupKeyWrong',
  'BackupLocked',
  'BackupOdooNewer',
  'BackupServerAway',
  'BackupServerFull',
  'BackupServerKeeps',
  'BackupServerRefused',
  'BackupTooLarge',
  'BackupTooSlow',
  'BranchMissing',
  'CommitInvalid',
  'CommitMissing',
  'CopyNotClosed',
  'CrashLoop',
  'DatabaseBusy',
  'DatabaseExists',
  'DatabaseMissing',
  'DatabaseNotInitialised',
  'DockerFailed',
  'DockerRefused',
  'DockerUnavailable',
  'EndedWhileStarting',
  'ExportsFull',
  'FilesMissing',
  'ForeignData',
  'HostReplaced',
  'ImageGone',
  'ImageMissing',
  'ManagerOutOfReach',
  'ModuleNameInvalid',
  'ModulesFailed',
  'ModulesInterrupted',
  'ModulesMissing',
  'NeutraliseFailed',
  'NoFreePorts',
  'NotAnswering',
  'NotConverging',
  'NotEnoughDisk',
  'NotEnoughInodes',
  'NotEnoughMemory',
  'NothingToUndo',
  'NothingToUpdate',
  'PortTaken',
  'PostgresUnavailable',
  'ProofBoot',
  'ProofDatabase',
  'ProofFileDamaged',
  'ProofFileMissing',
  'ProofRows',
  'RemovalBlocked',
  'RepositoryAddressInvalid',
  'RepositoryDamaged',
  'RepositoryEmpty',
  'RepositoryForbidden',
  'RepositoryLinksOut',
  'RepositoryModuleUnnamed',
  'RepositoryMoved',
  'RepositoryOnlySubmodules',
  'RepositoryPrivateHost',
  'RepositoryTooLarge',
  'RepositoryUnreachable',
  'RepositoryWithPassword',
  'RepositoryWithoutModules',
  'ServerNotPrepared',
  'StartFailed',
  'StillHasData',
  'TemplateBreaksPolicy',
  'TemplateInvalid',
  'TenantDatabase',
  'Unexpected',
  'UnknownTemplate',
  'UpdateFailed',
] as const;
export type FailureReason = (typeof FAILURE_REASONS)[number];

/** Every reason that is written on an instance; '' for a draft. */
export type Reason = ProgressReason | SettledReason | Remark['reason'] | FailureReason | '';

/** What a reason is about, as it is sent: values in the order in which the sentence has them, a line each. */
export function detailOf(...values: ReadonlyArray<string | number>): string {
  return values.map((value) => String(value).replace(/\s*[\r\n]+\s*/g, ' ')).join('\n');
}
