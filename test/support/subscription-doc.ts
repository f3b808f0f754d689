import { DUNNING_STAGES, REMOVAL_STAGES, type StageRule } from '../../src/billing/dunning.ts';
import { STATES } from '../../src/billing/subscription-state.ts';
import type { Terms } from '../../src/billing/subscription-types.ts';
import { TERMS } from './samples.ts';
import { renewingByItself } from './subscription-doc-cards.ts';
import { invoicesAndPeople } from './subscription-doc-invoices.ts';
import { MAILS_DOC } from './subscription-doc-mails.ts';
import { plansAndTheirEnd } from './subscription-doc-plans.ts';
import { Story } from './subscription-story.ts';

/*
 * docs/subscription.md, generated from the policy's tables and from what the policy itself decides.
 * `npx tsx test/support/write-subscription-doc.ts` writes it; a test keeps it up to date.
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

/** Other settings of a plan or a company. */
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

/** A table row: a first day, and the last paid day of each of three consecutive months. */
function monthsFrom(day: string): string {
  const story = new Story(day).settle();
  const ends = [story.subscription.endDay];
  for (let month = 0; month < 2; month++) ends.push(story.renew().subscription.endDay);
  return `| ${[day, ...ends].join(' | ')} |`;
}

/** A month from 10 January, and when its renewal is paid. */
const RENEWALS: ReadonlyArray<readonly [when: string, make: () => Story]> = [
  ['on 1 February, early', () => new Story(FIRST_DAY).settle().pass(22).renew()],
  ['on 11 February, in grace', () => new Story(FIRST_DAY).settle().pass(32).renew()],
  ['on 20 February, while it is suspended', () => new Story(FIRST_DAY).settle().pass(41).renew()],
];

