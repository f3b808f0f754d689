import { LADDER, REMOVAL_LADDER, type RungRule } from '../../src/instance/ladder.ts';
import { STATES } from '../../src/instance/subscription-state.ts';
import { Story } from './subscription-story.ts';

/*
 * docs/subscription.md, made from the tables of the policy and from what the policy itself answers.
 * `node --import tsx test/support/write-subscription-doc.ts` writes it; a test keeps it fresh.
 */

const SITUATIONS: ReadonlyArray<readonly [name: string, make: () => Story]> = [
  ['draft', () => new Story()],
  ['active', () => new Story().settle()],
  ['expiring_soon', () => new Story().settle().pass(26)],
  ['expiring_soon, in grace', () => new Story().settle().pass(33)],
  ['expired', () => new Story().settle().pass(40)],
  ['paused', () => new Story().settle().press('stopped')],
  ['cancelled', () => new Story().settle().cancel()],
  ['cancelled, time over', () => new Story().settle().cancel().pass(35)],
];

const EVENTS: ReadonlyArray<readonly [name: string, happen: (story: Story) => Story]> = [
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
    '## Money',
    '- A paid line adds its months once, from the later of today and the last paid day.',
    '- Its money goes back: the line’s days are taken away at once. Nothing left: suspended without grace, reason `Refunded`.',
    '- Paid again: the same days come back, and those on which the instance was down because of it.',
    '- An invoice that corrects a reversed one takes its place: the same period, not another one.',
    '- Part of a line credited: of several units, those whose instances people have removed, then the last ones.',
    '- The plan may *warn* (a person gets an activity) or *ignore* instead; then nothing is taken away.',
    '- Stopping by hand pauses. Paused days are not added to the last paid day, and a payment never undoes a stop.',
    '',
  ].join('\n');
}
