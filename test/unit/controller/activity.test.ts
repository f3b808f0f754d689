import { expect } from 'chai';
import { Activity, isVisit } from '../../../src/controller/activity.ts';
import type { KnownInstance } from '../../../src/instance/types.ts';

const HOUR = 3_600_000;

describe('isVisit', () => {
  for (const path of [
    '/',
    '/odoo',
    '/web/login',
    '/web/dataset/call_kw',
    '/xmlrpc/2/object',
    '/websocketeer',
    '/web/binary/upload_attachment',
    '/shop',
    '',
  ])
    it(`${path || 'nothing'} is one`, () => expect(isVisit(path)).to.equal(true));
  for (const path of [
    '/websocket',
    '/websocket/peek_notifications',
    '/longpolling/poll',
    '/bus/websocket_worker_bundle',
    '/robots.txt',
    '/favicon.ico',
    '/apple-touch-icon-120x120.png',
    '/sitemap.xml',
    '/web/static/x.png',
    '/web/assets/1/a.js',
    '/web/health',
    '/web/manifest.webmanifest',
    '/web/service-worker.js',
    '/web/webclient/version_info',
    '/.well-known/security.txt',
  ])
    it(`${path} is none`, () => expect(isVisit(path)).to.equal(false));
});

describe('Activity', () => {
  let now: number;
  let activity: Activity;
  beforeEach(() => {
    now = Date.parse('2026-11-22T12:00:00Z');
    activity = new Activity(() => new Date(now));
  });
  const known = (over: Partial<KnownInstance> = {}): KnownInstance => ({
    ...{ state: 'running', reason: 'Running', revision: 3, sleepHours: 1, isAsleep: false },
    ...{ lastRequestAt: 0, wakeAt: 0 },
    ...over,
  });

  it('keeps the latest of all visits, and none from the future', () => {
    activity.visited(7, now - HOUR);
    activity.visited(7, now - 2 * HOUR);
    expect(activity.of(7).lastRequestAt).to.equal(now - HOUR);
    activity.visited(7, now + 9 * HOUR);
    expect(activity.of(7).lastRequestAt).to.equal(now);
  });

  it('finds among ten thousand who is to fall asleep or to wake', () => {
    const all = Array.from({ length: 10_000 }, (_, id): [number, KnownInstance] => [id, known()]);
    activity.replace(new Map(all));
    now += HOUR;
    for (let id = 0; id < 9_998; id++) activity.visited(id);
    activity.learn(4, known({ isAsleep: true }));
    activity.learn(5, known({ state: 'stopped', lastRequestAt: 1 }));
    expect(activity.due()).to.deep.equal([4, 9_998, 9_999]);
  });

  it('reports a last request that Odoo knows an hour too old, once', () => {
    activity.replace(
      new Map([
        [7, known({ lastRequestAt: now / 1000 })],
        [8, known()],
      ]),
    );
    now += HOUR - 1;
    activity.visited(7);
    expect(activity.unreported()).to.deep.equal([]);
    now += 1;
    activity.visited(7);
    expect(activity.unreported()).to.deep.equal([
      { id: 7, revision: 3, lastRequestAt: now / 1000 },
    ]);
    expect(activity.unreported()).to.deep.equal([]);
  });
});