/** Numbered as the findings that they answer. */
const QUESTIONS: readonly string[] = [
  '## What an accountant would ask',
  '- **1. I un-reconciled an invoice for a minute, reset it to draft, a payment bounced: what happens?** Nothing, if it is right',
  '  again within the reconsideration time: same days, no mail. Only then is it suspended. A full credit note or refund acts at once.',
  '- **2. And an instance that has no plan, or no invoice?** It never ends by itself and no renewal is asked for. A manager may write',
  '  *Paid until* by hand; then it ends on that day.',
  '- **4. Is a removed one counted as revenue?** No: `removed` is a state of its own.',
  '- **6. A customer pays after *Remove*?** Nothing comes back by itself. A person is asked at once (*restore it, or give the money',
  '  back*), and the data are kept for the whole retention after the time that was paid.',
  '- **9. Are days of grace free?** No. What is paid in grace begins where the last period ended. What is paid while the instance is',
  '  suspended begins on the day on which it is resumed.',
  '- **10. How long is a month?** From the 10th to the 9th. A subscription begun on the 31st is paid until the 27th or 28th in',
  '  February and until the 30th in March again: the day of the month on which the unbroken run began is kept.',
  '- **11. I change a plan’s term, or untick *plan*: what of open invoices?** Nothing: the months stand on the invoice line since it was',
  '  made.',
  '- **13. I credit a part?** The days go back in proportion, rounded in the customer’s favour, after the reconsideration time; of several',
  '  units, whole ones first.',
  '- **16. I change *In payment counts as paid*?** It counts from the next review, without a restart.',
  '- **18, 19. In which time zone?** The company’s: time zone and days are settings of each company, and hold for the sidecar, the',
  '  forms and the daily job alike.',
  '- **20. Are paused subscriptions invoiced ahead?** Yes, and their customers are notified of the end like all others. A new plan',
  '  makes its renewals 14 days ahead, so that the mail a week before has something to pay.',
  '- **22. Two hundred end on one day?** A person is asked once, a week ahead, and approves exactly those that the list shows.',
  '- **23. Is the customer notified of *Remove*?** Yes, at once, and once more before the data are removed.',
  '- **24. What costs nothing?** It *continues quietly* or *ends quietly*, as the plan says: no reminders, no suspension mails, no zero',
  '  invoices. The customer is always notified before data are removed. A cancellation can be undone until the last paid day; it cancels a renewal',
  '  in draft and asks a person about one that is posted.',
  '- **26. Who moved that date?** Each automatic suspension, resumption, changed end and removal of data leaves a line in the',
  '  subscription’s chatter: the sidecar, what, why.',
  '',
  'Each is a row or a test of its own in `test/unit/billing/subscription.test.ts`; `test/unit/controller/subscription.test.ts` runs them',
  'through the controller, `subscription-years.test.ts` through three years, and `TestSubscription` and `TestSubscriptionSidecar` of the',
  'addon test Odoo’s part.',
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

/** Where another setting changes a cell of the table above. */
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

/** The transitions of the table above, as a state diagram. */
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

function stageDiagram(rules: readonly StageRule[], top: string): string[] {
  const steps = rules.map(
    ({ means, stage, wait }, index) =>
      `    ${index === 0 ? `top["${top}"]` : rules[index - 1]?.stage} -->|"${wait}"| ${stage}["<b>${stage}</b><br/>${means}"]`,
  );
  return ['```mermaid', 'flowchart TD', ...steps, '```'];
}

export function subscriptionDoc(): string {
  return [
    '# The life of a subscription',
    '',
    'Generated from the code: `STATES` (`src/billing/subscription-state.ts`), `DUNNING_STAGES` (`src/billing/dunning.ts`), and what',
    '`decideSubscription` decides. Days are days in the company’s time zone; the last paid day is included.',
    '',
    '## States',
    'The state is derived from the facts at each review, never remembered. The first row that holds is the state.',
    '',
    '| state | when |',
    '| --- | --- |',
    ...STATES.map(({ state, when }) => `| \`${state}\` | ${when} |`),
    '',
    ...diagram(),
    '',
    '## Dunning: suspension, final notice, last backup, removal',
    'Each stage is entered at most once, its wait counts from the recorded moment of the stage before, and one review enters at',
    'most one stage: after a month of downtime nobody’s data are removed in one night. A payment ends the dunning.',
    '',
    ...stageDiagram(DUNNING_STAGES, 'the service has lapsed'),
    '',
    'After *Remove*:',
    '',
    ...stageDiagram(REMOVAL_STAGES, 'a person pressed Remove'),
    '',
    '## Every state and every event',
    'With 7 days of notice, 3 of grace, 30 of retention, 7 of final notice, and a plan that suspends after a refund.',
    'Each subscription has one month, paid. *Down*: the instance does not run.',
    '',
    ...table(),
    '',
    'With other settings the same, except:',
    '',
    ...differences(),
    '',
    '## Money',
    '- A paid line adds its months once.',
    `- Its money is missing (un-reconciled, reset to draft, cancelled, one of several payments bounced, a part credited): after`,
    `  ${TERMS.reconsider} hours (*reconsideration*) the line’s days are reversed, all or in proportion. All of it credited or refunded: at once.`,
    '  Nothing left: suspended without grace, reason `Refunded`.',
    '- Paid again: the same days are reinstated, and those added on which the instance was suspended because of it.',
    '- An invoice that corrects a reversed one takes over its period and adds no other.',
    '- Part of a line credited: of several units, first those whose instances people have removed, then the last ones.',
    '- The plan may *warn* (a person gets an activity) or *ignore* instead; then nothing is reversed.',
    '- Stopping by hand pauses. Paused days are not added to the last paid day, and a payment never undoes a stop.',
    '',
    '## Days',
    '| the instance begins | its first month | with another month | and another |',
    '| --- | --- | --- | --- |',
    ...['2026-01-10', '2026-01-31', '2028-01-30'].map(monthsFrom),
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
    `| notice | ${TERMS.notice} | before the last paid day, when the customer is notified of it |`,
    `| grace | ${TERMS.grace} | after the last paid day, while the instance still runs |`,
    `| retention | ${TERMS.retention} | from the suspension, or from *Remove*, until the data are removed |`,
    `| final notice | ${TERMS.finalNotice} | before the data are removed, when the customer is notified for the last time |`,
    `| reconsideration | ${TERMS.reconsider} hours | from the moment money is missing until anything is done about it |`,
    '| time zone | the company’s contact’s, else the administrator’s, else UTC | in which a day begins and ends |',
    '',
    'Only on the plan: what happens *when the payment is given back*; how many days ahead the *renewal invoice* is made (14 for a',
    'new plan; 0: when the customer or you renew), in draft or posted, and at which price; whether a plan that costs nothing *continues quietly* or *ends quietly*.',
    '',
    ...invoicesAndPeople(),
    ...renewingByItself(),
    ...plansAndTheirEnd(),
    ...MAILS_DOC,
    '## Two safeguards',
    '- **The suspension limit.** When more than 10 instances and more than a tenth of all would be suspended or removed within an',
    '  hour, the sidecar stops and asks: *MicroSaaS → Configuration → Suspension limit* lists those that wait, and *Approve* lets',
    '  these, and no other, be suspended or removed. Where so many end on one day, it is asked once, a week ahead.',
    '- **The clock guard.** Nobody is suspended, notified or removed while the clocks of Odoo and the sidecar differ by more than five',
    '  minutes, or for a day after the sidecar’s clock has jumped. Payments count all the same.',
    '',
    '## The last backup, and restore',
    'Before the data are removed, a last backup of them is taken and proven ([backups.md](backups.md)). It is never removed automatically.',
    'Its id is on the subscription. *Restore…* on it in Odoo (*Backups* of the archived instance) brings the instance back, and so does, on',
    'the sidecar’s host:',
    '',
    '```',
    'microsaas restore 7 3f2a9c01b7de --yes            # as instance 7 again',
    'microsaas restore 7 3f2a9c01b7de --yes --as 12    # as instance 12, which was created by hand and never started',
    'microsaas restore 7-20261124T101500Z              # from an archive that an earlier version has written; --as too',
    '```',
    '',
    'It is stopped afterwards: press *Start*. When its paid time is over, renew it first. A restore that was interrupted goes on by itself;',
    'with `--as`, or from an archive, the command is repeated.',
    '',
  ].join('\n');
}
