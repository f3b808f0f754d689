import { expect } from 'chai';
import { z } from 'zod';
import type { ManagerErrorKind } from '../../../../src/errors.ts';
import { OdooManager } from '../../../../src/manager/manager.ts';
import { PythonError } from '../../../fakes/odoo-http.ts';
import { errorOf, MODEL, OdooSuite, RPCS } from '../every-rpc.ts';
import { INSTANCE_ROW } from '../sample-rows.ts';

describe('OdooClient, when calls go wrong', () => {
  const suite = new OdooSuite();

  for (const rpc of RPCS) {
    describe(`over ${rpc}`, () => {
      const refusals: ReadonlyArray<readonly [string, string, ManagerErrorKind]> = [
        ['odoo.exceptions.AccessDenied', 'Access Denied', 'auth'],
        ['odoo.exceptions.AccessError', 'You are not allowed to read this', 'access'],
        ['odoo.exceptions.MissingError', 'Record does not exist or has been deleted.', 'missing'],
        ['odoo.exceptions.UserError', 'This invoice is not paid', 'validation'],
        ['odoo.exceptions.ValidationError', 'Port 20001 is taken', 'validation'],
        ['odoo.exceptions.LockError', 'Cannot grab a lock on records', 'conflict'],
        ['psycopg2.errors.SerializationFailure', 'could not serialize access', 'conflict'],
        ['builtins.ValueError', 'Invalid field x', 'server'],
      ];
      for (const [python, message, kind] of refusals) {
        it(`calls ${python} ${kind}`, async () => {
          suite.odoo.answer = () => {
            throw new PythonError(python, message);
          };
          const error = await errorOf(suite.call(rpc));
          expect(error.kind).to.equal(kind);
          expect(error.message).to.equal(`${MODEL}.microsaas_due: ${message}`);
          expect(error.retryable).to.equal(['conflict', 'server'].includes(kind));
          expect(suite.records).to.have.length(1);
          expect(suite.records[0]).to.include({ rpc, model: MODEL, outcome: kind });
        });
      }

      it('calls a method that Odoo does not have missing', async () => {
        const message = `The method '${MODEL}.microsaas_due' does not exist`;
        suite.odoo.answer = () => {
          const name = rpc === 'json2' ? 'werkzeug.exceptions.NotFound' : 'builtins.AttributeError';
          throw new PythonError(name, message);
        };
        expect((await errorOf(suite.call(rpc))).kind).to.equal('missing');
      });

      it('calls a wrong key auth and never repeats it in the error', async () => {
        const error = await errorOf(suite.call(rpc, { apiKey: 'wrong-key-1234567890' }));
        expect(error.kind).to.equal('auth');
        expect(error.retryable).to.equal(false);
        expect(`${error.message} ${error.stack}`).not.to.contain('wrong-key');
      });

      it('calls None, and any shape it does not know, server', async () => {
        suite.odoo.answer = () => null;
        const rows = z.array(z.int());
        const due = () => suite.client(rpc).call(MODEL, 'microsaas_due', { limit: 5 }, rows);
        expect((await errorOf(due())).kind).to.equal('server');
        suite.odoo.answer = () => [1, 'two'];
        const error = await errorOf(due());
        expect(error.kind).to.equal('server');
        expect(error.message).to.contain('[1]');
      });

      const gateways: ReadonlyArray<readonly [number, ManagerErrorKind]> = [
        [200, 'transport'],
        [401, 'auth'],
        [403, 'access'],
        [404, 'missing'],
        [409, 'conflict'],
        [413, 'validation'],
        [422, 'validation'],
        [429, 'transport'],
        [500, 'server'],
        [502, 'transport'],
        [503, 'transport'],
      ];
      for (const [status, kind] of gateways) {
        it(`calls an HTML page with status ${status} ${kind}`, async () => {
          suite.odoo.instead = (_req, res) =>
            res
              .writeHead(status, { 'content-type': 'text/html' })
              .end('<html><title>No</title></html>');
          expect((await errorOf(suite.call(rpc))).kind).to.equal(kind);
        });
      }

      it('calls a number that is not finite server: Odoo is there, and the row is at fault', async () => {
        for (const number of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          suite.odoo.answer = () => [{ id: 1, name: 'is not NaN', requested_at: number }];
          const manager = new OdooManager(suite.client(rpc));
          const error = await errorOf(manager.desired([1]));
          expect(error.kind, `${number}`).to.equal('server');
        }
      });

      it('tells of a row that is not finite only who asked for it', async () => {
        suite.odoo.answer = ({ args }) =>
          (args['instance_ids'] as number[]).map((id) => ({
            ...INSTANCE_ROW,
            id,
            requested_at: id === 2 ? Number.NaN : 1,
          }));
        const manager = new OdooManager(suite.client(rpc));
        const all = await Promise.allSettled([1, 2, 3].map((id) => manager.desired([id])));
        expect(all.map(({ status }) => status)).to.deep.equal([
          'fulfilled',
          'rejected',
          'fulfilled',
        ]);
      });

      it('follows no redirect', async () => {
        suite.odoo.instead = (_req, res) =>
          res.writeHead(301, { location: 'https://elsewhere.example/x' }).end('moved');
        const error = await errorOf(suite.call(rpc));
        expect(error.kind).to.equal('missing');
        expect(error.message).to.contain('https://elsewhere.example/x');
        expect(suite.odoo.paths).to.have.length(1);
      });

      it('calls a reset, a cut answer and a dead port transport', async () => {
        suite.odoo.instead = (req) => req.socket.destroy();
        expect((await errorOf(suite.call(rpc))).kind).to.equal('transport');
        suite.odoo.instead = (req, res) => {
          res.writeHead(200, { 'content-length': '1000' });
          res.write(
            rpc === 'xmlrpc' ? '<?xml version="1.0"?><methodResponse>' : '{"jsonrpc":',
            () => req.socket.destroy(),
          );
        };
        expect((await errorOf(suite.call(rpc))).kind).to.equal('transport');
        suite.odoo.instead = (_req, res) =>
          res.end(rpc === 'xmlrpc' ? '<methodResponse><params>' : '{"a":');
        expect((await errorOf(suite.call(rpc))).kind).to.equal('transport');
        expect((await errorOf(suite.call(rpc, { url: 'http://127.0.0.1:1' }))).kind).to.equal(
          'transport',
        );
      });

      for (const [when, answerHalf] of [
        ['from the start', false],
        ['in the middle of the answer', true],
      ] as const) {
        it(`gives up on silence ${when} and lets the connection go`, async () => {
          const closed = new Promise((resolve) => {
            suite.odoo.instead = (req, res) => {
              req.socket.once('close', resolve);
              if (answerHalf) res.writeHead(200).write(rpc === 'xmlrpc' ? '<methodResponse>' : '[');
            };
          });
          const args = { limit: 5 };
          const due = suite.client(rpc).call(MODEL, 'microsaas_due', args, z.unknown(), {
            timeoutMs: 80,
          });
          const error = await errorOf(due);
          expect(error.kind).to.equal('transport');
          expect(error.message).to.contain('no answer within 80 ms');
          await closed;
        });
      }
    });
  }
});
