import { expect } from 'chai';
import { daysBetween } from '../../../src/billing/days.ts';
import { noticeKey } from '../../../src/billing/subscription-types.ts';
import { EVENTS, SETTINGS, SITUATIONS } from '../../support/subscription-doc.ts';

/** What each of them leads to stands in docs/subscription.md; this is what must hold wherever they lead. */
describe('Every state, event and setting', () => {
  for (const [setting, terms] of [['the usual settings', {}] as const, ...SETTINGS])
    for (const [situation, make] of SITUATIONS)
      it(`${situation}, with ${setting}`, () => {
        for (const [event, happen] of EVENTS) {
          const story = happen(make(terms));
          const { dataRemovedAt, endDay, reason, startDay, suspendedAt, state } =
            story.subscription;
          const { grace } = story.subscription.terms;
          if (story.runs && startDay)
            expect(daysBetween(endDay, story.today), `${event}: days unpaid`).to.be.at.most(grace);
          if (suspendedAt && !dataRemovedAt && story.desiredState !== 'removed')
            expect(reason, `${event}: why it is suspended`).not.to.equal('');
          if (story.desiredState === 'stopped') expect(story.runs, event).to.equal(false);
          if (dataRemovedAt) expect(story.archives, `${event}: archives`).to.equal(1);
          const sent = story.sent.map(noticeKey);
          expect(new Set(sent).size, `${event}: each notice once`).to.equal(sent.length);
          expect(story.review(), `${event}: ${state}, and nothing more to do`).to.equal(false);
        }
      });
});
