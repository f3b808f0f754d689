import { expect } from 'chai';
import { errorsIn } from '../../../src/door/error-log.ts';

/** As Caddy 2.11 writes them. */
const REFUSED = {
  ...{ level: 'error', ts: 1795747051.5, logger: 'admin.api', msg: 'request error' },
  error: 'loading config: http app module: start: listening on :80: bind: address already in use',
};
const NOT_ISSUED = {
  ...{ level: 'error', ts: 1795747052.25, logger: 'tls.obtain' },
  ...{ msg: 'could not get certificate from issuer', identifier: 'acme.host.example' },
  ...{ issuer: 'acme-v02.api.letsencrypt.org-directory', error: 'HTTP 429 too many' },
};
const { identifier: _, ...AGAIN } = { ...NOT_ISSUED, msg: 'will retry' };
const REQUEST = { ...REFUSED, logger: 'http.log.error', error: 'dial tcp: connection refused' };

describe('the errors that the door has logged', () => {
  it('are those about configurations and certificates, in their order', () => {
    const log = [REFUSED, AGAIN, REQUEST, { ...REFUSED, level: 'warn' }, NOT_ISSUED];
    expect(errorsIn(log.map((it) => JSON.stringify(it)).join('\n'))).to.deep.equal([
      { name: '', message: REFUSED.error, at: 1795747051_500 },
      { name: 'acme.host.example', message: 'HTTP 429 too many', at: 1795747052_250 },
    ]);
  });

  it('are also that with which it ended while it started', () => {
    const said = `loading initial config: ${REFUSED.error}`;
    expect(errorsIn(`Error: ${said}\n`)).to.deep.equal([{ name: '', message: said, at: 0 }]);
  });

  for (const text of ['', 'Error: ', '{', 'null', '{"level":"error"}', '[1]'])
    it(`are none in ${JSON.stringify(text)}`, () => expect(errorsIn(text)).to.deep.equal([]));
});
