import { LADDER, REMOVAL_LADDER, type RungRule } from '../../src/instance/ladder.ts';
import { STATES } from '../../src/instance/subscription-state.ts';
import type { Terms } from '../../src/instance/subscription-types.ts';
import { TERMS } from './samples.ts';
import { invoicesAndPeople } from './subscription-doc-invoices.ts';
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
  ['payment un-reconciled', (story) => story.money({ paymentState: 'not_paid' }, 31)],
  ['un-reconciled for two days', (story) => story.money({ paymentState: 'not_paid' }, 31).pass(2)],
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
  ['a free plan that continues', { free: 'continue' }],
  ['a free plan that ends', { free: 'end' }],
  ['no reconsideration', { reconsider: 0 }],
];

/** Until when each of three months is paid that begin on a day and follow each other. */
function calendar(day: string): string {
  const story = new Story(day).settle();
  const ends = [story.subscription.endDay];
  for (let month = 0; month < 2; month++) ends.push(story.renew().subscription.endDay);
  return `| ${[day, ...ends].join(' | ')} |`;
}

/** A month from 10 January, and when the next is paid. */
const RENEWALS: ReadonlyArray<readonly [when: string, make: () => Story]> = [
  ['on 1 February, early', () => new Story(FIRST_DAY).settle().pass(22).renew()],
  ['on 11 February, in grace', () => new Story(FIRST_DAY).settle().pass(32).renew()],
  ['on 20 February, when it is down', () => new Story(FIRST_DAY).settle().pass(41).renew()],
];

