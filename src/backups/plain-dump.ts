import { Transform, type TransformCallback } from 'node:stream';

/** A line of a dump's head that only sets something for the rest: pg_backup_archiver.c, `_doSetFixedOutputState`. */
const HEAD = /^(--.*|SET .*;|SELECT pg_catalog\.set_config\(.*|\\restrict \w+|)$/;

/** Lines of the head that a psql or a server before 17 does not know. */
const NEWER = /^(\\restrict \w+|SET transaction_timeout = .*;)$/;

/** How long the head can be at most, in bytes; it is some 600. */
const MAX_HEAD = 16_384;

/** How much of the end is looked at, in bytes: the last lines are a comment and `\unrestrict` with a key of 63 letters. */
const TAIL = 512;

/**
 * Leaves out of a plain dump what older programs do not know: `\restrict` and `\unrestrict` (psql before the releases of August 2025), and
 * `SET transaction_timeout` (Postgres before 17). Only in the head, which pg_restore writes before anything of a tenant's, and in the last
 * lines: the same words inside a tenant's function or text are theirs.
 *
 * Without the two, psql obeys any line with a backslash that is neither data nor quoted. pg_dump writes none for what a role without
 * superuser's rights can make (CVE-2025-8714, 8715).
 */
export class ForOlderPostgres extends Transform {
  #head: string | null = '';
  #key = '';
  #tail: Buffer = Buffer.alloc(0);

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    if (this.#head === null) this.#pass(chunk);
    else this.#readHead(chunk);
    done();
  }

  override _flush(done: TransformCallback): void {
    if (this.#head !== null) this.#endHead(this.#head, '');
    const text = this.#tail.toString('latin1');
    const last = this.#key ? `\\unrestrict ${this.#key}\n` : '';
    // The key is pg_restore's own and random: no line of a tenant's has it.
    this.push(Buffer.from(last ? text.replace(last, '') : text, 'latin1'));
    done();
  }

  /** Bytes are kept as they are, whatever the encoding: latin1 has a character for each. */
  #readHead(chunk: Buffer): void {
    const text = (this.#head ?? '') + chunk.toString('latin1');
    let from = 0;
    let isOver = false;
    for (let end = text.indexOf('\n'); end >= 0 && !isOver; end = text.indexOf('\n', from)) {
      isOver = !HEAD.test(text.slice(from, end));
      if (!isOver) from = end + 1;
    }
    if (isOver || text.length > MAX_HEAD) this.#endHead(text.slice(0, from), text.slice(from));
    else this.#head = text;
  }

  #endHead(head: string, rest: string): void {
    this.#head = null;
    this.#key = /^\\restrict (\w+)$/m.exec(head)?.[1] ?? '';
    const kept = head.split('\n').filter((line) => !NEWER.test(line));
    this.#pass(Buffer.from(kept.join('\n') + rest, 'latin1'));
  }

  #pass(chunk: Buffer): void {
    const all = Buffer.concat([this.#tail, chunk]);
    const cut = Math.max(0, all.length - TAIL);
    if (cut > 0) this.push(all.subarray(0, cut));
    this.#tail = all.subarray(cut);
  }
}
