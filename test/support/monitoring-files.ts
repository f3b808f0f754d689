import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { repository } from '../../stack/paths.ts';

export const MONITORING = join(repository, 'deploy', 'monitoring');

const rulesSchema = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({
          alert: z.string(),
          expr: z.string(),
          annotations: z.object({
            summary: z.string(),
            description: z.string(),
            runbook_url: z.string(),
          }),
        }),
      ),
    }),
  ),
});

const dashboardSchema = z.object({
  panels: z.array(
    z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })) }),
  ),
});

/** The alerts that operators get. */
export function alertRules() {
  const text = readFileSync(join(MONITORING, 'microsaas.rules.yml'), 'utf8');
  return rulesSchema.parse(parse(text)).groups.flatMap(({ rules }) => rules);
}

/** The panels of the dashboard. */
export function dashboardPanels() {
  const text = readFileSync(join(MONITORING, 'grafana-dashboard.json'), 'utf8');
  return dashboardSchema.parse(JSON.parse(text)).panels;
}
