import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { ConfigError } from '../../../src/errors.ts';
import { RecentlySeen } from '../../../src/http/limits.ts';
import { makeVerify } from '../../../src/http/signature.ts';

const KEY = Buffer.alloc(24, 7);
const SECRET = `whsec_${KEY.toString('base64')}`;
const BODY = Buffer.from('{"model":"account.move","ids":[1]}');
const seconds = (offset = 0) => String(Math.floor(Date.now() / 1000) + offset);

/** Headers signed as the addon signs them, by node:crypto. */
function signed(body: Buffer, change: { id?: string; timestamp?: string; key?: Buffer } = {}) {
  const { id = 'msg_1', timestamp = seconds(), key = KEY } = change;
  const hmac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body);
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${hmac.digest('base64')}`,
  };
}

describe('makeVerify', () => {
  const verify = makeVerify(SECRET);

  it('gives the id of what was signed with the secret', () => {
    expect(verify(BODY, signed(BODY))).to.equal('msg_1');
    expect(verify(Buffer.alloc(0), signed(Buffer.alloc(0)))).to.equal('msg_1');
  });

  it('takes one good signature among several, as while a secret is changed', () => {
    const headers = signed(BODY);
    const both = `v1,AAAA v2,whatever ${headers['webhook-signature']}`;
    expect(verify(BODY, { ...headers, 'webhook-signature': both })).to.equal('msg_1');
  });

  it('refuses a body, an id or a time other than what was signed', () => {
    const headers = signed(BODY);
    expect(verify(Buffer.from(`${BODY} `), headers)).to.equal(null);
    expect(verify(BODY, { ...headers, 'webhook-id': 'msg_2' })).to.equal(null);
    expect(verify(BODY, { ...headers, 'webhook-timestamp': seconds(-1) })).to.equal(null);
    expect(verify(BODY, signed(BODY, { key: Buffer.alloc(24, 8) }))).to.equal(null);
  });

  it('refuses what is over five minutes old or ahead', () => {
    expect(verify(BODY, signed(BODY, { timestamp: seconds(-290) }))).to.equal('msg_1');
    expect(verify(BODY, signed(BODY, { timestamp: seconds(-310) }))).to.equal(null);
    expect(verify(BODY, signed(BODY, { timestamp: seconds(310) }))).to.equal(null);
  });

  it('refuses headers that are missing, too long or no plain number', () => {
    const headers = signed(BODY);
    for (const name of Object.keys(headers)) {
      expect(verify(BODY, { ...headers, [name]: undefined }), name).to.equal(null);
      expect(verify(BODY, { ...headers, [name]: '' }), name).to.equal(null);
    }
    expect(verify(BODY, signed(BODY, { id: 'x'.repeat(300) }))).to.equal(null);
    const long = `${headers['webhook-signature']} ${'v1,AAAA '.repeat(600)}`;
    expect(verify(BODY, { ...headers, 'webhook-signature': long })).to.equal(null);
    for (const timestamp of [`${seconds()}junk`, ` ${seconds()}`, '-1', '1e9', '0x10', 'NaN']) {
      expect(verify(BODY, { ...signed(BODY), 'webhook-timestamp': timestamp })).to.equal(null);
    }
  });

  it('believes no headers that somebody without the secret makes up, and throws at none', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('v1', 'v1,', 'v1,,', ' ', 'msg_1', seconds()),
    );
    const headers = fc.record(
      { 'webhook-id': text, 'webhook-timestamp': text, 'webhook-signature': text },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        headers,
        fc.uint8Array(),
        (made, body) => verify(Buffer.from(body), made) === null,
      ),
    );
  });

  it('wants a secret of at least 24 bytes, and never repeats it', () => {
    const short = Buffer.alloc(23, 7).toString('base64');
    for (const secret of [
      '',
      'whsec_',
      `whsec_${short}`,
      'whsec_AA==',
      'not base64, but long enough!',
    ]) {
      expect(() => makeVerify(secret), secret).to.throw(ConfigError, 'at least 24 bytes');
    }
    expect(() => makeVerify(`whsec_${short}`)).not.to.throw(short);
  });
});

describe('RecentlySeen', () => {
  it('knows a key for its time only', () => {
    let now = 0;
    const seen = new RecentlySeen(10, 100, () => now);
    expect([seen.firstTime('a'), seen.firstTime('a')]).to.deep.equal([true, false]);
    now = 99;
    expect(seen.firstTime('a')).to.equal(false);
    now = 100;
    expect(seen.firstTime('a')).to.equal(true);
  });

  it('forgets the oldest when there are too many', () => {
    const seen = new RecentlySeen(2, 1_000);
    for (const key of ['a', 'b', 'c']) seen.firstTime(key);
    expect(['b', 'c', 'a'].map((key) => seen.firstTime(key))).to.deep.equal([false, false, true]);
  });
});
