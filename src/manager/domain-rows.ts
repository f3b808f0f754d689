import { z } from 'zod';
import type { DomainReport, WatchedDomain } from '../instance/domain.ts';
import { id, moment } from './odoo-values.ts';

/* The shapes that the addon's methods give and take for customers' own domains. */

export const watchedDomains = z.array(
  z
    .object({
      id,
      instance_id: id,
      name: z.string(),
      token: z.string(),
      cnames: z.array(z.string()),
      state: z.enum(['pending', 'verified', 'failed']),
      failing_since: z.union([z.literal(false), moment]).optional(),
    })
    .transform(
      (row): WatchedDomain => ({
        id: row.id,
        instanceId: row.instance_id,
        name: row.name,
        token: row.token,
        cnames: row.cnames,
        state: row.state,
        failingSince: row.failing_since || null,
      }),
    ),
);

/** What was found out, as `microsaas_report_domain` takes it: no reason is ''. */
export function domainReportRow({ state, fault, proof, certificateUntil }: DomainReport) {
  return {
    state,
    proof: proof ?? '',
    reason: fault?.reason ?? '',
    detail: fault?.detail ?? '',
    certificate_until: certificateUntil,
  };
}
