import { z } from 'zod';
import type { BackupFacts } from '../instance/backup-policy.ts';
import type { Kept } from '../instance/backup-retention.ts';
import type { Job } from '../instance/types.ts';
import type { Backup } from '../interfaces.ts';
import { id } from './odoo-values.ts';

/** Moments are seconds since 1970, 0 for none. */
export const backupFactsRow = z.object({
  last_backup_at: z.number(),
  last_proof_at: z.number(),
  last_failure_at: z.number(),
  has_job: z.boolean(),
});

export function backupFactsOf(
  row: z.infer<typeof backupFactsRow>,
): BackupFacts & { readonly hasJob: boolean } {
  return {
    lastBackupAt: row.last_backup_at,
    lastProofAt: row.last_proof_at,
    lastFailureAt: row.last_failure_at,
    hasJob: row.has_job,
  };
}

/** What a person wants done with backups. */
export const job = z
  .object({
    id,
    identity: z.uuid(),
    kind: z.enum([
      ...['backup', 'prove', 'restore', 'undo_restore', 'export', 'update', 'undo_update', 'erase'],
    ] as const),
    snapshot: z.string().regex(/^([0-9a-f]{64})?$/),
    asked_by: z.string().optional(),
  })
  .transform(({ asked_by: askedBy, ...rest }): Job => (askedBy ? { ...rest, askedBy } : rest));

/** A backup as Odoo writes it down. */
export function backupRow({
  bytes,
  date,
  isByHand: _isByHand,
  ending: _ending,
  leftOut: _leftOut,
  proofDate,
  ...rest
}: Backup & { readonly kept: Kept }) {
  return { ...rest, date, size: bytes, proof_date: proofDate ?? false };
}

/** How far a job is, in words for an operator. */
export const jobProgress = z.object({
  state: z.enum(['waiting', 'running', 'done', 'failed']),
  message: z.string(),
  percent: z.int(),
});
export type JobProgress = z.infer<typeof jobProgress>;
