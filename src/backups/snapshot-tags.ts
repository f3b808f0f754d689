import { isProven } from '../instance/backup-retention.ts';
import { FAILURE_REASONS, type FailureReason } from '../instance/reasons.ts';
import type { Backup } from '../interfaces.ts';
import type { ResticSnapshot } from '../restic/restic.ts';

/** On a snapshot that is a backup. */
export const DATA_TAG = 'data';

/** On a backup that counts only once another snapshot says that it is whole. Those of earlier versions have it not. */
const TO_CONFIRM_TAG = 'to-confirm';

/** On that other snapshot; `of:` is followed by the backup's id. */
const WHOLE_TAG = 'whole';

/** On one that a person has asked for. */
const BY_HAND_TAG = 'by-hand';

/** The tags of a backup's snapshot. */
export function dataTags(isByHand: boolean): string[] {
  return [DATA_TAG, TO_CONFIRM_TAG, ...(isByHand ? [BY_HAND_TAG] : [])];
}

/** The tags of the snapshot that says of a backup that it is whole. */
export function wholeTags(snapshot: string): string[] {
  return [WHOLE_TAG, `${OF}${snapshot}`];
}

/** On the last one before an instance's data are removed. */
const END_TAG = 'end';

/** On that one: which end it is of, as endingOf() says, and how many files and folders are not in it. */
const ENDING = 'ending:';
const LEFT_OUT = 'left-out:';

/** The tags of the last backup before an instance's data are removed, beside those of any. */
export function endTags(ending: string, leftOut: number): string[] {
  return [END_TAG, `${ENDING}${ending}`, `${LEFT_OUT}${leftOut}`];
}

/** On a snapshot that says what became of restoring another one; `of:` is followed by that one's id. */
const PROOF_TAG = 'proof';
const OF = 'of:';

/** On a proof for which Odoo was started too. */
const BOOT_TAG = 'boot';

/** On a snapshot that says which host works for the install: followed by its id. */
const HOST = 'on:';

export function hostTag(host: string): string {
  return `${HOST}${host}`;
}

/** The host that a snapshot names; '' where it names none. */
export function hostOf(snapshot: ResticSnapshot): string {
  return valueAfter(snapshot, HOST);
}

/**
 * The snapshot by which a host said last that it works for the install. A backup names its host too, but takes nothing over: it may be of
 * one that was replaced while it was made. Only where no host has ever said so, the newest backup counts.
 * @param snapshots oldest first
 */
export function claimIn(snapshots: readonly ResticSnapshot[]): ResticSnapshot | undefined {
  const naming = snapshots.filter((one) => hostOf(one) !== '');
  return naming.findLast(({ tags }) => !tags.includes(DATA_TAG)) ?? naming.at(-1);
}

/** Whether a backup names a host that another one had replaced before it was made: it is of what nobody worked with any more. */
function isOfReplacedHost(backup: ResticSnapshot, snapshots: readonly ResticSnapshot[]): boolean {
  const host = hostOf(backup);
  if (host === '') return false;
  const before = snapshots.filter(
    ({ tags, time }) => !tags.includes(DATA_TAG) && time <= backup.time,
  );
  const claim = claimIn(before);
  return claim !== undefined && hostOf(claim) !== host;
}

/** Why a proof failed; the detail in base64, for a tag holds no comma. */
const REASON = 'reason:';
const DETAIL = 'detail:';

/** The backup that a snapshot says something of, that it is whole or what its proof was; '' where it does not. */
export function subjectOf(snapshot: ResticSnapshot): string {
  return valueAfter(snapshot, OF);
}

/** What came of a proof: the backup is whole, Odoo has even started with it, or why it is not. */
export type ProofResult =
  | 'data'
  | 'boot'
  | { readonly reason: FailureReason; readonly detail: string };

/** The tags of a proof's snapshot. */
export function proofTags(snapshot: string, result: ProofResult): string[] {
  const tags = [PROOF_TAG, `${OF}${snapshot}`];
  if (result === 'data') return tags;
  if (result === 'boot') return [...tags, BOOT_TAG];
  const failure = result;
  const detail = Buffer.from(failure.detail).toString('base64url');
  return [...tags, `${REASON}${failure.reason}`, `${DETAIL}${detail}`];
}

/**
 * The backups in a repository, oldest first, each with the last proof of it. What may be less than a whole one is none, and what a host
 * made that was replaced by then.
 */
export function backupsIn(snapshots: readonly ResticSnapshot[]): Backup[] {
  const proofs = new Map<string, ResticSnapshot>();
  const whole = new Set<string>();
  for (const snapshot of snapshots) {
    const of = subjectOf(snapshot);
    if (snapshot.tags.includes(PROOF_TAG) && of) proofs.set(of, snapshot);
    if (snapshot.tags.includes(WHOLE_TAG)) whole.add(of);
  }
  const counts = ({ id, tags }: ResticSnapshot) =>
    !tags.includes(TO_CONFIRM_TAG) || whole.has(id) || isProven(proofOf(proofs.get(id)));
  return snapshots
    .filter(
      (one) => one.tags.includes(DATA_TAG) && counts(one) && !isOfReplacedHost(one, snapshots),
    )
    .map((snapshot) => ({
      ...{ snapshot: snapshot.id, date: snapshot.time, bytes: snapshot.bytes },
      isByHand: snapshot.tags.includes(BY_HAND_TAG),
      ...endOf(snapshot),
      ...proofOf(proofs.get(snapshot.id)),
    }));
}

function endOf(snapshot: ResticSnapshot): Pick<Backup, 'ending' | 'leftOut'> {
  if (!snapshot.tags.includes(END_TAG)) return {};
  const leftOut = Number(valueAfter(snapshot, LEFT_OUT));
  return { ending: valueAfter(snapshot, ENDING), leftOut };
}

function proofOf(
  proof: ResticSnapshot | undefined,
): Pick<Backup, 'proof' | 'proofDate' | 'reason' | 'detail'> {
  if (!proof) return { proof: 'none', proofDate: null, reason: '', detail: '' };
  const failed = valueAfter(proof, REASON);
  const reason = FAILURE_REASONS.find((one) => one === failed) ?? '';
  const detail = Buffer.from(valueAfter(proof, DETAIL), 'base64url').toString();
  const passed = proof.tags.includes(BOOT_TAG) ? 'boot' : 'data';
  return { proof: failed ? 'failed' : passed, proofDate: proof.time, reason, detail };
}

/** What follows the beginning of one of its tags; '' where none begins so. */
function valueAfter({ tags }: ResticSnapshot, beginning: string): string {
  const tag = tags.find((one) => one.startsWith(beginning));
  return tag?.slice(beginning.length) ?? '';
}
