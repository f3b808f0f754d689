import { expect } from 'chai';
import { loggedRequest } from '../../../src/door/access-log.ts';

const LINE = {
  level: 'info',
  ts: 1795348100.25,
  logger: 'http.log.access.door',
  request: {
    client_ip: '203.0.113.5',
    method: 'GET',
    host: 'acme.example.com',
    uri: '/odoo?debug=1',
  },
  status: 200,
};

describe('loggedRequest', () => {
  it('says who was visited when, without the query', () =>
    expect(loggedRequest(JSON.stringify(LINE))).to.deep.equal({
      host: 'acme.example.com',
      path: '/odoo',
      status: 200,
      at: 1795348100250,
    }));

  it('passes over what is no request', () => {
    for (const line of ['', '{', '[]', 'null', '{"ts":1}', JSON.stringify({ ...LINE, ts: 'now' })])
      expect(loggedRequest(line), line).to.equal(null);
  });
});