/** The numbers are those of the findings that these answer. */
const QUESTIONS: readonly string[] = [
  '## What an accountant would ask',
  '- **1. I un-reconciled an invoice for a minute, reset it to draft, a payment bounced: what happens?** Nothing, if it is right',
  '  again within the reconsideration time: same days, no mail. Only then is it suspended. A full credit note or refund acts at once.',
  '- **2. And an instance that has no plan, or no invoice?** It never ends by itself and no renewal is asked for. A manager may write',
  '  *Paid until* by hand; then it ends on that day.',
  '- **4. Is a removed one counted as revenue?** No: `removed` is a state of its own.',
  '- **6. A customer pays after *Remove*?** Nothing comes back by itself. A person is asked at once (*restore it, or give the money',
  '  back*), and the data are kept for the whole retention after the time that was paid.',
  '- **9. Are days of grace free?** No. What is paid in grace begins where the last period ended. What is paid when the instance was',
  '  down begins on the day on which it comes back.',
  '- **10. How long is a month?** From the 10th to the 9th. Who begins on the 31st is paid until the 27th or 28th in February and until',
  '  the 30th in March again: the day on which the unbroken run began is kept.',
  '- **11. I change a plan’s term, or untick *plan*: what of open invoices?** Nothing: the months stand on the invoice line since it was',
  '  made.',
  '- **13. I credit a part?** The days go back in proportion, rounded in the customer’s favour, after the reconsideration time; of several',
  '  units, whole ones first.',
  '- **16. I change *In payment counts as paid*?** It counts from the next look, without a restart.',
  '- **18, 19. Whose day is it?** The company’s: its own time zone and its own days, in the settings of each company, for the sidecar,',
  '  the forms and the daily job alike.',
  '- **20. Are paused subscriptions invoiced ahead?** Yes, and their customers are told of the end like all others. A new plan makes its',
  '  renewals 14 days ahead, so that the mail a week before has something to pay.',
  '- **22. Two hundred end on one day?** A person is asked once, a week ahead, and lets exactly those go down that the list shows.',
  '- **23. Is the customer told of *Remove*?** Yes, at once, and once more before the data go.',
  '- **24. What costs nothing?** It *continues quietly* or *ends quietly*, as the plan says: no reminders, no suspension mails, no zero',
  '  invoices. The customer is always told before data go. A cancellation can be undone until the last paid day; it cancels a renewal',
  '  in draft and asks a person about one that is posted.',
  '- **26. Who moved that date?** Each automatic suspension, return, changed end and removal of data leaves a line in the subscription’s',
  '  chatter: the sidecar, what, why.',
  '',
  'Each is a row or a test of its own in `test/unit/instance/subscription.test.ts`, is carried out in',
  '`test/unit/controller/subscription.test.ts`, and lives through three years in `subscription-years.test.ts`; what Odoo does of it is in',
  '`TestSubscription` and `TestSubscriptionSidecar` of the addon.',
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
  const cases = SITUATIONS.flatMap(([situation, make]) =>
    EVENTS.map(([event, happen]) => {
      const lead = (terms?: Partial<Terms>) => outcome(happen(make(terms)));
      return { situation, event, lead, usual: lead() };
    }),
  );
  const rows = SETTINGS.flatMap(([setting, terms]) =>
    cases.flatMap(({ event, lead, situation, usual }) => {
      const other = lead(terms);
      return other === usual ? [] : [[setting, situation, event, other, usual]];
    }),
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
    '- A paid line adds its months once.',
    `- Its money is missing (un-reconciled, reset to draft, cancelled, one of several payments bounced, a part credited): after`,
    `  ${TERMS.reconsider} hours (*reconsideration*) the line’s days are taken away, all or in proportion. All of it credited or sent back: at once.`,
    '  Nothing left: suspended without grace, reason `Refunded`.',
    '- Paid again: the same days come back, and those on which the instance was down because of it.',
    '- An invoice that corrects a reversed one takes its place: the same period, not another one.',
    '- Part of a line credited: of several units, those whose instances people have removed, then the last ones.',
    '- The plan may *warn* (a person gets an activity) or *ignore* instead; then nothing is taken away.',
    '- Stopping by hand pauses. Paused days are not added to the last paid day, and a payment never undoes a stop.',
    '',
    '## Days',
    '| the instance begins | its first month | with another month | and another |',
    '| --- | --- | --- | --- |',
    ...['2026-01-10', '2026-01-31', '2028-01-30'].map(calendar),
    '',
    '| the renewal is paid | paid until 9 February, then until |',
    '| --- | --- |',
    ...RENEWALS.map(([when, make]) => `| ${when} | ${make().subscription.endDay} |`),
    '',
    ...QUESTIONS,
    '',
    '## Settings',
    'In *Settings → MicroSaaS*, for each company; a plan with *Own days* ticked has its own.',
    '',
    '| setting | default | what it is |',
    '| --- | --- | --- |',
    `| notice | ${TERMS.notice} | before the last paid day, when the customer is told that it comes |`,
    `| grace | ${TERMS.grace} | after the last paid day, while the instance still runs |`,
    `| retention | ${TERMS.retention} | from the suspension, or from *Remove*, until the data go |`,
    `| final notice | ${TERMS.finalNotice} | before the data go, when the customer is told for the last time |`,
    `| reconsideration | ${TERMS.reconsider} hours | from the moment money is missing until anything is done about it |`,
    '| time zone | the company’s contact’s, else the administrator’s, else UTC | in which a day begins and ends |',
    '',
    'Only on the plan: what happens *when the payment is given back*; how many days ahead the *renewal invoice* is made (14 for a',
    'new plan; 0: when the customer or you renew), in draft or posted, and at which price; whether a plan that costs nothing *continues quietly* or *ends quietly*.',
    '',
    ...invoicesAndPeople(),
    ...MAILS_DOC,
    '## Two safeguards',
    '- **The suspension limit.** When more than 10 instances and more than a tenth of all would be suspended or removed within an',
    '  hour, the sidecar stops and asks: *MicroSaaS → Configuration → Suspension limit* lists those that wait, and *Approve* lets',
    '  these, and no other, be suspended or removed. Where so many end on one day, it is asked once, a week ahead.',
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
