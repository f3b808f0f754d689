import { expect } from 'chai';
import { Activity } from '../../../src/controller/activity.ts';
import { DoorRoutes } from '../../../src/controller/door-routes.ts';
import { LoggedVisits } from '../../../src/controller/logged-visits.ts';
import type { DoorRoute, LoggedRequest } from '../../../src/interfaces.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const ROUTE: DoorRoute = {
  ...{ id: 7, subdomain: 'acme', formerSubdomains: ['old'], domains: [] },
  ports: { http: 20_001, longpolling: 25_001 },
};

describe('the visits of the door’s log', () => {
  let activity: Activity;
  let routes: DoorRoutes;
  let visits: LoggedVisits;
  let requests: Array<readonly [id: number, at: number]>;
  beforeEach(() => {
    activity = new Activity(() => new Date(NOW));
    routes = new DoorRoutes('example.com', () => {});
    requests = [];
    const useWatch = { requested: (id: number, at: number) => void requests.push([id, at]) };
    visits = new LoggedVisits(activity, routes, useWatch);
  });
  const take = (over: Partial<LoggedRequest> = {}) =>
    visits.take({ host: 'acme.example.com', path: '/odoo', status: 200, at: NOW - 1_000, ...over });
  const know = () => {
    routes.replace([ROUTE]);
    visits.routesKnown();
  };
  const last = () => activity.of(7).lastRequestAt;

  it('count for the instance that has the host, however it is written', () => {
    know();
    take({ host: 'ACME.example.com.:8443' });
    expect(last()).to.equal(NOW - 1_000);
  });

  it('of before the names are known count once they are, the latest of each host', () => {
    take({ at: NOW - 2_000 });
    take({ at: NOW - 500 });
    take({ at: NOW - 3_000 });
    take({ host: 'nobody.example.com' });
    expect(last()).to.equal(0);
    know();
    expect(last()).to.equal(NOW - 500);
  });

  it('count only once: later names are not asked for them again', () => {
    take({ host: 'later.example.com' });
    know();
    routes.replace([{ ...ROUTE, subdomain: 'later' }]);
    visits.routesKnown();
    expect(last()).to.equal(0);
  });

  for (const [what, over] of [
    ['was redirected by the door, as from a former name', { host: 'old.example.com', status: 308 }],
    ['was refused', { status: 404 }],
    ['nobody has asked for', { path: '/websocket' }],
  ] as const)
    it(`are none where a request ${what}, before the names are known and after`, () => {
      take(over);
      know();
      take(over);
      expect(last()).to.equal(0);
    });

  it('are some of the requests, of which the door’s own redirects are none', () => {
    take({ path: '/websocket' });
    know();
    take({ path: '/web/static/x.js' });
    take({ status: 404 });
    take({ host: 'nobody.example.com' });
    take({ host: 'old.example.com', status: 308 });
    expect(requests).to.deep.equal([
      [7, NOW - 1_000],
      [7, NOW - 1_000],
    ]);
  });

  it('are those of a program too that calls a former name: the instance answers it', () => {
    know();
    take({ host: 'old.example.com', path: '/xmlrpc/2/object' });
    expect(last()).to.equal(NOW - 1_000);
  });

  it('wait for no more than twenty thousand hosts: those of the longest ago are dropped', () => {
    take();
    take({ host: 'old.example.com', path: '/jsonrpc', at: NOW - 700 });
    take({ at: NOW - 900 });
    for (let host = 0; host < 19_999; host++) take({ host: `h${host}.example.org` });
    know();
    expect(last()).to.equal(NOW - 900);
  });
});
