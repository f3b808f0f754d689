import { expect } from 'chai';
import { RateLimit } from '../../../src/http/limits.ts';
import { HOST, ServerSuite, signed } from './server-suite.ts';

const GATEWAY = { ...HOST, webhookOnly: true };

describe('a link to log in', () => {
  const suite = new ServerSuite(HOST, GATEWAY);
  const first = '{"instance":5,"is_first":true}';
  let count = 0;
  const send = (body: string, index = 0, id = `msg_${count++}`) =>
    suite.postTo('/invitations', body, signed(body, id), index);

  it('is made for who holds the secret, on both addresses, and is kept in no cache and no log', async () => {
    for (const index of [0, 1]) {
      const answer = await send(first, index);
      expect(answer.status).to.equal(200);
      expect(answer.headers['cache-control']).to.equal('no-store');
      expect(JSON.parse(answer.text)).to.deep.equal({
        url: 'https://5.example.com/web/reset_password?token=t',
      });
    }
    expect(suite.invitations).to.deep.equal([
      [5, true],
      [5, true],
    ]);
    expect(JSON.stringify(suite.logged)).not.to.include('token=');
  });

  it('is refused to the unsigned and the forged with 401, to the malformed with 400', async () => {
    const answers = [
      await suite.postTo('/invitations', first, {}),
      await suite.postTo('/invitations', first, signed('{"instance":6,"is_first":true}')),
      await suite.postTo('/invitations', first, signed(first, 'old', new Date(Date.now() - 6e5))),
    ];
    expect(answers.map(({ status }) => status)).to.deep.equal([401, 401, 401]);
    for (const body of ['', 'null', '{"instance":"5","is_first":true}', '{"instance":5}'])
      expect((await send(body)).status, body).to.equal(400);
    expect(suite.invitations).to.deep.equal([]);
  });

  it('is not made twice for one message', async () => {
    expect((await send(first, 0, 'once')).status).to.equal(200);
    expect((await send(first, 1, 'once')).status, 'a replay').to.equal(409);
    expect(suite.invitations).to.have.length(1);
  });

  it('says which instance there is none for, and who has logged in already', async () => {
    expect((await send('{"instance":7,"is_first":true}')).status).to.equal(404);
    suite.invited = 'used';
    expect((await send(first)).status).to.equal(410);
  });

  it('is made five times in a quarter of an hour and not more often, each instance by itself', async () => {
    const answers = [];
    for (let time = 0; time < 6; time++) answers.push((await send(first)).status);
    expect(answers).to.deep.equal([200, 200, 200, 200, 200, 429]);
    expect((await send('{"instance":7,"is_first":true}')).status).to.equal(404);
  });

  it('says 503 and never why when it cannot be made', async () => {
    suite.invited = new Error('the database of the tenant says something');
    const answer = await send(first);
    expect(answer.status).to.equal(503);
    expect(answer.text).not.to.include('tenant');
  });
});

describe('RateLimit', () => {
  it('lets so many through within the time, and forgets who has been quiet', () => {
    let now = 0;
    const limit = new RateLimit(2, 100, () => now);
    expect([limit.take('a'), limit.take('a'), limit.take('a'), limit.take('b')]).to.deep.equal([
      true,
      true,
      false,
      true,
    ]);
    now = 99;
    expect(limit.take('a')).to.equal(false);
    now = 100;
    expect(limit.take('a')).to.equal(true);
  });
});
