import { LADDER, REMOVAL_LADDER, type RungRule } from '../../src/instance/ladder.ts';
import { STATES } from '../../src/instance/subscription-state.ts';
import type { Terms } from '../../src/instance/subscription-types.ts';
import { TERMS } from './samples.ts';
import { MAILS_DOC } from './subscription-doc-mails.ts';
import { Story } from './subscription-story.ts';

/*
 * docs/subscription.md, made from the tables of the policy and from what the policy itself answers.
 * `node --import tsx test/support/write-subscription-doc.ts` writes it; a test keeps it fresh.
 */

const FIRST_DAY = '2026-01-10';

export const SITUATIONS: ReadonlyArray<
  readonly [name: string, make: (terms?: Partial<Terms>) => Story]
> = [
  ['draft', (terms) => new Story(FIRST_DAY, terms)],
  ['active', (terms) => new Story(FIRST_DAY, terms).settle()],
  ['expiring_soon', (terms) => new Story(FIRST_DAY, terms).settle().pass(26)],
  ['expiring_soon, in grace', (terms) => new Story(FIRST_DAY, terms).settle().pass(33)],
  ['expired', (terms) => new Story(FIRST_DAY, terms).settle().pass(40)],
  ['paused', (terms) => new Story(FIRST_DAY, terms).settle().press('stopped')],
  ['cancelled', (terms) => new Story(FIRST_DAY, terms).settle().cancel()],
  ['cancelled, time over', (terms) => new Story(FIRST_DAY, terms).settle().cancel().pass(35)],
];

export const EVENTS: ReadonlyArray<readonly [name: string, happen: (story: Story) => Story]> = [
  ['renewal paid', (story) => story.renew()],
  ['first sale refunded', (story) => story.refund(31)],
  ['refunded, paid again', (story) => story.refund(31).payAgain(31)],
  ['Stop', (story) => story.press('stopped')],
  ['Start', (story) => story.press('running')],
  ['Remove', (story) => story.press('removed')],
  ['Cancel', (story) => story.cancel()],
  ['40 days pass', (story) => story.pass(40)],
  ['100 days pass', (story) => story.pass(100)],
];

/** What a plan or the settings may say otherwise. */
export const SETTINGS: ReadonlyArray<readonly [name: string, terms: Partial<Terms>]> = [
  ['a plan that warns after a refund', { refund: 'warn' }],
  ['a plan that ignores a refund', { refund: 'ignore' }],
  ['no grace', { grace: 0 }],
  ['no notice', { notice: 0 }],
  ['60 days of grace', { grace: 60 }],
  ['data kept for a year', { retention: 365 }],
];

function outcome(story: Story): string {
  const { dataRemovedAt, state } = story.subscription;
  if (dataRemovedAt) return `${state}, data removed`;
  return `${state}, ${story.runs ? 'runs' : 'down'}`;
}

