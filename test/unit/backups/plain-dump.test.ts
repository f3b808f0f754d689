import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import { ForOlderPostgres } from '../../../src/backups/plain-dump.ts';

const KEY = 'aDq6bN8XkN3bFZ0iVxjCv8uSsvbqSyyWDaRZqL1o9XxPqk5WbyO2VhhZy3Wd7cR';

const HEAD = `--
-- PostgreSQL database dump
--

\\restrict ${KEY}

-- Dumped from database version 17.6
-- Dumped by pg_dump version 17.6

SET statement_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SET row_security = off;

`;

const BODY = `--
-- Name: its(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.its() RETURNS text LANGUAGE sql AS $$
SET transaction_timeout = 0;
\\restrict mine
\\unrestrict mine
$$;
COPY public.note (text) FROM stdin;
a\\tb é
\\.

`;

const END = `--
-- PostgreSQL database dump complete
--

`;

/** What comes out when it goes in by pieces of so many bytes. */
async function filtered(text: string | Buffer, piece = 65_536): Promise<string> {
  const all = Buffer.from(text as string);
  const pieces = Array.from({ length: Math.ceil(all.length / piece) }, (_, n) =>
    all.subarray(n * piece, (n + 1) * piece),
  );
  return (await buffer(Readable.from(pieces).pipe(new ForOlderPostgres()))).toString('utf8');
}

describe('a dump as SQL, for older programs', () => {
  const lines = (text: string) =>
    text
      .split('\n')
      .filter((line) => !/^\\(un)?restrict aDq|^SET transaction_timeout/.test(line))
      .join('\n');

  it('lacks what psql and Postgres before 17 do not know, and nothing of a tenant’s that looks alike', async () => {
    const whole = `${HEAD}${BODY}${END}\\unrestrict ${KEY}\n\n`;
    for (const piece of [1, 7, 64, 65_536])
      expect(await filtered(whole, piece)).to.equal(`${lines(HEAD)}${BODY}${END}\n`);
  });

  it('is left as it is where nothing is to be left out, empty and without an end too', async () => {
    for (const text of ['', 'SELECT 1', BODY, `${lines(HEAD)}${BODY}${END}`])
      expect(await filtered(text, 5)).to.equal(text);
  });

  it('is the same bytes whatever their encoding, and however long the first line', async () => {
    const bytes = Buffer.concat([
      Buffer.from('-- '),
      Buffer.alloc(100_000, 0xfe),
      Buffer.of(0, 10),
    ]);
    const out = await buffer(Readable.from([bytes]).pipe(new ForOlderPostgres()));
    expect(out.equals(bytes)).to.equal(true);
    const waiting = new ForOlderPostgres();
    waiting.write(bytes.subarray(0, 50_000));
    expect(waiting.readableLength, 'it is not kept in memory').to.be.above(49_000);
  });
});
