import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeMetrics } from '../../src/metrics.ts';
import { repository } from '../../stack/paths.ts';
import { alertRules, dashboardPanels, MONITORING } from '../support/monitoring-files.ts';

/** As GitHub makes an anchor of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .trim()
    .replaceAll(/\s+/g, '-');
}

describe('the alerts and the dashboard', () => {
  const exprs = () => [
    ...alertRules().map(({ alert, expr }) => [alert, expr] as const),
    ...dashboardPanels().flatMap(({ targets, title }) =>
      targets.map(({ expr }) => [title, expr] as const),
    ),
  ];

  it('ask only for metrics that there are', async () => {
    const metrics = makeMetrics(
      () => null,
      async () => ({ bytes: 1, inodes: 1, share: 1 }),
    );
    const text = await metrics.render();
    const known = new Set(Array.from(text.matchAll(/^# TYPE (\S+) /gm), ([, name = '']) => name));
    const unknown = exprs().flatMap(([where, expr]) =>
      [...expr.matchAll(/\bmicrosaas_\w+/g)]
        .map(([name]) => name.replace(/_(bucket|count|sum)$/, ''))
        .filter((name) => !known.has(name))
        .map((name) => `${where}: ${name}`),
    );
    expect(unknown).to.deep.equal([]);
  });

  it('lead each to its chapter of the runbook, and every chapter has an alert', () => {
    const runbook = readFileSync(join(repository, 'docs', 'runbook.md'), 'utf8');
    const anchors = Array.from(runbook.matchAll(/^## (.*)$/gm), ([, heading = '']) =>
      anchorOf(heading),
    );
    const links = alertRules().map(({ annotations }) => annotations.runbook_url);
    const [named, given] = [links, anchors.map((anchor) => `docs/runbook.md#${anchor}`)];
    expect([...new Set(named)]).to.have.members(given);
    for (const { alert } of alertRules()) expect(runbook).to.include(`\`${alert}\``);
  });

  it('have each a test in which it fires', () => {
    const tests = readFileSync(join(MONITORING, 'microsaas.rules.test.yml'), 'utf8');
    const untested = alertRules().filter(
      ({ alert }) => !new RegExp(`alertname(="|: )${alert}\\b`).test(tests),
    );
    expect(untested.map(({ alert }) => alert)).to.deep.equal([]);
  });
});
