import { FAILURE_REASONS, type FailureReason } from '../instance/reasons.ts';
import type { Backup } from '../interfaces.ts';
import type { ResticSnapshot } from '../restic/restic.ts';

/** On a snapshot that is a backup. */
export const DATA_TAG = 'data';

/** On one that a person has asked for. */
export const BY_HAND_TAG = 'by-hand';

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

/** Why a proof failed; the detail in base64, for a tag holds no comma. */
const REASON = 'reason:';
const DETAIL = 'detail:';

/** The backup of which a snapshot is the proof; '' where it is none. */
export function provenBackup(snapshot: ResticSnapshot): string {
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

/** The backups in a repository, oldest first, each with the last proof of it. */
export function backupsIn(snapshots: readonly ResticSnapshot[]): Backup[] {
  const proofs = new Map<string, ResticSnapshot>();
  for (const snapshot of snapshots) {
    const of = provenBackup(snapshot);
    if (snapshot.tags.includes(PROOF_TAG) && of) proofs.set(of, snapshot);
  }
  return snapshots
    .filter(({ tags }) => tags.includes(DATA_TAG))
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