/** Every state and every event, with the default terms. */
function table(): string[] {
  const head = ['', ...EVENTS.map(([name]) => name)];
  const rows = SITUATIONS.map(([name, make]) => [
    `**${name}**`,
    ...EVENTS.map(([, happen]) => outcome(happen(make()))),
  ]);
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

/** Where a setting leads somewhere else than the table above. */
function differences(): string[] {
  const rows = SETTINGS.flatMap(([setting, terms]) =>
    SITUATIONS.flatMap(([situation, make]) =>
      EVENTS.flatMap(([event, happen]) => {
        const usual = outcome(happen(make()));
        const other = outcome(happen(make(terms)));
        return other === usual ? [] : [[setting, situation, event, other, usual]];
      }),
    ),
  );
  const head = ['setting', 'state', 'event', 'then', 'instead of'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

/** Which states follow each other in the table above, as a diagram. */
function diagram(): string[] {
  const edges = new Map<string, Set<string>>();
  for (const [, make] of SITUATIONS)
    for (const [name, happen] of EVENTS) {
      const from = make().subscription.state;
      const to = happen(make()).subscription.state;
      if (from === to || name.startsWith('100')) continue;
      const edge = `${from} --> ${to}`;
      edges.set(edge, (edges.get(edge) ?? new Set()).add(name));
    }
  const lines = [...edges].map(([edge, names]) => `    ${edge}: ${[...names].join(', ')}`);
  return ['```mermaid', 'stateDiagram-v2', '    [*] --> draft', ...lines, '```'];
}

function ladder(rules: readonly RungRule[], top: string): string[] {
  const steps = rules.map(
    ({ means, rung, wait }, index) =>
      `    ${index === 0 ? `top["${top}"]` : rules[index - 1]?.rung} -->|"${wait}"| ${rung}["<b>${rung}</b><br/>${means}"]`,
  );
  return ['```mermaid', 'flowchart TD', ...steps, '```'];
}

export function subscriptionDoc(): string {
  return [
    '# The life of a subscription',
    '',
    'Made from the code: `STATES` (`src/instance/subscription-state.ts`), `LADDER` (`src/instance/ladder.ts`), and what',
    '`decideSubscription` answers. Days are days in the company’s time zone; the last paid day counts.',
    '',
    '## States',
    'The state is read from the facts at each look, never remembered. The first line that holds is the state.',
    '',
    '| state | when |',
    '| --- | --- |',
    ...STATES.map(({ state, when }) => `| \`${state}\` | ${when} |`),
    '',
    ...diagram(),
    '',
    '## The way down',
    'Each rung is taken at most once and counts from the recorded moment of the one before, one look takes at most one',
    'rung: after a month of downtime nobody’s data is gone in one night. A payment ends the way down.',
    '',
    ...ladder(LADDER, 'the service has lapsed'),
    '',
    'After *Remove*:',
    '',
    ...ladder(REMOVAL_LADDER, 'a person pressed Remove'),
    '',
    '## Every state and every event',
    'With 7 days of notice, 3 of grace, 30 of retention, 7 of final notice, and a plan that suspends after a refund.',
    'Each subscription has one month, paid.',
    '',
    ...table(),
    '',
    'With other settings the same, but for:',
    '',
    ...differences(),
    '',
    '## Money',
    '- A paid line adds its months once, from the later of today and the last paid day.',
    '- Its money goes back: the line’s days are taken away at once. Nothing left: suspended without grace, reason `Refunded`.',
    '- Paid again: the same days come back, and those on which the instance was down because of it.',
    '- An invoice that corrects a reversed one takes its place: the same period, not another one.',
    '- Part of a line credited: of several units, those whose instances people have removed, then the last ones.',
    '- The plan may *warn* (a person gets an activity) or *ignore* instead; then nothing is taken away.',
    '- Stopping by hand pauses. Paused days are not added to the last paid day, and a payment never undoes a stop.',
    '',
    '## Settings',
    'In *Settings → MicroSaaS*, in days; a plan with *Own days* ticked has its own.',
    '',
    '| setting | default | what it is |',
    '| --- | --- | --- |',
    `| notice | ${TERMS.notice} | before the last paid day, when the customer is told that it comes |`,
    `| grace | ${TERMS.grace} | after the last paid day, while the instance still runs |`,
    `| retention | ${TERMS.retention} | from the suspension, or from *Remove*, until the data go |`,
    `| final notice | ${TERMS.finalNotice} | before the data go, when the customer is told for the last time |`,
    '',
    'Only on the plan: what happens *when the payment is given back*, and how many days ahead the *renewal invoice* is issued',
    '(0: by hand, with *Renew*).',
    '',
    ...MAILS_DOC,
    '## Two safeguards',
    '- **The brake.** When more than 10 instances and more than a tenth of all would go down within an hour, the sidecar stops and',
    '  asks: *MicroSaaS → Configuration → Brake*, *Go on*.',
    '- **The clock.** Nobody is suspended, warned or removed while Odoo and the sidecar differ by more than five minutes, or for a',
    '  day after the sidecar’s clock has jumped. Payments count all the same.',
    '',
    '## Archives, and back',
    'The last copy lies in `<dataDir>/archives/<instance>-<time>/`: `database.dump` (pg_dump), `files.tar` (filestore,',
    'configuration, secrets) and `manifest.json` (checksums). It is removed by nobody: keep it elsewhere, delete it when you may.',
    'The name stands on the subscription. On the sidecar’s host:',
    '',
    '```',
    'microsaas restore 7-20261124T101500Z            # as instance 7 again',
    'microsaas restore 7-20261124T101500Z --as 12    # as instance 12, which was created by hand and never started',
    '```',
    '',
    'It is stopped then: press *Start*. When its paid time is over, renew it first. Data are never written over, and a restore that',
    'was cut off may be run again.',
    '',
  ].join('\n');
}
