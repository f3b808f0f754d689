import { expect } from 'chai';
import fc from 'fast-check';
import { z } from 'zod';
import { ConfigError } from '../../../../src/errors.ts';
import type { RpcName } from '../../../../src/manager/rpc/odoo-client.ts';
import { errorOf, MODEL, OdooSuite, RPCS } from '../every-rpc.ts';

describe('OdooClient', () => {
  const suite = new OdooSuite();

  for (const rpc of RPCS) {
    describe(`over ${rpc}`, () => {
      it('sends named arguments and gives back what Odoo answers', async () => {
        const answer = [
          { id: 1, name: 'Ñandú <&> ]]>', cpus: 0.5, ratio: 1e-7, ok: false, tags: [] },
        ];
        suite.odoo.answer = () => answer;
        const args = { limit: 5, names: ['a'], deep: { yes: true } };
        expect(await suite.client(rpc).call(MODEL, 'm', args, z.unknown())).to.deep.equal(answer);
        expect(suite.odoo.calls).to.deep.equal([
          { rpc, model: MODEL, method: 'm', ids: undefined, args },
        ]);
      });

      it('sends the ids of a record method', async () => {
        await suite.client(rpc).call(MODEL, 'm', {}, z.unknown(), { ids: [3, 4] });
        expect(suite.odoo.calls[0]).to.deep.include({ ids: [3, 4], args: {} });
      });

      it('sends false for null, nothing for undefined, and dates in UTC', async () => {
        const at = new Date('2026-11-22T23:59:58.999+02:00');
        await suite
          .client(rpc)
          .call(MODEL, 'm', { a: null, b: undefined, c: [null], at }, z.unknown());
        expect(suite.odoo.calls[0]?.args).to.deep.equal({
          a: false,
          c: [false],
          at: '2026-11-22 21:59:58',
        });
      });

      it('leaves the given arguments as they were', async () => {
        const args = Object.freeze({ units: Object.freeze([Object.freeze({ line_id: 1 })]) });
        const odooClient = suite.client(rpc);
        for (let i = 0; i < 2; i++) await odooClient.call(MODEL, 'm', args, z.unknown());
        expect(suite.odoo.calls[1]?.args).to.deep.equal({ units: [{ line_id: 1 }] });
      });

      it('carries any text without letting it become syntax', async () => {
        const odooClient = suite.client(rpc);
        const hostile = [
          ']]>',
          '<![CDATA[',
          '</string>',
          '&amp;',
          '\u0000',
          '\ud800',
          '\r\n',
          '😀',
        ];
        const piece = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...hostile));
        const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
        const cleaned = (dirty: string) => {
          const clean = dirty.replace(/(?![\t\n])\p{Cc}|\p{Cs}|[\ufffe\uffff]/gu, '');
          return rpc === 'xmlrpc' ? clean.replaceAll(']]>', ']] >') : clean;
        };
        await fc.assert(
          fc.asyncProperty(fc.array(text, { maxLength: 10 }), async (texts) => {
            await odooClient.call(MODEL, 'm', { texts, after: 1 }, z.unknown());
            expect(suite.odoo.calls.at(-1)?.args).to.deep.equal({
              texts: texts.map(cleaned),
              after: 1,
            });
          }),
          { numRuns: 20 },
        );
      }).timeout(20_000);

      it('keeps a path prefix', async () => {
        await suite.call(rpc, { url: `${suite.odoo.url}/erp` });
        expect(suite.odoo.paths.every((path) => path.startsWith('/erp/'))).to.equal(true);
        expect(suite.odoo.calls).to.have.length(1);
      });

      it('keeps its connections open', async () => {
        const odooClient = suite.client(rpc);
        for (let i = 0; i < 10; i++) await odooClient.call(MODEL, 'm', {}, z.unknown());
        // fetch takes a second one, since the first is not free at once when an answer has been read.
        expect(await suite.odoo.connections).to.be.at.most(2);
      });
    });
  }

  for (const rpc of ['jsonrpc', 'xmlrpc'] as const) {
    it(`asks for the user id once over ${rpc}, and again when Odoo denies it`, async () => {
      const odooClient = suite.client(rpc);
      const due = () => odooClient.call(MODEL, 'microsaas_due', {}, z.unknown());
      await due();
      await due();
      expect(suite.odoo.logins).to.equal(1);
      suite.odoo.uid = 8;
      await due();
      expect([suite.odoo.logins, suite.odoo.calls.length]).to.deep.equal([2, 3]);
    });
  }

  describe('with rpc auto', () => {
    const cases: ReadonlyArray<readonly [string | null, RpcName]> = [
      ['19.0', 'json2'],
      ['20.0', 'json2'],
      [null, 'jsonrpc'],
    ];
    for (const [version, rpc] of cases) {
      it(`takes ${rpc} when Odoo says ${version} at /web/version`, async () => {
        suite.odoo.version = version;
        const odooClient = suite.client('auto');
        for (let i = 0; i < 2; i++) await odooClient.call(MODEL, 'm', {}, z.unknown());
        expect(suite.odoo.calls.map((received) => received.rpc)).to.deep.equal([rpc, rpc]);
        expect(suite.odoo.paths.filter((path) => path === '/web/version')).to.have.length(1);
      });
    }

    it('decides nothing while a gateway answers for an Odoo that is down', async () => {
      const odooClient = suite.client('auto');
      const due = () => odooClient.call(MODEL, 'm', {}, z.unknown());
      suite.odoo.instead = (_req, res) => res.writeHead(502).end('<html></html>');
      expect((await errorOf(due())).kind).to.equal('transport');
      expect(suite.records[0]).to.include({ rpc: 'auto', outcome: 'transport' });
      suite.odoo.instead = null;
      await due();
      expect(suite.odoo.calls[0]?.rpc).to.equal('json2');
    });
  });

  it('refuses a URL it could not use, without repeating a password in it', () => {
    for (const url of ['odoo', 'ftp://odoo', 'http://me:s3cret@odoo', 'http://odoo/?db=x']) {
      expect(() => suite.client('auto', { url }), url)
        .to.throw(ConfigError, 'manager.url')
        .with.property('message')
        .not.contain('s3cret');
    }
  });

  it('refuses to send a number that Odoo has no word for', async () => {
    const sent = await suite
      .client('json2')
      .call(MODEL, 'm', { seconds: Number.NaN }, z.unknown())
      .catch((error: unknown) => error);
    expect(sent).to.be.instanceOf(TypeError);
  });
});
